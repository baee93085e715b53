"""Making the next data set of a sparse one: more of its slices are annotated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_sparse.data.check_base import CheckedCase, check_cases, check_dataset
from nnunet_sparse.data.folds import (
    SPLITS_FILE,
    Fold,
    cross_validation,
    equal_folds,
    is_cross_validation,
    read_folds,
)
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.dataset_tools.make_dataset import features_of
from nnunet_sparse.dataset_tools.publish import check_available, check_id_is_free, publish
from nnunet_sparse.dataset_tools.sparse_folder import (
    SOURCES_FILE,
    label_sources,
    sparse_documents,
    write_sparse_folder,
)
from nnunet_sparse.dataset_tools.sparse_source import SparseSource, open_base, open_selected
from nnunet_sparse.selection.added_round import AddedRound
from nnunet_sparse.selection.ask_network import AskedNetwork, check_asked
from nnunet_sparse.selection.choose_slices import choose_volumes, slices_to_add
from nnunet_sparse.selection.extend_selection import extend_selection, given_slices
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.devices import check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.paths import NnUNetPaths


@dataclass(frozen=True)
class ExtendedDataset:
    """A data set that extends another one, made or (in a dry run) to be made.

    Attributes
    ----------
    source
        Name of the one that it extends.
    suffix
        Its name without ``DatasetXXX_``.
    folder
        Its folder; None in a dry run that would make it.
    created
        Whether this call made it; False if it existed.
    selection
        Which slices of which volumes are annotated; its last round is what was added.
    num_slices
        Slices of all volumes from which some were chosen.
    folds
        Content of its ``splits_final.json``.
    """

    source: str
    suffix: str
    folder: Path | None
    created: bool
    selection: Selection
    num_slices: int
    folds: list[Fold]

    @property
    def added(self) -> AddedRound:
        """What was added."""
        return self.selection.rounds[-1]


def open_extendable(paths: NnUNetPaths, sparse: str) -> SparseSource:
    """Open a data set to which slices can be added.

    Raises
    ------
    SparseError
        If it is no such data set, or has lost its base.
    """
    raw, selection = open_selected(
        paths, sparse, "extend the sparse data set that it was made from, then interpolate that one"
    )
    if selection.campaign is not None:
        raise SparseError(
            f"{raw.name} was imported from the campaign {selection.campaign}; ask for more slices "
            "with nnsparse_worklist extend, and import it again"
        )
    base, split = open_base(paths, raw, selection)
    check_dataset(base)
    return SparseSource(raw, selection, base, split)


def extend_dataset(
    paths: NnUNetPaths,
    source: SparseSource,
    variant: Variant,
    asked: AskedNetwork | None = None,
    *,
    teacher: str = "",
    device: str | None = None,
    dataset_id: int | None = None,
    num_processes: int = 1,
    dry_run: bool = False,
    overwrite: bool = False,
) -> ExtendedDataset:
    """Write a sparse data set that contains another one, and some more annotated slices.

    Their labels are those of the base, as are images, split and test cases. Neither the base nor
    the data set that is extended is changed.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    source
        What is extended, see :func:`open_extendable`.
    variant
        How many slices are added, and how they are chosen. Volumes are drawn by the seed of the
        first choice, so that a larger share contains a smaller one.
    asked
        Trained network, for selectors that ask one.
    teacher
        Name of that network in the experiment that has trained it: the data set is named after it
        in place of the network's hash.
    device
        Where the masked autoencoder of selectors that use features runs; None for a GPU if there is
        one.
    dataset_id
        ID of the new data set; None for a free one.
    num_processes
        Number of processes; the result does not depend on it.
    dry_run
        Only tell what would be made; no data set is written.
    overwrite
        Replace a data set of the same name that has other content.

    Raises
    ------
    SparseError
        For everything that the user can set right; nothing is left behind but what was predicted.
    """
    selector = variant.make_selector()
    check_asked(selector, asked is not None)
    base, before = source.base, source.selection
    _check_sources(source)
    old_folds = _folds_of(source)
    volumes = choose_volumes(list(source.split.train), variant.s, before.variant.seed)
    known = sorted({*before.cases, *volumes})
    checked = check_cases(base, known, num_processes, selector.uses)
    lengths = {case_id: checked[case_id].geometry.shape[before.axis] for case_id in known}
    given = given_slices(before, lengths)
    # what can be refused, before minutes of work
    slices_to_add(variant, {case_id: given[case_id] for case_id in volumes})
    network = None if asked is None else asked.provenance()
    suffix = _suffix(source, variant, network, teacher, old_folds)
    check_id_is_free(paths, suffix, base.name, dataset_id, overwrite)
    check_device(device)
    if asked is not None:
        asked.check(selector, source.raw)
        asked.network.warn_of_test_cases(paths, map(base.case, source.split.test))
    selection = _chosen(
        paths,
        source,
        variant,
        {case_id: checked[case_id] for case_id in volumes},
        asked,
        teacher,
        device,
        num_processes,
        train=not dry_run,
    )
    folds, val = _new_folds(source, old_folds, sorted(selection.cases))
    used = replace(source.split, val=val)
    documents = sparse_documents(base, used, selection, folds)
    num_slices = sum(lengths[case_id] for case_id in volumes)
    if dry_run:
        existing = check_available(paths, suffix, documents, dataset_id, overwrite)
        return ExtendedDataset(
            source.raw.name, suffix, existing, False, selection, num_slices, folds
        )

    def fill(folder: Path) -> None:
        write_sparse_folder(folder, base, used, selection, num_processes)

    made = publish(paths, suffix, documents, fill, dataset_id=dataset_id, overwrite=overwrite)
    return ExtendedDataset(
        source.raw.name, suffix, made.folder, made.created, selection, num_slices, folds
    )


def _chosen(
    paths: NnUNetPaths,
    source: SparseSource,
    variant: Variant,
    volumes: Mapping[str, CheckedCase],
    asked: AskedNetwork | None,
    teacher: str,
    device: str | None,
    num_processes: int,
    train: bool,
) -> Selection:
    """The selection with what is added to it."""
    base, before, selector = source.base, source.selection, variant.make_selector()
    features, seen = None, None
    if "features" in selector.uses:
        images = TrainingImages(paths, base, source.split.train, before.axis)
        features = features_of(images, variant.mae_request(device), num_processes, train)
    if asked is not None:
        folder = paths.preprocessed / base.name / "nnsparse"
        round_number = len(before.rounds) + 1
        # as nnsparse_plan_and_preprocess has stored them
        owners = [paths.preprocessed / name for name in (base.name, source.raw.name)]
        cases = sorted(volumes)
        seen = asked.seen(selector, base, cases, before.axis, folder, round_number, owners)
    return extend_selection(
        before,
        variant,
        volumes,
        source.raw.suffix,
        features=features,
        seen=seen,
        network=None if asked is None else asked.provenance(),
        teacher=teacher,
    )


def _suffix(
    source: SparseSource,
    variant: Variant,
    network: Mapping[str, Any] | None,
    teacher: str,
    folds: Sequence[Fold],
) -> str:
    """Name of the new data set without ``DatasetXXX_``, which does not depend on the slices."""
    added = AddedRound(source.raw.suffix, variant, {}, network=network, teacher=teacher)
    selection = replace(source.selection, rounds=(*source.selection.rounds, added))
    suffix = selection.dataset_suffix(source.base.suffix)
    return f"{suffix}_folds{len(folds)}" if is_cross_validation(folds) else suffix


def _check_sources(source: SparseSource) -> None:
    """Refuse labels of the base that have changed since those of the source were made of them."""
    file = source.raw.folder / SOURCES_FILE
    if not file.exists():  # of an earlier version
        return
    if read_json(file) != label_sources(source.base, source.selection.cases):
        raise SparseError(
            f"the labels of {source.base.name} that {source.raw.name} was made from have changed "
            "since (its sources.json): make it again with nnsparse_make_dataset --overwrite"
        )


def _folds_of(source: SparseSource) -> list[Fold]:
    """Folds of the data set that is extended."""
    try:
        return read_folds(source.raw.folder / SPLITS_FILE)
    except (SparseError, OSError) as error:
        raise SparseError(f"{error}; nnsparse_make_dataset --overwrite makes it again") from error


def _new_folds(
    source: SparseSource, folds: Sequence[Fold], annotated: Sequence[str]
) -> tuple[list[Fold], tuple[str, ...]]:
    """Folds in which each volume keeps its part, and the densely labelled validation cases."""
    if not is_cross_validation(folds):
        return equal_folds(annotated, source.split.val, len(folds)), source.split.val
    before = {case_id: number for number, fold in enumerate(folds) for case_id in fold["val"]}
    split = source.split
    return cross_validation(annotated, len(folds), split.groups, split.seed, before), ()
