"""A sparse data set whose labels can be filled, and what the filled one takes over from it."""

import os
from dataclasses import dataclass, replace
from typing import Any

from nnunet_sparse.data.folds import SPLITS_FILE, is_cross_validation, read_folds
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import Split
from nnunet_sparse.dataset_tools.sparse_source import open_base, open_selected
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


@dataclass(frozen=True)
class InterpolationSource:
    """A sparse data set.

    Attributes
    ----------
    raw
        The data set.
    selection
        Its annotated slices.
    base
        Where the labels of validation and test cases are: the dense data set that it was made from,
        or, if it was imported from a campaign, itself.
    split
        Which cases these are.
    folds
        Content of its split file.
    """

    raw: RawDataset
    selection: Selection
    base: RawDataset
    split: Split
    folds: Any

    @property
    def filled(self) -> Selection:
        """Annotated slices of the cases whose labels are filled: those that are trained on."""
        train = set(self.split.train)
        cases = {c: case for c, case in self.selection.cases.items() if c in train}
        return replace(self.selection, cases=cases)

    @property
    def may_be_partial(self) -> bool:
        """Whether voxels of annotated slices may be ignore, as people may leave them."""
        return self.selection.campaign is not None

    def dataset_json(self) -> dict[str, Any]:
        """Content of ``dataset.json``, which names the images where they are."""
        if self.selection.campaign is None:
            return self.raw.dataset_json
        sibling = self.raw.folder.parent / "sibling"
        mapping = {
            case_id: {
                "images": [os.path.relpath(image, sibling) for image in case.images],
                "label": f"labelsTr/{case_id}{self.raw.file_ending}",
            }
            for case_id, case in sorted(self.raw.training.items())
        }
        reader = self.raw.reader()
        return {
            **self.raw.dataset_json,
            "dataset": mapping,
            "overwrite_image_reader_writer": reader,
        }

    def suffix(self, interpolation: Interpolation) -> str:
        """Name of the filled data set without ``DatasetXXX_``."""
        if self.selection.campaign is not None:
            return f"{self.raw.suffix}_{interpolation.name}"
        variant = replace(self.selection.variant, interpolation=interpolation)
        return replace(self.selection, variant=variant).dataset_suffix(self.base.suffix)


def open_interpolation_source(
    paths: NnUNetPaths, sparse: str, interpolation: Interpolation
) -> InterpolationSource:
    """Open a data set whose labels are to be filled.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    sparse
        Name or ID of a data set of ours.
    interpolation
        How they are filled. What people have imported from a campaign can be filled by a trained
        network alone: there is no base on whose images others would be trained.

    Raises
    ------
    SparseError
        If there is no such data set, or its labels cannot be filled so.
    """
    source, selection = open_selected(paths, sparse)
    if selection.campaign is not None:
        if not interpolation.uses_model:
            raise SparseError(
                f"{source.name} was imported from the campaign {selection.campaign}; labels are "
                "interpolated in data sets of nnsparse_make_dataset, and by --method network in "
                "any"
            )
        folds = _folds_of(source)
        split = Split(tuple(folds[0]["train"]), tuple(folds[0]["val"]), ())
        if missing := sorted(set(split.cases) - source.training.keys()):
            raise SparseError(f"{source.name} has no case {missing[0]}, which {SPLITS_FILE} names")
        return InterpolationSource(source, selection, source, split, folds)
    base, split = open_base(paths, source, selection)
    return InterpolationSource(source, selection, base, split, _folds_of(source))


def _folds_of(source: RawDataset) -> Any:
    """Folds of the sparse data set."""
    file = source.folder / SPLITS_FILE
    try:
        folds = read_folds(file)
    except (SparseError, OSError) as error:
        raise SparseError(f"{error}; nnsparse_make_dataset --overwrite") from error
    if is_cross_validation(folds):
        raise SparseError(
            f"{source.name} holds a cross-validation, which scores annotated slices; its labels "
            "cannot be filled: interpolate a data set with --repeats"
        )
    return folds
