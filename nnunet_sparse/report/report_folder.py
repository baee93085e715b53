"""The folder of a report: written beside its place, and put there when it is complete.

A marker in it lists the files of the report. What else lies there is its user's and is kept.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.links import copy_file
from nnunet_sparse.system.locks import held_if_free
from nnunet_sparse.system.publication import MARKER as UNFINISHED
from nnunet_sparse.system.publication import publication
from nnunet_sparse.system.walking import walk

MARKER = "report.json"
PAGE = "report.html"
DEFAULT = "report"
VERSION = 1
_KEY, _EXPERIMENT = "nnsparse_report", "experiment"
_PARTIAL = ".nnsparse_report_"
# what earlier versions built reports in, as tempfile names it
_EARLIER = re.compile(re.escape(_PARTIAL) + r"[a-z0-9_]{8}")
_SECONDS_TO_BEGIN = 60
# what the first version wrote, which had no marker
_UNMARKED = (PAGE, "report.md", "results.csv", "results.parquet", "figures", "tables")


@contextmanager
def new_report(
    grid: Grid, folder: Path, facts: Mapping[str, Any], *, overwrite: bool = False
) -> Iterator[Path]:
    """Give an empty folder that becomes a report when the block ends without an error.

    Parameters
    ----------
    grid
        The experiment.
    folder
        Where the report is to be; an earlier one is replaced, and files in it that no report has
        written are kept.
    facts
        What the marker says besides its version, the experiment's name and the files.
    overwrite
        Whether a folder with something else is replaced, with all that it holds.

    Yields
    ------
    Path
        Folder to write to.

    Raises
    ------
    SparseError
        If the folder holds the experiment or data of nnU-Net, or something else without
        ``overwrite``, or cannot be written.
    """
    folder = folder.resolve()
    check_place(grid, folder, overwrite)
    above = next(path for path in folder.parents if path.exists())
    _remove_earlier(above)
    experiment = str(grid.folder.resolve())
    partial = folder.with_name(f"{_PARTIAL}{folder.name}")
    with ExitStack() as stack:
        try:
            if not above.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            new = publication(folder, partial, {_EXPERIMENT: experiment}, resume=False)
            making = stack.enter_context(new).making()
            check_place(grid, folder, overwrite)  # again, as a killed call may have left it
            fresh = stack.enter_context(making)
        except OSError as error:
            raise SparseError(
                f"the report cannot be written to {above}: {error.strerror}"
            ) from error
        yield fresh
        written = [str(path.relative_to(fresh)) for path in _files(fresh)]
        written.remove(UNFINISHED)
        marker = {_KEY: VERSION, _EXPERIMENT: experiment, **facts}
        write_json(fresh / MARKER, {**marker, "files": sorted([*written, MARKER])})
        if not overwrite:
            _keep(folder, fresh)


def _remove_earlier(above: Path) -> None:
    """Remove what killed reports of earlier versions have left, but for what has just begun."""
    for leftover in above.glob(f"{_PARTIAL}*"):
        with suppress(OSError):
            age = time.time() - leftover.stat().st_mtime
            is_earlier = _EARLIER.fullmatch(leftover.name) and not (leftover / UNFINISHED).exists()
            if not is_earlier or age < _SECONDS_TO_BEGIN:
                continue
            with held_if_free(leftover / "lock") as held:
                if held:
                    shutil.rmtree(leftover, ignore_errors=True)


def check_place(grid: Grid, folder: Path, overwrite: bool) -> None:
    """Refuse a folder whose replacement would destroy something.

    Parameters
    ----------
    grid
        The experiment.
    folder
        Where a report is to be, resolved.
    overwrite
        Whether a folder with something else may be replaced.

    Raises
    ------
    SparseError
        If it would.
    """
    own = grid.folder.resolve() in folder.parents
    _check_location(grid, folder, own)
    marker = _marker(folder)
    is_report = marker is not None or _is_unmarked_report(grid, folder)
    is_free = not folder.exists() or not any(folder.iterdir())
    if own and not (is_report or is_free):
        raise SparseError(
            f"{folder} belongs to the experiment and is no report: choose another folder with -o"
        )
    same = marker is not None and marker.get(_EXPERIMENT) == str(grid.folder.resolve())
    if own or is_free or overwrite or same:
        return
    what = f"the report of the experiment {marker.get(_EXPERIMENT)}" if marker else "no report"
    raise SparseError(
        f"{folder} is not empty and is {what}: choose another folder with -o, or replace all that "
        "it holds with --overwrite"
    )


def _check_location(grid: Grid, folder: Path, own: bool) -> None:
    """Refuse what no report can take the place of, whatever it holds."""
    for place, what in _precious(grid).items():
        if folder == place or folder in place.parents:
            verb = "is" if folder == place else "holds"
            raise SparseError(f"{folder} {verb} {what}: choose another folder with -o")
    if folder.exists() and not folder.is_dir():
        raise SparseError(f"{folder} is a file: -o takes a folder")
    if folder.is_mount():
        raise SparseError(f"{folder} is a mount point: choose a folder in it with -o")
    for place in (grid.paths.raw, grid.paths.preprocessed, grid.paths.results):
        if not own and place.resolve() in folder.parents:
            raise SparseError(
                f"{folder} lies in nnU-Net's folder {place}: choose another folder with -o"
            )


def _precious(grid: Grid) -> dict[Path, str]:
    """Files and folders that a report must not replace."""
    return {
        path.resolve(): what
        for path, what in (
            (grid.file, "the experiment file"),
            (grid.folder, "the experiment's folder"),
            (grid.paths.raw, "nnUNet_raw"),
            (grid.paths.preprocessed, "nnUNet_preprocessed"),
            (grid.paths.results, "nnUNet_results"),
            (Path.cwd(), "the folder that you are in"),
            (Path(os.environ.get("HOME", "/")), "your home folder"),
        )
    }


def _is_unmarked_report(grid: Grid, folder: Path) -> bool:
    """Whether the first version has written it, to the experiment's own place."""
    return folder == (grid.folder / DEFAULT).resolve() and (folder / PAGE).is_file()


def _marker(folder: Path) -> dict[str, Any] | None:
    """What the marker of a report says; None without one."""
    content = read_json(folder / MARKER)
    is_ours = isinstance(content, dict) and _KEY in content
    return content if is_ours and isinstance(content.get("files"), list) else None


def _keep(folder: Path, fresh: Path) -> None:
    """Copy what no report has written into the new one."""
    marker = _marker(folder)
    for path in _files(folder):
        name = path.relative_to(folder)
        if str(name) in marker["files"] if marker else name.parts[0] in _UNMARKED:
            continue
        target = fresh / name
        if target.exists():
            raise SparseError(
                f"{path} is in the way and was not written by a report: move it away, or replace "
                "all that the folder holds with --overwrite"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(path, target, follow_symlinks=False)


def _files(folder: Path) -> list[Path]:
    """Files below a folder, and links, which are not followed; no sockets or pipes."""
    found = []
    for here, folders, files in walk(folder) if folder.is_dir() else ():
        links = [one for one in folders if (here / one).is_symlink()]
        found += [here / one for one in (*files, *links)]
    return sorted(path for path in found if path.is_symlink() or path.is_file())
