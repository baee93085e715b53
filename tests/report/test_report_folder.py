import dataclasses
import itertools
import os
from pathlib import Path

import pytest
from failures import deny, fail_once_to_name
from grid_fixtures import write_grid
from tiny import tree

from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.report.report_folder import MARKER, new_report
from nnunet_sparse.system.errors import SparseError


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """An experiment in a folder of its own; the working directory is another one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "home").mkdir()
    grid = write_grid(tmp_path / "home")
    grid.paths.make_folders()
    (grid.folder / "records").mkdir(parents=True)
    (grid.folder / "records" / "one.json").write_text("{}")
    return grid


def write(grid: Grid, folder: Path, *names: str, overwrite: bool = False) -> None:
    with new_report(grid, folder, {}, overwrite=overwrite) as fresh:
        for name in names:
            (fresh / name).parent.mkdir(exist_ok=True)
            (fresh / name).write_text("ours")


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_nothing_stale_remains(grid: Grid, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "new"
    write(grid, folder, "report.html", "figures/figure1.svg", "figures/hours2.svg")
    write(grid, folder, "report.html", "figures/figure1.png")
    assert names(folder) == {"report.html", "figures/figure1.png", MARKER}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]


def test_what_is_not_of_the_report_is_kept(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new"
    write(grid, folder, "report.html", "figures/figure1.svg")
    (folder / "notes.txt").write_text("mine")
    (folder / "figures" / "own.svg").write_text("mine")
    (folder / "link").symlink_to(tmp_path / "home")
    for _ in range(2):
        write(grid, folder, "report.html")
        assert names(folder) == {"report.html", "notes.txt", "figures/own.svg", MARKER}
        assert (folder / "link").is_symlink()
    with monkeypatch.context() as patch:
        deny(patch, folder / "figures")  # there may be more
        with pytest.raises(PermissionError, match="figures"):
            write(grid, folder, "report.html")
    assert names(folder) == {"report.html", "notes.txt", "figures/own.svg", MARKER}
    with pytest.raises(SparseError, match=r"own.svg is in the way and was not written by a report"):
        write(grid, folder, "figures/own.svg")
    assert (folder / "figures" / "own.svg").read_text("utf-8") == "mine"
    write(grid, folder, "figures/own.svg", overwrite=True)
    assert names(folder) == {"figures/own.svg", MARKER}


def test_an_error_leaves_everything_as_it_was(grid: Grid, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    write(grid, folder, "report.html")
    before = tree(tmp_path)
    for place in (folder, tmp_path / "a" / "b"):
        with pytest.raises(FileNotFoundError):
            write(grid, place, "report.html", "deeper/than/it/can.be")
    assert tree(tmp_path) == before


def test_the_old_report_is_put_back_where_the_new_one_cannot_have_its_name(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new"
    write(grid, folder, "report.html", "figures/figure1.svg")
    (folder / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    fail_once_to_name(monkeypatch, folder)
    with pytest.raises(OSError, match="Input/output error"):
        write(grid, folder, "report.html")
    # the new one, complete and hidden, waits for the next call
    now = tree(tmp_path)
    assert {key: value for key, value in now.items() if key[0] != "."} == before
    write(grid, folder, "report.html")
    assert names(folder) == {"report.html", "notes.txt", MARKER}


def test_what_killed_reports_left_is_removed(grid: Grid, tmp_path: Path) -> None:
    leftover = tmp_path / ".nnsparse_report_abcdefgh"
    users, young = tmp_path / ".nnsparse_report_backup", tmp_path / ".nnsparse_report_01234567"
    for folder in (leftover, users, young):
        (folder / "new").mkdir(parents=True)
    for folder in (leftover, users):
        os.utime(folder, (0, 0))
    os.utime(young, (2**32, 2**32))  # no test runs in 2106
    with new_report(grid, tmp_path / "one", {}):
        # one that is at work stays
        write(grid, tmp_path / "two")
        assert not leftover.exists()
        assert users.exists()
        assert len(list(tmp_path.glob(".nnsparse_report_*"))) == 3
    assert names(tmp_path / "one") == names(tmp_path / "two") == {MARKER}
    assert {path.name for path in tmp_path.glob(".nnsparse_*")} == {users.name, young.name}


@pytest.mark.parametrize("moment", [1, 2])
def test_a_kill_between_two_names_loses_nothing(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    folder = tmp_path / "new"
    write(grid, folder, "report.html")
    (folder / "notes.txt").write_text("mine")
    rename, count = Path.rename, itertools.count(1)

    def killed(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        if next(count) == moment:
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            write(grid, folder, "report.html")
    write(grid, folder, "report.html")
    assert names(folder) == {"report.html", "notes.txt", MARKER}
    assert (folder / "notes.txt").read_text("utf-8") == "mine"
    assert not list(tmp_path.glob(".nnsparse_old_*"))


def test_a_folder_that_is_no_report(grid: Grid, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    write(grid, folder)  # an empty one may be taken
    (folder / MARKER).unlink()
    write(grid, folder)
    (folder / MARKER).write_text('{"files": ["thesis.tex"]}')  # of another program
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(SparseError, match=r"is not empty and is no report: .* --overwrite"):
        write(grid, folder)
    assert (folder / "thesis.tex").read_text("utf-8") == "mine"
    write(grid, folder, "report.html", overwrite=True)
    assert names(folder) == {"report.html", MARKER}


def test_the_report_of_another_experiment(grid: Grid, tmp_path: Path) -> None:
    other = write_grid(tmp_path / "home", name="other.yaml")
    write(other, tmp_path / "new", "report.html")
    with pytest.raises(SparseError, match=r"is the report of the experiment /.*/other"):
        write(grid, tmp_path / "new")
    # of the same name in another folder
    (tmp_path / "away").mkdir()
    with pytest.raises(SparseError, match="is the report of the experiment"):
        write(write_grid(tmp_path / "away", name="other.yaml"), tmp_path / "new")
    write(grid, tmp_path / "new", overwrite=True)
    assert names(tmp_path / "new") == {MARKER}
    # an experiment whose file has got another name
    write(other, other.folder / "report")
    write(dataclasses.replace(other, file=grid.file), other.folder / "report")


def test_a_report_of_the_first_version(grid: Grid) -> None:
    folder = grid.folder / "report"
    (folder / "figures").mkdir(parents=True)
    for name in ("report.html", "results.csv", "figures/hours2.svg", "notes.txt"):
        (folder / name).write_text("old")
    write(grid, folder, "report.html")
    assert names(folder) == {"report.html", "notes.txt", MARKER}
    assert (folder / "report.html").read_text("utf-8") == "ours"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("home/tiny", "is the experiment's folder"),
        ("home", "holds the experiment file"),
        (".", "holds the experiment file"),
        ("home/tiny/records", "belongs to the experiment"),
        ("home/tiny.yaml", "is the experiment file"),
        ("home/nnunet/nnUNet_raw", "is nnUNet_raw"),
        ("home/nnunet", "holds nnUNet_raw"),
        ("home/nnunet/nnUNet_raw/Dataset004_A", "lies in nnU-Net's folder"),
        ("elsewhere", "is the folder that you are in"),
        ("link", "is the experiment's folder"),
        ("file", "is a file"),
        ("file/report", "cannot be written to .*file: Not a directory"),
        ("/", "holds the experiment file"),
        ("/proc", "is a mount point"),
        ("/proc/report", "cannot be written to /proc"),
    ],
)
def test_places_that_are_refused(
    grid: Grid, tmp_path: Path, place: str, message: str, overwrite: bool
) -> None:
    (grid.paths.raw / "Dataset004_A").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(grid.folder)
    before = tree(tmp_path)
    with pytest.raises(SparseError, match=message):
        write(grid, tmp_path / place, "report.html", overwrite=overwrite)
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(SparseError, match=r"cannot be written to .*: Permission denied"):
        write(grid, tmp_path / "closed" / "new")


def test_a_link_to_a_folder_stays_a_link(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write(grid, tmp_path / "link", "report.html")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "target") == {"report.html", MARKER}
