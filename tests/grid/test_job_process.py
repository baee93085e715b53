import pytest

from nnunet_sparse.grid.job_process import _done
from nnunet_sparse.grid.job_server import JobRequest


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, ""),
        (["no command"], 2, "error: argument COMMAND: invalid choice"),
        (["step", "nowhere.yaml", "train", "x"], 2, "nowhere.yaml"),
    ],
)
def test_status_of_a_job(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    assert _done(JobRequest(arguments, ".", {}, 0, ())) == status
    assert said in capsys.readouterr().err


def test_a_bug_has_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> int:
        raise ZeroDivisionError("why")

    monkeypatch.setattr("nnunet_sparse.grid.grid_command.main", fail)
    assert _done(JobRequest([], ".", {}, 0, ())) == 1
    assert "ZeroDivisionError: why" in capsys.readouterr().err
