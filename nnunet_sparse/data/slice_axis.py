"""The slice axis of a raw data set, named by its ``selection.json`` or shown by its labels."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from nnunet_sparse.data.annotation import infer_slice_axis, is_dense
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.parallel import map_cases

# starting processes takes longer than reading less than this, compressed
_BYTES_WORTH_A_POOL = 10**7


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
        axis = load_json(file)["axis"]
    except (ValueError, KeyError, TypeError):
        axis = None
    if axis not in (0, 1, 2):
        raise SparseError(f'{file} must name the slice axis ("axis": 0, 1 or 2), got {axis!r}')
    return int(axis)


def count_slice_axes(
    labels: Mapping[str, Path], reader: str, ignore_label: int, num_processes: int
) -> Counter[int]:
    """Number of labels that are annotated along each axis.

    Parameters
    ----------
    labels
        Label files by case ID.
    reader
        Class name of nnU-Net's reader.
    ignore_label
        Value of voxels that are not annotated.
    num_processes
        Number of processes; the result does not depend on it.

    Returns
    -------
    Counter of int
        Labels by axis (0, 1, 2 of (z, y, x)); dense labels, and those without annotation, are left
        out.
    """
    size = sum(file.stat().st_size for file in labels.values())
    in_parallel = num_processes if size > _BYTES_WORTH_A_POOL else 1
    find = partial(_slice_axis_of, reader=reader, ignore_label=ignore_label)
    axes = map_cases(find, labels, in_parallel, "Reading labels").values()
    return Counter(axis for axis in axes if axis is not None)


def _slice_axis_of(file: Path, reader: str, ignore_label: int) -> int | None:
    label = read_label(file, reader, may_be_flat=True)
    if is_dense(label, ignore_label) or not (label != ignore_label).any():
        return None
    return infer_slice_axis(label, ignore_label)
