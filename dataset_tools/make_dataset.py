"""Making a slice-sparse data set from a dense one."""

from dataclasses import dataclass, replace
from pathlib import Path

from nnunet_sparse.data.check_base import CheckedCase, check_cases, check_dataset
from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.folds import DEFAULT_REPEATS, Fold, cross_validation, equal_folds
from nnunet_sparse.data.geometry import check_axis, resolve_axis
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import Split, SplitRequest, find_split, keep_split
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.dataset_tools.publish import check_available, check_id_is_free, publish
from nnunet_sparse.dataset_tools.sparse_folder import sparse_documents, write_sparse_folder
from nnunet_sparse.features.feature_store import SliceFeatures, slice_features
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.selection.choose_slices import (
    choose_slices,
    choose_volumes,
    slices_of_volumes,
)
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import refuse_without_network
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


@dataclass(frozen=True)
class SparseDataset:
    """A sparse data set, made or (in a dry run) to be made.

    Attributes
    ----------
    suffix
        Its name without ``DatasetXXX_``.
    folder
        Its folder; None in a dry run that would make it.
    created
        Whether this call made it; False if it existed.
    selection
        Which slices of which volumes are annotated.
    split
        The split of the base.
    num_volumes, num_slices
        Volumes that might have been annotated, and their slices.
    folds
        Content of its ``splits_final.json``.
    """

    suffix: str
    folder: Path | None
    created: bool
    selection: Selection
    split: Split
    num_volumes: int
    num_slices: int
    folds: list[Fold]


def make_dataset(
    paths: NnUNetPaths,
    base: str,
    variant: Variant,
    *,
    axis: str = "auto",
    device: str | None = None,
    split: SplitRequest | None = None,
    repeats: int = DEFAULT_REPEATS,
    num_folds: int | None = None,
    dataset_id: int | None = None,
    num_processes: int = 1,
    dry_run: bool = False,
    overwrite: bool = False,
) -> SparseDataset:
    """Write an nnU-Net raw data set whose training labels are annotated on few slices only.

    Voxels of slices that are not annotated carry the ignore label. Images are referenced, not
    copied; validation and test labels stay dense. Nothing of the base is changed.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    base
        Name or ID of the dense base data set.
    variant
        The factors. Its axis is not looked at, but set by the next parameter; a masked autoencoder
        that its selector needs is trained if that has not been done.
    axis
        Slice axis: ``auto`` (closest to superior-inferior), ``axial``, ``coronal``, ``sagittal``,
        or an array axis ``0``, ``1``, ``2``.
    device
        Where the masked autoencoder runs; None for a GPU if there is one.
    split
        How the base is split where it has no split yet.
    repeats
        Number of equal folds in ``splits_final.json``.
    num_folds
        Folds of a cross-validation of the annotated volumes instead; the name of the data set ends
        in it, and the validation cases of the base's split are not part of it.
    dataset_id
        ID of the new data set; None for a free one.
    num_processes
        Number of processes; the result does not depend on it.
    dry_run
        Only tell what would be made; nothing is written.
    overwrite
        Replace a data set of the same name that has other content.

    Returns
    -------
    SparseDataset
        Where it is and what it holds.

    Raises
    ------
    SparseError
        For everything that the user can set right; nothing is left behind.
    """
    refuse_without_network(variant.selector)
    mae = variant.mae_request(device)
    check_axis(axis)
    dataset = RawDataset.open(paths.raw / find_dataset(paths, base))
    check_dataset(dataset)
    base_split, split_is_new = find_split(dataset, paths, split or SplitRequest())
    uses = variant.make_selector().uses
    checked = check_cases(
        dataset, [*base_split.train, *base_split.val, *base_split.test], num_processes, uses
    )
    array_axis, overridden = _slice_axis(axis, checked)
    variant = replace(variant, axis=overridden)
    volumes = choose_volumes(list(base_split.train), variant.s, variant.seed)
    lengths = {case_id: checked[case_id].geometry.shape[array_axis] for case_id in volumes}
    suffix = variant.dataset_suffix(dataset.suffix)
    if num_folds is not None:
        suffix = f"{suffix}_folds{num_folds}"
        # refused before minutes of work; later some volumes may turn out to have no slice
        cross_validation(volumes, num_folds, base_split.groups, base_split.seed)
    features = None
    if "features" in uses:
        # what can be refused, before minutes of work
        slices_of_volumes(variant, lengths)
        check_id_is_free(paths, suffix, dataset.name, dataset_id, overwrite)
        check_device(device)
        if not dry_run and split_is_new:
            # features belong to the training cases, so the split must not change any more
            keep_split(base_split, paths, dataset.name)
            split_is_new = False
        images = TrainingImages(paths, dataset, base_split.train, array_axis)
        features = features_of(images, mae, num_processes, train=not dry_run)
    selection = choose_slices(
        dataset.name,
        variant,
        array_axis,
        {case_id: checked[case_id] for case_id in volumes},
        features,
    )
    num_slices = sum(lengths.values())
    annotated = sorted(selection.cases)
    if num_folds is None:
        dense_val = base_split.val
        folds = equal_folds(annotated, dense_val, repeats)
    else:
        dense_val = ()
        folds = cross_validation(annotated, num_folds, base_split.groups, base_split.seed)
    used = replace(base_split, val=dense_val)
    documents = sparse_documents(dataset, used, selection, folds)
    if dry_run:
        existing = check_available(paths, suffix, documents, dataset_id, overwrite)
        return SparseDataset(
            suffix, existing, False, selection, base_split, len(volumes), num_slices, folds
        )

    def fill(folder: Path) -> None:
        write_sparse_folder(folder, dataset, used, selection, num_processes)

    def commit() -> None:
        if split_is_new:
            keep_split(base_split, paths, dataset.name)

    publication = publish(
        paths,
        suffix,
        documents,
        fill,
        commit=commit,
        dataset_id=dataset_id,
        overwrite=overwrite,
    )
    return SparseDataset(
        suffix,
        publication.folder,
        publication.created,
        selection,
        base_split,
        len(volumes),
        num_slices,
        folds,
    )


def features_of(
    images: TrainingImages, mae: MaeRequest, num_processes: int, train: bool
) -> SliceFeatures:
    """Features of all training slices; what is missing is made if it may be (``train``).

    Raises
    ------
    SparseError
        If the network is missing and must not be trained.
    """
    model = mae.model_of(images)
    if train:
        mae.train(images, num_processes)
    elif not model.checkpoint.is_file():
        raise SparseError(
            "a dry run needs the features of the slices, which have not been computed: run "
            f"{model.command}, or leave out --dry_run"
        )
    return slice_features(images, mae, num_processes, keep=train)


def _slice_axis(axis: str, checked: dict[str, CheckedCase]) -> tuple[int, int | None]:
    """Slice axis, and the same again if it is not the automatic one."""
    geometries = {case_id: case.geometry for case_id, case in checked.items()}
    array_axis = resolve_axis(axis, geometries)
    if all(geometry.shape[array_axis] == 1 for geometry in geometries.values()):
        raise SparseError(f"all volumes have one slice along axis {array_axis}: nothing to choose")
    try:
        automatic = resolve_axis("auto", geometries)
    except SparseError:
        return array_axis, array_axis
    return array_axis, None if array_axis == automatic else array_axis
