"""The content of a sparse data set's folder."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.declared_labels import IGNORE, ignore_label_for
from nnunet_sparse.data.folds import SPLITS_FILE, Fold
from nnunet_sparse.data.label_files import (
    TIFF_READER,
    is_stored_whole,
    label_dtype,
    place_label,
    read_label,
    spacing_file,
)
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.data.split import Split
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.links import link_file
from nnunet_sparse.system.parallel import map_cases

DATASET_FILE = "dataset.json"
SOURCES_FILE = "sources.json"
"""File of a data set of ours: hashes of the labels that its own were made from."""


def sparse_documents(
    dataset: RawDataset, split: Split, selection: Selection, folds: list[Fold]
) -> dict[str, Any]:
    """Content of the JSON files of a sparse data set, by file name.

    ``dataset.json`` declares ``ignore`` (highest label + 1) and refers to the images of the base
    by paths relative to the data set's folder; ``splits_final.json`` holds the
    folds; ``selection.json`` says which slices are annotated; ``sources.json`` identifies the
    labels of the base.
    """
    annotated = sorted(selection.cases)
    sibling = dataset.folder.parent / "sibling"
    mapping = {
        case_id: {
            "images": [os.path.relpath(i, sibling) for i in dataset.training[case_id].images],
            "label": f"labelsTr/{case_id}{dataset.file_ending}",
        }
        for case_id in sorted([*annotated, *split.val])
    }
    content = {
        **dataset.dataset_json,
        "labels": {
            **dataset.dataset_json["labels"],
            IGNORE: ignore_label_for(dataset.dataset_json["labels"]),
        },
        "numTraining": len(mapping),
        "dataset": mapping,
        # nnU-Net chooses by the first image alone, which is another one here
        "overwrite_image_reader_writer": dataset.reader(),
    }
    if "$" in str(mapping):
        raise SparseError(f"nnU-Net replaces '$' in paths; rename the files of {dataset.name}")
    return {
        DATASET_FILE: content,
        SPLITS_FILE: folds,
        SELECTION_FILE: selection.to_json(),
        SOURCES_FILE: label_sources(dataset, annotated),
    }


def label_sources(dataset: RawDataset, cases: Iterable[str]) -> dict[str, Any]:
    """Content of ``sources.json``: what the label files of some cases hold.

    Raises
    ------
    SparseError
        If a label is missing.
    """
    digests = {}
    for case_id in sorted(cases):
        label = dataset.training[case_id].label
        if label is None or not label.is_file():
            raise SparseError(f"case {case_id} of {dataset.name} has no label: {label}")
        digests[case_id] = file_digest(label)
    return {"version": 1, "labels": digests}


def write_sparse_folder(
    folder: Path, dataset: RawDataset, split: Split, selection: Selection, num_processes: int
) -> None:
    """Write labels and links; files that are there already are complete and left as they are.

    Parameters
    ----------
    folder
        Folder beside the base's; its JSON files are not touched.
    dataset
        The dense base.
    split
        Its split: validation labels are linked to ``labelsTr``, test cases to ``imagesTs`` and
        ``labelsTs``.
    selection
        Annotated slices of the annotated cases.
    num_processes
        Number of processes that write labels.
    """
    labels, staging = folder / "labelsTr", folder / ".staging"
    for subfolder in (labels, staging):
        subfolder.mkdir(exist_ok=True)
    ending = dataset.file_ending
    jobs = {}
    for case_id, case in selection.cases.items():
        template = dataset.training[case_id].label
        target = labels / f"{case_id}{ending}"
        if template is not None and not target.exists():
            jobs[case_id] = _LabelJob(template, target, case.slices)
    write = partial(
        _write_sparse_label,
        reader=dataset.reader(),
        axis=selection.axis,
        ignore_label=ignore_label_for(dataset.dataset_json["labels"]),
        staging=staging,
    )
    map_cases(write, jobs, num_processes, "Writing labels")
    shutil.rmtree(staging)  # with what a killed call has left
    link_cases(folder, dataset, split)


def link_cases(folder: Path, dataset: RawDataset, split: Split) -> None:
    """Link validation labels to ``labelsTr``, test cases to ``imagesTs`` and ``labelsTs``.

    Of labels that are whole numbers only up to rounding, which nnU-Net cuts off, whole numbers are
    written.

    Parameters
    ----------
    folder
        Folder of a data set beside the base's.
    dataset
        The dense base.
    split
        Its split.
    """
    for case_id in split.val:
        _link_label(dataset, case_id, folder / "labelsTr")
    if split.test:
        _link_test_cases(folder, dataset, split)


@dataclass(frozen=True)
class _LabelJob:
    template: Path
    target: Path
    slices: tuple[int, ...]


def sparse_label(
    label: np.ndarray, axis: int, slices: tuple[int, ...], ignore_label: int
) -> np.ndarray:
    """Keep the annotated slices of a label and set every other voxel to ``ignore``.

    Parameters
    ----------
    label
        (z, y, x) integers.
    axis
        Slice axis.
    slices
        Indices of the annotated slices.
    ignore_label
        Value of voxels that are not annotated.

    Returns
    -------
    np.ndarray
        Same shape; same type, or a larger one if that cannot hold ``ignore_label``.
    """
    sparse = np.full(label.shape, ignore_label, dtype=label_dtype(label.dtype, ignore_label))
    annotated: list[Any] = [slice(None)] * label.ndim
    annotated[axis] = list(slices)
    sparse[tuple(annotated)] = label[tuple(annotated)]
    return sparse


def _write_sparse_label(
    job: _LabelJob, reader: str, axis: int, ignore_label: int, staging: Path
) -> None:
    label = read_label(job.template, reader)
    sparse = sparse_label(label, axis, job.slices, ignore_label)
    place_label(job.target, sparse, job.template, reader, staging)


def _link_label(dataset: RawDataset, case_id: str, folder: Path) -> None:
    label, reader = dataset.case(case_id).label, dataset.reader()
    if label is None:
        return
    target = folder / f"{case_id}{dataset.file_ending}"
    if is_stored_whole(label, reader):
        _link(dataset, label, target)
    elif not target.exists():
        place_label(target, read_label(label, reader), label, reader, folder.parent)


def _link_test_cases(folder: Path, dataset: RawDataset, split: Split) -> None:
    images, labels = folder / "imagesTs", folder / "labelsTs"
    for subfolder in (images, labels):
        subfolder.mkdir(exist_ok=True)
    for case_id in split.test:
        _link_label(dataset, case_id, labels)
        for channel, image in enumerate(dataset.case(case_id).images):
            _link(dataset, image, images / f"{case_id}_{channel:04d}{dataset.file_ending}")


def _link(dataset: RawDataset, source: Path, link: Path) -> None:
    link_file(source, link)
    if dataset.reader() == TIFF_READER and spacing_file(source).exists():
        link_file(spacing_file(source), spacing_file(link))
