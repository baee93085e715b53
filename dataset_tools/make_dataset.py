"""Making a slice-sparse data set from a dense one."""

from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.dataset_name import find_dataset
from nnunet_sparse.dataset_tools.check_base import CheckedCase, check_cases, check_dataset
from nnunet_sparse.dataset_tools.choose_slices import choose_slices, choose_volumes
from nnunet_sparse.dataset_tools.publish import check_available, publish
from nnunet_sparse.dataset_tools.sparse_folder import sparse_documents, write_sparse_folder
from nnunet_sparse.errors import SparseError
from nnunet_sparse.geometry import AXIS_CHOICES, resolve_axis
from nnunet_sparse.paths import NnUNetPaths
from nnunet_sparse.raw_dataset import RawDataset
from nnunet_sparse.selection import Selection
from nnunet_sparse.selectors import get_selector
from nnunet_sparse.split import Split, SplitRequest, find_split, keep_split
from nnunet_sparse.variant import Variant

DEFAULT_REPEATS = 3


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
    """

    suffix: str
    folder: Path | None
    created: bool
    selection: Selection
    split: Split


def make_dataset(
    paths: NnUNetPaths,
    base: str,
    *,
    rho: float,
    s: float = 1.0,
    selector: str = "fixed",
    axis: str = "auto",
    positive_weight: float = 1.0,
    seed: int = 0,
    split: SplitRequest | None = None,
    repeats: int = DEFAULT_REPEATS,
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
    rho
        Density: share of the slices of each annotated volume, in (0, 1].
    s
        Volume fraction: share of the training volumes that carry annotation, in (0, 1].
    selector
        Name of a slice selector.
    axis
        Slice axis: ``auto`` (closest to superior-inferior), ``axial``, ``coronal``, ``sagittal``,
        or an array axis ``0``, ``1``, ``2``.
    positive_weight
        With selector ``random``: how much likelier a slice with foreground is drawn.
    seed
        Seed of the order of volumes and of the selector.
    split
        How the base is split where it has no split yet.
    repeats
        Number of equal folds in ``splits_final.json``.
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
    check_factors(rho, s, selector, axis, positive_weight)
    dataset = RawDataset.open(paths.raw / find_dataset(paths, base))
    check_dataset(dataset)
    base_split, split_is_new = find_split(dataset, paths, split or SplitRequest())
    checked = check_cases(
        dataset, [*base_split.train, *base_split.val, *base_split.test], num_processes
    )
    array_axis, overridden = _slice_axis(axis, checked)
    variant = Variant(rho, s, selector, positive_weight, overridden, seed)
    volumes = choose_volumes(list(base_split.train), s, seed)
    selection = choose_slices(
        dataset.name, variant, array_axis, {case_id: checked[case_id] for case_id in volumes}
    )
    suffix = variant.dataset_suffix(dataset.suffix)
    documents = sparse_documents(dataset, base_split, selection, repeats)
    if dry_run:
        existing = check_available(paths, suffix, documents, dataset_id, overwrite)
        return SparseDataset(suffix, existing, False, selection, base_split)

    def fill(folder: Path) -> None:
        write_sparse_folder(folder, dataset, base_split, selection, num_processes)

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
    return SparseDataset(suffix, publication.folder, publication.created, selection, base_split)


def check_factors(rho: float, s: float, selector: str, axis: str, positive_weight: float) -> None:
    """Refuse factors that are wrong whatever the base is.

    Raises
    ------
    SparseError
        If one is out of range or unknown, or the selector cannot use the positive weight.
    """
    Variant(rho, s, selector, positive_weight)
    if axis not in AXIS_CHOICES:
        raise SparseError(f"unknown axis {axis!r}, choose from {', '.join(AXIS_CHOICES)}")
    if positive_weight != 1 and not get_selector(selector).uses_weights:
        raise SparseError(f"positive_weight works with selector random, not with {selector}")


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
