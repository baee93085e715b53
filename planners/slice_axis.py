"""The slice axis of a raw data set, as its ``selection.json`` names it."""

import json
from pathlib import Path

from nnunet_sparse.errors import SparseError
from nnunet_sparse.raw_dataset import SELECTION_FILE


def read_slice_axis(raw_dataset: Path) -> int | None:
    """Slice axis of a raw data set, or None if it has no ``selection.json``.

    Parameters
    ----------
    raw_dataset
        Folder of the data set.

    Returns
    -------
    int or None
        Index into the array as nnU-Net's reader returns it, (z, y, x).

    Raises
    ------
    SparseError
        If the file does not name an axis of a volume.
    """
    file = raw_dataset / SELECTION_FILE
    if not file.is_file():
        return None
    try:
        axis = json.loads(file.read_text(encoding="utf-8"))["axis"]
    except (ValueError, KeyError, TypeError):
        axis = None
    if axis not in (0, 1, 2):
        raise SparseError(f'{file} must name the slice axis ("axis": 0, 1 or 2), got {axis!r}')
    return int(axis)
