"""Looking through folders of users, none of which may be passed over because it cannot be read."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn


def walk(folder: Path, follow_links: bool = False) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As ``os.walk``, which leaves out in silence what it may not read.

    Parameters
    ----------
    folder
        Where to begin.
    follow_links
        Whether links to folders are followed; who asks for it takes care of circles.

    Yields
    ------
    tuple
        A folder, names of the folders in it (to be changed as for ``os.walk``), and of its files.

    Raises
    ------
    OSError
        Naming the folder that cannot be read.
    """
    for path, folders, files in os.walk(folder, onerror=_raise, followlinks=follow_links):
        yield Path(path), folders, files


def files_below(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder and of all below it, by a pattern of their names; ascending.

    Raises
    ------
    OSError
        Naming the folder that cannot be read.
    """
    return sorted(
        here / name
        for here, _, files in walk(folder)
        for name in files
        if fnmatchcase(name, pattern)
    )


def _raise(error: OSError) -> NoReturn:
    raise error
