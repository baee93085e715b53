"""A sparse data set from which another one is made, and its base."""

from dataclasses import dataclass

from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.data.split import Split, SplitRequest, find_split
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


@dataclass(frozen=True)
class SparseSource:
    """A data set that ``nnsparse_make_dataset`` or ``nnsparse_extend`` has made.

    Attributes
    ----------
    raw
        The data set.
    selection
        Its annotated slices.
    base
        The dense data set that it was made from.
    split
        How that one is split.
    """

    raw: RawDataset
    selection: Selection
    base: RawDataset
    split: Split


def open_selected(
    paths: NnUNetPaths, sparse: str, of_interpolated: str = ""
) -> tuple[RawDataset, Selection]:
    """Open a sparse data set of ours, or one that was imported from a campaign.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    sparse
        Its name or ID.
    of_interpolated
        What to do instead with one whose labels are interpolated; empty for nothing.

    Raises
    ------
    SparseError
        If it is no such data set.
    """
    source = RawDataset.open(paths.raw / find_dataset(paths, sparse))
    file = source.folder / SELECTION_FILE
    if not file.is_file():
        raise SparseError(
            f"{source.name} has no {SELECTION_FILE}: it was not made by nnsparse_make_dataset"
        )
    selection = Selection.read(file)
    if selection.variant.interpolation is not None:
        advice = f"; {of_interpolated}" if of_interpolated else ""
        raise SparseError(f"{source.name} is interpolated already{advice}")
    if missing := selection.cases.keys() - source.training.keys():
        raise SparseError(f"{source.name} has no case {min(missing)}, which {file} names")
    if not source.has_ignore_label:
        raise SparseError(f"{source.name} declares no ignore label: it is not sparse")
    return source, selection


def open_base(
    paths: NnUNetPaths, source: RawDataset, selection: Selection
) -> tuple[RawDataset, Split]:
    """Open the dense data set that a sparse one was made from, and its split.

    Raises
    ------
    SparseError
        If it or its split is gone, or another one.
    """
    if not (paths.raw / selection.base).is_dir():
        raise SparseError(
            f"{selection.base}, from which {source.name} was made, is not in {paths.raw}"
        )
    base = RawDataset.open(paths.raw / selection.base)
    split, is_new = find_split(base, paths, SplitRequest())
    if is_new:
        raise SparseError(
            f"there is no split of {base.name}, from which {source.name} was made, in "
            f"{paths.preprocessed}: is nnUNet_preprocessed the folder that it was made with?"
        )
    if not set(selection.cases) <= set(split.train):
        raise SparseError(
            f"{source.name} does not belong to the split of {base.name}: it was made with another"
        )
    return base, split
