"""Arguments that were tracebacks, were taken silently or refused late: one line, at once."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid
from sparse_datasets import make_dataset
from tiny import tree

from nnunet_sparse.campaign import import_command
from nnunet_sparse.dataset_tools import make_dataset_command
from nnunet_sparse.dataset_tools.convert import convert_command
from nnunet_sparse.doctor import doctor_command
from nnunet_sparse.evaluation import evaluate
from nnunet_sparse.features import train_mae_command
from nnunet_sparse.grid import grid_command
from nnunet_sparse.planners import plan_and_preprocess
from nnunet_sparse.report.interpolation import quality_command
from nnunet_sparse.report.selection import show_selection
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

DIGITS = "9" * 30
CONVERT = ["--spacing", "1", "1", "1", "--size", "8", "8", "8"]
LONG = "a" * 300
Main = Callable[[list[str]], int]

REFUSED: dict[str, tuple[Main, list[str], str]] = {
    "size": (
        convert_command.main_lits17,
        ["{f}", "--size", "1000000", "1000000", "1000000", "--spacing", "1", "1", "1"],
        "volumes would have 1000000 x 1000000 x 1000000 voxels",
    ),
    "size of 30 digits": (
        convert_command.main_dbc,
        ["{f}", "--size", DIGITS, "8", "8"],
        "voxels (z, y, x), more than",
    ),
    "spacing": (
        convert_command.main_lits17,
        ["{f}", "--spacing", "1e-9", "1e-9", "1e-9"],
        "spacing must lie between 0.001 and 1000 mm",
    ),
    "empty folder": (convert_command.main_atlas, [""], "an argument is empty"),
    "NUL": (convert_command.main_atlas, ["a\0b"], "is no text in UTF-8"),
    "bytes": (convert_command.main_atlas, ["a\udcff"], "is no text in UTF-8"),
    "device without numbers": (
        train_mae_command.main,
        ["-d", "4", "-device", "meta"],
        "device 'meta' cannot be used",
    ),
    "device that is not needed": (
        make_dataset_command.main,
        ["-d", "4", "--rho", "0.5", "-device", "nope"],
        "device 'nope' cannot be used",
    ),
    "repeats without end": (
        make_dataset_command.main,
        ["-d", "4", "--rho", "0.5", "--repeats", DIGITS],
        "--repeats: must be at most 1000",
    ),
    "folds without end": (
        import_command.main,
        ["{f}", "--folds", "3000000"],
        "--folds: must be at most 1000",
    ),
    "device of pictures": (
        show_selection.main,
        ["500", "-device", "nope"],
        "device 'nope' cannot be used",
    ),
    "setting twice": (
        plan_and_preprocess.main,
        ["-d", "4", "--set", "num_epochs=1", "num_epochs=2"],
        "setting num_epochs is given twice",
    ),
    "plans of 300 letters": (
        plan_and_preprocess.main,
        ["-d", "4", "-p", LONG],
        "a plans name has at most 120 letters",
    ),
    "label of 400 digits": (
        evaluate.main,
        ["{f}", "{f}", "-l", "9" * 400],
        "labels must be whole numbers from 0 to",
    ),
    "report in a file": (
        quality_command.main,
        ["-d", "4", "-o", "{f}/file/report", "--methods", "nearest"],
        "is no folder",
    ),
    "trainer": (doctor_command.main, ["-d", "500", "-tr", "nope"], "nope"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_once_in_one_line(
    name: str,
    paths: NnUNetPaths,
    make_base: BaseMaker,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make_base(shapes=[(4, 4, 4)])
    if "500" in REFUSED[name][1]:
        make_dataset(paths, "Dataset004_Tiny", rho=0.5)
    (tmp_path / "file").touch()
    before = tree(tmp_path)
    main, argv, message = REFUSED[name]
    argv = [word.format(f=tmp_path) if "{f}" in word else word for word in argv]
    capfd.readouterr()
    try:
        status = main(argv)
    except SystemExit as error:  # of the parser
        status = int(str(error.code))
    assert status == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert message in said[0]
    assert tree(tmp_path) == before


@pytest.mark.parametrize("key", ["folder", "nnunet"])
@pytest.mark.parametrize("value", ['"a\\0b"', '"a\\ud800b"', '""'])
def test_folders_of_experiments(tmp_path: Path, key: str, value: str) -> None:
    text = TINY.replace("nnunet: nnunet\n", "") + f"{key}: {value}\n"
    with pytest.raises(SparseError, match=r"tiny\.yaml, line \d+: "):
        write_grid(tmp_path, text)


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    make_base: BaseMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_base(shapes=[(4, 4, 4)])

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def work(*_: object) -> None:
        raise AssertionError("it is not begun")

    monkeypatch.setattr(quality_command, "check_writable", refuse)
    monkeypatch.setattr(quality_command, "_chosen_slices", work)
    argv = ["-d", "4", "-o", str(tmp_path / "a" / "b"), "--methods", "nearest"]
    assert quality_command.main(argv) == 2
    assert "Read-only file system" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_report_that_was_killed_when_its_folder_was_made_is_gone_on_with(
    make_base: BaseMaker, tmp_path: Path
) -> None:
    make_base(shapes=[(4, 4, 4)])
    (tmp_path / "report" / "cases").mkdir(parents=True)
    argv = ["-d", "4", "-o", str(tmp_path / "report"), "--methods", "nearest", "--rho", "0.5"]
    assert quality_command.main([*argv, "-np", "1"]) == 0
    assert (tmp_path / "report" / "quality.csv").is_file()


def test_init_where_no_file_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so instead of trying for ever."""
    assert grid_command.main(["init", "--preset", "quick", "-o", "/proc/nnsparse.yaml"]) == 2
    assert "/proc" in capsys.readouterr().err
