"""NIfTI files as nibabel opens them, their headers read once for all that look at them.

A dozen checks of one case, each in a function of its own, ask for the header of the same few files.
"""

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

_NUM_KEPT = 8  # channels and label of a case
# of the clock by which file systems date changes: what is older has been written to its end
_SETTLED_NS = 2_000_000_000


def open_nifti(path: Path) -> Any:
    """Image of nibabel, with the file's header; voxels are read from the file at each use.

    Parameters
    ----------
    path
        NIfTI file. One that has changed is opened anew, and so is one that is still warm: two
        changes at the same moment cannot be told apart by their dates.

    Returns
    -------
    nibabel.spatialimages.SpatialImage
        Shared by all callers, who do not change it.

    Raises
    ------
    Exception
        As nibabel does, of :func:`~nnunet_sparse.data.damaged_files.damaged_file_errors`.
    """
    import nibabel

    try:
        found = path.stat()
    except OSError:  # nibabel says so
        return nibabel.load(path)
    if time.time_ns() - found.st_ctime_ns < _SETTLED_NS:
        return nibabel.load(path)
    return _opened(os.fspath(path), found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)


@lru_cache(maxsize=_NUM_KEPT)
def _opened(path: str, *_state: int) -> Any:
    import nibabel

    return nibabel.load(path)
