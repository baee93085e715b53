import pytest

from nnunet_sparse.data.dataset_options import (
    add_dataset_id_option,
    add_split_options,
    split_request,
)
from nnunet_sparse.data.split import SplitRequest
from nnunet_sparse.system.command import CommandParser


def parser() -> CommandParser:
    result = CommandParser("nnsparse_x", "Does x.", "nnsparse_x")
    add_dataset_id_option(result)
    add_split_options(result)
    return result


def test_what_is_not_said_about_the_split_asks_for_nothing() -> None:
    assert split_request(parser().parse_args([])).is_empty
    asked = split_request(parser().parse_args(["--val", "2", "--test", "0.5", "--split_seed", "0"]))
    assert asked == SplitRequest(2, 0.5, None, 0)
    assert not asked.is_empty


def test_an_id_is_a_whole_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert parser().parse_args(["--id", "7"]).dataset_id == 7
    with pytest.raises(SystemExit):
        parser().parse_args(["--id", "0"])
    assert "--id: must be a whole number of at least 1, got '0'" in capsys.readouterr().err
