"""The labels of an interpolated data set, case by case, and where each of them came from."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nnunet_sparse.data.declared_labels import ignore_label_for
from nnunet_sparse.data.geometry import read_spacing
from nnunet_sparse.data.label_files import place_label, read_label
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, Case
from nnunet_sparse.dataset_tools.interpolation_source import InterpolationSource
from nnunet_sparse.interpolation.dense_label import DenseLabel
from nnunet_sparse.interpolation.method import FromNetwork
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selection.selection import CaseSelection
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases

FOLDER = "interpolation"
"""Folder of an interpolated data set that tells where its labels came from."""

_LEVELS = 255

AskNetwork = Callable[[Case, Path], FromNetwork]
"""What a network says of a case; the folder is for temporary files."""


@dataclass(frozen=True)
class LabelJob:
    """A case whose label is interpolated: its files, the label to be made, and its slices."""

    case: Case
    target: Path
    selected: CaseSelection


def read_provenance(folder: Path, case_id: str) -> dict[str, np.ndarray]:
    """Where the label of a case of an interpolated data set came from.

    Parameters
    ----------
    folder
        Folder of the data set.
    case_id
        The case.

    Returns
    -------
    dict of np.ndarray
        ``source`` and ``hops``, (num_slices,) as in
        :class:`nnunet_sparse.interpolation.dense_label.DenseLabel`, and ``confidence``, the shape
        of the label array as read, float16.
    """
    with np.load(folder / FOLDER / f"{case_id}.npz", allow_pickle=False) as content:
        confidence = content["confidence"].astype(np.float16) / _LEVELS
        return {
            "source": content["source"],
            "hops": content["hops"],
            "confidence": confidence,
        }


def sparse_label_of(
    job: LabelJob, reader: str, axis: int, ignore_label: int, may_be_partial: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Label with its slices first, and which of them are annotated.

    Parameters
    ----------
    job
        The case.
    reader
        Class name of nnU-Net's reader.
    axis
        Slice axis of the array as read.
    ignore_label
        Value of voxels that are not annotated.
    may_be_partial
        Whether annotated slices may hold some.

    Raises
    ------
    SparseError
        If other slices are annotated than the selection says.
    """
    file = job.case.label
    assert file is not None
    sparse = np.moveaxis(read_label(file, reader), axis, 0)
    if len(sparse) != job.selected.num_slices:
        raise SparseError(
            f"{file} has {len(sparse)} slices, {SELECTION_FILE} says {job.selected.num_slices}"
        )
    annotated = np.zeros(len(sparse), bool)
    annotated[list(job.selected.slices)] = True
    gaps = (sparse[annotated] == ignore_label).any() and not may_be_partial
    if gaps or not (sparse[~annotated] == ignore_label).all():
        raise SparseError(f"{file} does not fit {SELECTION_FILE}: other slices are annotated")
    return sparse, annotated


def write_labels(
    folder: Path,
    source: InterpolationSource,
    interpolation: Interpolation,
    ask_network: AskNetwork | None,
    num_processes: int,
) -> None:
    """Write the labels that are not there yet.

    Parameters
    ----------
    folder
        Folder of the data set, under whatever name.
    source
        The sparse data set.
    interpolation
        How slices that are not annotated are filled.
    ask_network
        What gets from its network what the method needs; None where it needs none.
    num_processes
        Number of processes where there is no network.

    Raises
    ------
    SparseError
        If a label does not fit the selection, or cannot be read or written.
    """
    staging = folder / ".staging"
    for subfolder in (folder / "labelsTr", folder / FOLDER, staging):
        subfolder.mkdir(exist_ok=True)
    jobs = {
        case_id: LabelJob(
            source.raw.training[case_id],
            folder / "labelsTr" / f"{case_id}{source.raw.file_ending}",
            case,
        )
        for case_id, case in source.filled.cases.items()
    }
    todo = {case_id: job for case_id, job in jobs.items() if not job.target.exists()}
    write = partial(
        _write_label,
        reader=source.raw.reader(),
        axis=source.selection.axis,
        interpolation=interpolation,
        ignore_label=ignore_label_for(source.raw.dataset_json["labels"]),
        may_be_partial=source.may_be_partial,
        staging=staging,
    )
    if ask_network is None:
        map_cases(write, todo, num_processes, "Interpolating labels")
    else:
        # the network uses all cores, or the GPU, for one volume
        done = len(jobs) - len(todo)
        bar = tqdm(
            todo.values(),
            "Interpolating labels",
            len(jobs),
            initial=done,
            leave=False,
            disable=None,
        )
        for job in bar:
            write(job, ask_network=ask_network)
    shutil.rmtree(staging)


def _write_label(
    job: LabelJob,
    reader: str,
    axis: int,
    interpolation: Interpolation,
    ignore_label: int,
    may_be_partial: bool,
    staging: Path,
    ask_network: AskNetwork | None = None,
) -> None:
    case_id, template = job.case.case_id, job.case.label
    assert template is not None
    sparse, annotated = sparse_label_of(job, reader, axis, ignore_label, may_be_partial)
    said = None if ask_network is None else ask_network(job.case, staging)
    spacing = np.delete(read_spacing(job.case.images[0], reader), axis)
    found = interpolation.fill(sparse, annotated, (float(spacing[0]), float(spacing[1])), said)
    label = found.with_ignore(interpolation.min_confidence, ignore_label)
    _write_provenance(staging.parent / FOLDER / f"{case_id}.npz", found, axis, staging)
    dense = np.ascontiguousarray(np.moveaxis(label, 0, axis))
    place_label(job.target, dense, template, reader, staging)


def _write_provenance(file: Path, found: DenseLabel, axis: int, staging: Path) -> None:
    confidence = np.round(found.confidence.astype(np.float32) * _LEVELS).astype(np.uint8)
    with atomic_path(file, staging) as temporary:
        np.savez_compressed(
            temporary,
            source=found.source.astype(np.int32),
            hops=found.hops.astype(np.int32),
            confidence=np.moveaxis(confidence, 0, axis),
        )
