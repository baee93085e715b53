"""Fingerprints and plans in ``nnUNet_preprocessed/DATASET/nnsparse``, made once for many uses.

A file is named after a digest of what it is made from, and written in one step: one that can be
read is complete and right. nnU-Net's own files in ``nnUNet_preprocessed/DATASET`` are left alone.
"""

import io
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_sparse.data.plans_configuration import Plans
from nnunet_sparse.data.preprocessing_record import digest_of
from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.data.slice_axis import count_slice_axes
from nnunet_sparse.planners.planner_classes import default_plans_name, find_planner, is_ours
from nnunet_sparse.planners.planning_input import PlanningInput
from nnunet_sparse.planners.plans import FINGERPRINT_FILE, read_plans
from nnunet_sparse.planners.training_files import check_files_complete, label_files
from nnunet_sparse.system.atomic import as_json, remove_leftovers, write_json
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.errors import naming
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.locks import locked
from nnunet_sparse.training.settings import BLOCK

logger = logging.getLogger(__name__)

STORE = "nnsparse"
_DIGEST_LENGTH = 16


def stored_plans(
    preprocessed: Path, source: PlanningInput, planner: str, num_processes: int
) -> tuple[Path, Plans]:
    """Fingerprint and plans, made if they are not there.

    Calls for the same measured data set wait for each other.

    Parameters
    ----------
    preprocessed
        ``nnUNet_preprocessed``.
    source
        What they are made from.
    planner
        Name of the planner.
    num_processes
        Number of processes that measure; the result does not depend on it.

    Returns
    -------
    tuple of Path and dict
        The fingerprint's file, and the plans under the planner's own name. They belong to the
        measured data set until they are moved.

    Raises
    ------
    SparseError
        If nnU-Net fails.
    """
    store = preprocessed / source.measured.name / STORE
    measured = store / f"fingerprint_{source.fingerprint_digest[:_DIGEST_LENGTH]}.json"
    digest = digest_of(source.plans_digest, planner)[:_DIGEST_LENGTH]
    planned = store / f"{planner}_{digest}.json"
    plans = read_plans(planned)
    if plans is None or not _is_intact(measured):
        store.mkdir(parents=True, exist_ok=True)
        with locked(store / ".nnsparse.lock"):
            remove_leftovers(store)
            if not _is_intact(measured):
                write_json(measured, _measured(source, num_processes))
            plans = read_plans(planned)  # another process may have made them
            if plans is None:
                plans = _planned(source, planner, measured, num_processes)
                write_json(planned, plans, sort_keys=False)
    return measured, plans


def _is_intact(fingerprint: Path) -> bool:
    try:
        return "spacings" in load_json(fingerprint, float)
    except (OSError, ValueError, TypeError):
        return False


def _measured(source: PlanningInput, num_processes: int) -> dict[str, Any]:
    from nnunet_sparse.planners.sparse_fingerprint import SparseFingerprintExtractor

    name = source.measured.name
    check_files_complete(source.measured, source.cases)
    logger.info("fingerprint: measuring %d cases of %s", len(source.cases), name)
    with _quiet(f"the fingerprint of {name}"), _staged(source, None):
        return SparseFingerprintExtractor(name, num_processes).measure()


def _planned(source: PlanningInput, planner: str, fingerprint: Path, num_processes: int) -> Plans:
    planner_class = find_planner(planner)
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    name = source.measured.name
    logger.info("plans: %s plans for %d cases of %s", planner, source.num_training, name)
    if source.slice_axis is None and is_ours(planner):
        source = replace(source, slice_axis=_shown_slice_axis(source, num_processes))
    with _quiet(f"the plans of {name}"), _staged(source, fingerprint):
        instance = planner_class(name, plans_name=default_plans_name(planner))
        # nnU-Net's would not be written in one step, nor compared with what is there
        instance.save_plans = recursive_fix_for_json_export
        # nnU-Net prints a traceback for each of its readers that does not take the images
        with environment(_positive_thread_number()), redirect_stderr(io.StringIO()):
            instance.plan_experiment()
    plans: Plans = as_json(instance.plans)
    return plans | {BLOCK: {"fingerprint": source.provenance()}}


def _shown_slice_axis(source: PlanningInput, num_processes: int) -> int | None:
    """Slice axis of most labels of a data set that we did not make."""
    measured, ignore_label = source.measured, source.measured.ignore_label
    if ignore_label is None:
        return None
    from nnunet_sparse.planners.sparse_fingerprint import reader_class

    labels = {c: file for c, file in label_files(measured).items() if c in source.cases}
    image = str(measured.training[source.cases[0]].images[0])
    with _quiet(f"the files of {measured.name}"):
        reader = reader_class(measured.dataset_json, image).__name__
    axes = count_slice_axes(labels, reader, ignore_label, num_processes)
    if len(axes) > 1:
        counts = ", ".join(f"{number} along axis {axis}" for axis, number in sorted(axes.items()))
        logger.warning(
            "the labels of %s are annotated along different axes (%s): 2d cuts along one only",
            measured.name,
            counts,
        )
    return min(axes, key=lambda axis: (-axes[axis], axis), default=None)


@contextmanager
def _staged(source: PlanningInput, fingerprint: Path | None) -> Iterator[None]:
    """Show nnU-Net folders in which the data set holds what is to be planned, and nothing else."""
    measured = source.measured
    cases = {
        case_id: {
            "images": [str(image.absolute()) for image in measured.training[case_id].images],
            "label": str(label.absolute()),
        }
        for case_id, label in label_files(measured).items()
        if case_id in source.cases
    }
    content = source.declared | {"numTraining": source.num_training, "dataset": cases}
    with tempfile.TemporaryDirectory(prefix="nnsparse_") as root, naming(Path(root)):
        raw, preprocessed = (Path(root) / part / measured.name for part in ("raw", "preprocessed"))
        for folder in (raw, preprocessed):
            folder.mkdir(parents=True)
        (raw / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
        if source.slice_axis is not None:
            selection = json.dumps({"axis": source.slice_axis})
            (raw / SELECTION_FILE).write_text(selection, encoding="utf-8")
        if fingerprint is not None:
            (preprocessed / FINGERPRINT_FILE).write_bytes(fingerprint.read_bytes())
        folders = {"nnUNet_raw": raw.parent, "nnUNet_preprocessed": preprocessed.parent}
        with environment({name: str(folder) for name, folder in folders.items()}):
            yield


@contextmanager
def _quiet(what: str) -> Iterator[None]:
    """Run nnU-Net's code without its printing, and turn its errors into one line."""

    def message(error: Exception) -> str:
        if isinstance(error, OSError):
            reason = f"{error.filename or ''} {error.strerror or error}".strip()
        else:
            reason = in_one_line(error)
        return f"nnU-Net failed at {what}: {reason}"

    with explained(message), redirect_stdout(io.StringIO()):
        yield


def _positive_thread_number() -> dict[str, str]:
    """Variable that hides ``nnUNet_n_proc_DA=0``, which nnU-Net's planner would hand to torch."""
    name = "nnUNet_n_proc_DA"
    return {name: "1"} if os.environ.get(name) == "0" else {}
