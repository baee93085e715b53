"""The steps from a raw data set to nnU-Net's preprocessed one; each may be killed and repeated."""

import contextlib
import hashlib
import inspect
import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
    DatasetFingerprintExtractor,
)
from nnunetv2.utilities.json_export import recursive_fix_for_json_export
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_sparse.atomic import atomic_path, write_json
from nnunet_sparse.errors import SparseError
from nnunet_sparse.planners.plans import (
    Plans,
    check_configurations,
    data_identifiers,
    difference,
    preprocessing_fields,
    read_plans,
    share_preprocessed,
    with_settings,
)
from nnunet_sparse.planners.registry import find_planner
from nnunet_sparse.planners.step_record import StepRecord, digest_of
from nnunet_sparse.planners.training_files import files_digest, label_files
from nnunet_sparse.raw_dataset import SELECTION_FILE, RawDataset

logger = logging.getLogger(__name__)

FINGERPRINT = "dataset_fingerprint.json"
SPLITS = "splits_final.json"
_PACKAGES = ("nnunet-sparse", "nnunetv2")


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


def copy_splits(target: PreprocessedDataset, overwrite: bool) -> None:
    """Give the preprocessed data set the split of the raw one, if that has one.

    Raises
    ------
    SparseError
        If another split is there and ``overwrite`` is False.
    """
    source, copy = target.raw.folder / SPLITS, target.folder / SPLITS
    if not source.is_file():
        return
    splits = _read_splits(source)
    if copy.is_file():
        if _read_splits(copy)[: len(splits)] == splits:
            return
        if not overwrite:
            raise SparseError(
                f"{copy} differs from {source}, and trainings may have used it: "
                "--overwrite replaces it"
            )
    with atomic_path(copy) as temporary:
        shutil.copyfile(source, temporary)


def _read_splits(file: Path) -> list[dict[str, set[str]]]:
    try:
        splits = json.loads(file.read_text(encoding="utf-8"))
        parts = [{part: set(split[part]) for part in ("train", "val")} for split in splits]
        if not parts:
            raise ValueError
        return parts
    except (ValueError, KeyError, TypeError):
        raise SparseError(
            f'{file} must be a list of {{"train": [cases], "val": [cases]}}, one for each fold'
        ) from None


def extract_fingerprint(target: PreprocessedDataset) -> None:
    """Have nnU-Net measure the images, unless it has done so for the same files."""
    raw, record = target.raw, target.record
    digest = files_digest(raw)
    if record.is_complete("fingerprint", digest) and (target.folder / FINGERPRINT).is_file():
        logger.debug("fingerprint: is up to date")
        return
    record.start("fingerprint")
    with _nnunet(f"the fingerprint of {raw.name}"):
        extractor = DatasetFingerprintExtractor(raw.name, _num_workers(target))
        extractor.show_progress_bar = sys.stderr.isatty()
        extractor.run(overwrite_existing=True)
    record.finish("fingerprint", digest)


def plan(
    target: PreprocessedDataset,
    planner: str,
    plans_name: str,
    *,
    configurations: Collection[str],
    changes: Mapping[str, Any],
    overwrite: bool,
) -> Plans:
    """Write plans, unless they are there already.

    Parameters
    ----------
    target
        Data set with a fingerprint.
    planner
        Name of the planner.
    plans_name
        Name of the plans' file, without its ending.
    configurations
        Configurations that the plans must have.
    changes
        Training settings that differ from the planner's.
    overwrite
        Whether other plans of this name are replaced.

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
    own, step = read_plans(file), f"plans/{plans_name}"
    versions = [version(package) for package in _PACKAGES]
    inputs = (files_digest(target.raw), planner, dict(changes), versions)
    if own is None or not target.record.is_complete(step, _planning_digest(target, inputs, file)):
        planned = with_settings(_planned(target.raw, find_planner(planner), plans_name), changes)
        check_configurations(planned, configurations)
        files = (other for other in target.folder.glob("*.json") if other != file)
        others = [p for p in map(read_plans, files) if p is not None]
        ours = target.record.names("plans")
        recorded = target.record.names("preprocessed").union(
            *(data_identifiers(p) for p in others if p["plans_name"] in ours)
        )
        planned = share_preprocessed(planned, own, others, recorded)
        differs = difference(own, planned) if own else "all of it"
        if differs and file.exists() and not overwrite:
            raise SparseError(
                f"{file} holds other plans ({differs} differs): choose another name with -p, or "
                "replace them with --overwrite"
            )
        if differs:
            # configurations that a user added stay
            added = own["configurations"] if own else {}
            planned["configurations"] = added | planned["configurations"]
            write_json(file, planned)
            own = planned
        target.record.finish(step, _planning_digest(target, inputs, file))
    assert own is not None
    check_configurations(own, configurations)
    return own


def _planned(raw: RawDataset, planner_class: Any, plans_name: str) -> Plans:
    with _nnunet(f"the plans of {raw.name}"), _positive_thread_number():
        planner = planner_class(raw.name, plans_name=plans_name)
        # nnU-Net's would not be written in one step, nor compared with what is there
        planner.save_plans = recursive_fix_for_json_export
        planner.plan_experiment()
    plans: Plans = json.loads(json.dumps(planner.plans))
    return plans


def _planning_digest(target: PreprocessedDataset, inputs: tuple[Any, ...], file: Path) -> str:
    files = [target.folder / FINGERPRINT, target.raw.folder / SELECTION_FILE, file]
    hashes = [hashlib.sha256(f.read_bytes()).hexdigest() if f.is_file() else "" for f in files]
    return digest_of(*inputs, hashes)


def default_plans_name(planner: str) -> str:
    """Plans name that a planner uses by itself."""
    parameters = inspect.signature(find_planner(planner).__init__).parameters
    return str(parameters["plans_name"].default)


def preprocess(target: PreprocessedDataset, plans: Plans, configuration: str) -> None:
    """Have nnU-Net preprocess a configuration, unless its data are complete.

    Raises
    ------
    SparseError
        If nnU-Net fails on a case.
    """
    raw, record = target.raw, target.record
    manager = PlansManager(plans).get_configuration(configuration)
    step = f"preprocessed/{manager.data_identifier}"
    digest = digest_of(files_digest(raw), preprocessing_fields(plans, configuration))
    output = target.folder / manager.data_identifier
    if record.is_complete(step, digest) and _has_all_cases(output, raw):
        logger.info("%s: %s is up to date", configuration, output.name)
        return
    logger.info("%s: preprocessing %d cases", configuration, len(raw.training))
    record.start(step)
    with _nnunet(f"the preprocessing of {raw.name} for {configuration}"):
        preprocessor = manager.preprocessor_class(verbose=False)
        preprocessor.show_progress_bar = sys.stderr.isatty()
        preprocessor.run(raw.name, configuration, plans["plans_name"], _num_workers(target))
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
                shutil.copy2(label, temporary)


def _is_copy(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    ours, theirs = source.stat(), target.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _num_workers(target: PreprocessedDataset) -> int:
    return min(target.num_processes, len(target.raw.training))


@contextlib.contextmanager
def _nnunet(what: str) -> Iterator[None]:
    """Run nnU-Net's code without its printing, and turn its errors into one line."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except SparseError:
        raise
    except OSError as error:
        reason = f"{error.filename or ''} {error.strerror or error}".strip()
        raise SparseError(f"nnU-Net failed at {what}: {reason}") from error
    except Exception as error:
        raise SparseError(f"nnU-Net failed at {what}: {error or type(error).__name__}") from error


@contextlib.contextmanager
def _positive_thread_number() -> Iterator[None]:
    """Hide ``nnUNet_n_proc_DA=0``, which nnU-Net's planner would hand to torch."""
    name = "nnUNet_n_proc_DA"
    before = os.environ.get(name)
    if before == "0":
        os.environ[name] = "1"
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
