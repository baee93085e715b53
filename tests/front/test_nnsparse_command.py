import pytest

from nnunet_sparse.front.nnsparse_command import main
from nnunet_sparse.front.way_of_work import overview
from nnunet_sparse.system.command import EXIT_ERROR


def test_alone_it_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert overview() in capsys.readouterr().out


@pytest.mark.parametrize("name", ["recipes", "nnsparse_recipes"])
def test_a_command_is_run_with_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: nnsparse_recipes")


def test_the_status_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "no_such_folder", "no_such_folder"]) == EXIT_ERROR
    assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--no_such_option"])
    assert end.value.code == EXIT_ERROR


def test_a_name_that_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["make_datset", "-d", "4"])
    assert end.value.code == EXIT_ERROR
    assert capsys.readouterr().err == (
        "error: there is no command 'make_datset'; did you mean 'make_dataset'? "
        "(see nnsparse --help)\n"
    )
