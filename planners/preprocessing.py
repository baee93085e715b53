"""The steps from a raw data set to nnU-Net's preprocessed one; each may be killed and repeated.

Nothing here needs torch: where a base's images and plans exist, a further variant of it is a matter
of its labels.
"""

import hashlib
import logging
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.data.folds import SPLITS_FILE, read_splits
from nnunet_sparse.data.plans_configuration import Plans, configuration_of
from nnunet_sparse.data.preprocessing_record import StepRecord, digest_of
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.planners.plan_source import PlanSource
from nnunet_sparse.planners.plans import (
    FINGERPRINT_FILE,
    check_configurations,
    data_identifiers,
    difference,
    moved,
    preprocessing_fields,
    read_plans,
    share_preprocessed,
    with_settings,
)
from nnunet_sparse.planners.training_files import files_digest, label_files
from nnunet_sparse.system.atomic import atomic_path, write_json
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.links import copy_file

logger = logging.getLogger(__name__)

DATASET_FILE = "dataset.json"
# to be raised when the same files give other preprocessed data
_PREPROCESSING_VERSION = 1


@dataclass(frozen=True)
class PreprocessedDataset:
    """A preprocessed data set that is being made.

    Attributes
    ----------
    raw
        What it is made from.
    folder
        Its folder in ``nnUNet_preprocessed``; it exists.
    record
        Its completed steps.
    num_processes
        Number of processes for the making.
    """

    raw: RawDataset
    folder: Path
    record: StepRecord
    num_processes: int


def plan(
    target: PreprocessedDataset,
    source: PlanSource,
    plans_name: str,
    *,
    configurations: Collection[str],
    changes: Mapping[str, Any],
    overwrite: bool,
) -> Plans:
    """Write fingerprint and plans, unless they are there already.

    Parameters
    ----------
    target
        The data set.
    source
        Where its plans come from.
    plans_name
        Name of the plans' file, without its ending.
    configurations
        Configurations that the plans must have.
    changes
        Training settings that differ from the planner's.
    overwrite
        Whether other plans of this name, and a fingerprint that is not ours, are replaced.

    Returns
    -------
    dict
        The plans as they stand in the file.

    Raises
    ------
    SparseError
        If a configuration is not planned, other plans are there, or nnU-Net fails.
    """
    file = target.folder / f"{plans_name}.json"
    own, step, made_from = read_plans(file), f"plans/{plans_name}", source.digest
    digest = digest_of(made_from, dict(changes), _hash(file))
    up_to_date = target.record.is_complete(step, digest)
    if own is None or not up_to_date or not (target.folder / FINGERPRINT_FILE).is_file():
        fingerprint, plans = source.obtain(target.num_processes)
        planned = with_settings(moved(plans, target.raw.name, plans_name), changes)
        check_configurations(planned, configurations)
        planned = _with_data_identifiers(target, planned, own, file)
        differs = difference(own, planned) if own else "all of it"
        if differs and file.exists() and not overwrite:
            raise SparseError(
                f"{file} holds other plans ({differs} differs): choose another name with -p, or "
                "replace them with --overwrite"
            )
        _copy_fingerprint(target, fingerprint, overwrite)
        if differs:
            # configurations that a user added stay
            added = own["configurations"] if own else {}
            planned["configurations"] = added | planned["configurations"]
            write_json(file, planned)
            own = planned
        target.record.finish(step, digest_of(made_from, dict(changes), _hash(file)))
    assert own is not None
    check_configurations(own, configurations)
    return own


def _with_data_identifiers(
    target: PreprocessedDataset, planned: Plans, own: Plans | None, file: Path
) -> Plans:
    files = (other for other in target.folder.glob("*.json") if other != file)
    others = [p for p in map(read_plans, files) if p is not None]
    ours = target.record.names("plans")
    recorded = target.record.names("preprocessed").union(
        *(data_identifiers(p) for p in others if p["plans_name"] in ours)
    )
    return share_preprocessed(planned, own, others, recorded)


def _copy_fingerprint(target: PreprocessedDataset, source: Path, overwrite: bool) -> None:
    """Copy the fingerprint, which the plans contain, to where nnU-Net's trainer copies it from."""
    file, step = target.folder / FINGERPRINT_FILE, "fingerprint"
    wanted, found = _hash(source), _hash(file)
    if found and found != wanted and not target.record.is_complete(step, found) and not overwrite:
        logger.warning(
            "%s is of other origin than the plans and stays as it is; --overwrite replaces it", file
        )
        return
    # before the file is there: a file that is recorded as ours is ours
    target.record.finish(step, wanted)
    if found != wanted:
        with atomic_path(file) as temporary:
            shutil.copyfile(source, temporary)


def copy_splits(target: PreprocessedDataset, overwrite: bool) -> None:
    """Give the data set the split of the raw one, if that has one.

    Folds that were added to the raw one are added to the copy; folds that only the copy has stay.

    Raises
    ------
    SparseError
        If another split is there and ``overwrite`` is False.
    """
    source, copy = target.raw.folder / SPLITS_FILE, target.folder / SPLITS_FILE
    if not source.is_file():
        return
    splits = read_splits(source)
    if copy.is_file():
        before = read_splits(copy)
        if before[: len(splits)] == splits:
            return
        if before != splits[: len(before)] and not overwrite:
            raise SparseError(
                f"{copy} differs from {source}, and trainings may have used it: "
                "--overwrite replaces it"
            )
    with atomic_path(copy) as temporary:
        shutil.copyfile(source, temporary)


def copy_dataset_json(target: PreprocessedDataset) -> None:
    """Copy ``dataset.json`` to where nnU-Net's trainer reads it."""
    source, copy = target.raw.folder / DATASET_FILE, target.folder / DATASET_FILE
    if _hash(source) != _hash(copy):
        with atomic_path(copy) as temporary:
            shutil.copyfile(source, temporary)


def preprocess(
    target: PreprocessedDataset, plans: Plans, configuration: str, *, overwrite: bool
) -> None:
    """Preprocess a configuration, unless its data are complete.

    Raises
    ------
    SparseError
        If an image or a label is unusable, or if data that are not ours are there and ``overwrite``
        is False.
    """
    raw, record = target.raw, target.record
    output = target.folder / configuration_of(plans, configuration)["data_identifier"]
    step = f"preprocessed/{output.name}"
    digest = digest_of(
        _PREPROCESSING_VERSION,
        files_digest(raw),
        read_slice_axis(raw.folder),
        preprocessing_fields(plans, configuration),
    )
    if record.is_complete(step, digest) and _has_all_cases(output, raw):
        logger.info("%s: %s is up to date", configuration, output.name)
        return
    is_ours = output.name in record.names("preprocessed")
    if not is_ours and not overwrite and output.is_dir() and any(output.iterdir()):
        raise SparseError(
            f"{output} holds preprocessed data of other origin: choose another name of the plans "
            "with -p, or replace the data with --overwrite"
        )
    logger.info("%s: preprocessing %d cases", configuration, len(raw.training))
    from nnunet_sparse.planners.sparse_preprocessor import SparsePreprocessor

    record.start(step)
    # before they are read: one that changes meanwhile counts as changed
    digests = {case_id: file_digest(file) for case_id, file in label_files(raw).items()}
    record.keep_labels(output.name, digests)
    SparsePreprocessor().run(raw, plans, configuration, output, target.num_processes)
    record.finish(step, digest)


def _has_all_cases(output: Path, raw: RawDataset) -> bool:
    endings = (".b2nd", "_seg.b2nd", ".pkl")
    return all((output / f"{case}{end}").is_file() for case in raw.training for end in endings)


def copy_labels(target: PreprocessedDataset) -> None:
    """Copy the labels to where nnU-Net's validation looks for them."""
    folder = target.folder / "gt_segmentations"
    folder.mkdir(exist_ok=True)
    for case, label in label_files(target.raw).items():
        copy = folder / f"{case}{target.raw.file_ending}"
        if not _is_copy(label, copy):
            # staged elsewhere, because nnU-Net lists the folder
            with atomic_path(copy, staging=target.folder) as temporary:
                copy_file(label, temporary)


def check_cut(raw: RawDataset, plans: Plans) -> None:
    """Warn of 2d plans that cut across the slices of a ``selection.json``.

    Of other data sets only the preprocessing of their labels tells.
    """
    axis, cut = read_slice_axis(raw.folder), plans["transpose_forward"][0]
    if axis not in (None, cut):
        logger.warning(
            "slices of %s are annotated along array axis %d, but these plans cut 2d slices along "
            "axis %d (planners named Sparse... and SmallPlanner do not)",
            raw.name,
            axis,
            cut,
        )


def _is_copy(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    ours, theirs = source.stat(), target.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
