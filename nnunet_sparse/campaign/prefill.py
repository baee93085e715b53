"""The labels that are edited: background where annotation is asked for, ignore elsewhere."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotation_files import (
    AnnotationFiles,
    find_annotations,
    read_annotation,
)
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.predicted_slices import handed_out
from nnunet_sparse.campaign.prefilled_label import prefilled_label
from nnunet_sparse.data.geometry import MAX_SHIFT_VOXELS, read_geometry
from nnunet_sparse.data.label_files import write_label_like
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases


def prefill(campaign: Campaign, num_processes: int) -> None:
    """Bring the slices of rounds that are not complete into the label files.

    Labels that are missing are made, unless the case is annotated in another file. In labels that
    are there, new slices that hold nothing but ignore become background, or what a network
    predicted; everything else stays as it is. A label that a program has turned or flipped is
    turned back.

    Parameters
    ----------
    campaign
        The campaign.
    num_processes
        Number of processes.

    Raises
    ------
    SparseError
        If a label cannot be read.
    """
    jobs: dict[str, set[int]] = {}
    for asking in campaign.rounds:
        if not asking.complete:
            for case_id, slices in asking.slices.items():
                jobs.setdefault(case_id, set()).update(slices)
    if not jobs:
        return
    campaign.label_folder.mkdir(exist_ok=True)
    found = find_annotations(campaign)
    annotated = found.cases.keys() | found.problems.keys()
    work = partial(_prefill_case, campaign=campaign)
    arguments = {c: (c, sorted(slices), c in annotated) for c, slices in sorted(jobs.items())}
    map_cases(work, arguments, num_processes, "Prefilling")


def check_extendable(campaign: Campaign) -> None:
    """Refuse label volumes that cannot be given more slices.

    Raises
    ------
    SparseError
        If a case is annotated in a volume that is not the prefilled file.
    """
    for case_id, annotation in find_annotations(campaign).cases.items():
        file = campaign.label_file(case_id)
        if annotation.kind == "volume" and annotation.files[0].name != file.name:
            raise SparseError(
                f"{annotation.files[0]}: more slices can be asked for in {file.name} only; save "
                "the annotation under that name"
            )


def _prefill_case(job: tuple[str, Sequence[int], bool], campaign: Campaign) -> None:
    case_id, slices, annotated = job
    file, reader, axis = campaign.label_file(case_id), campaign.images.reader(), campaign.axis
    image = campaign.image_files(case_id)[0]
    if not file.exists():
        if not annotated:
            _write(file, prefilled_label(campaign, case_id), image, campaign)
        return
    label = read_annotation(campaign, case_id, AnnotationFiles("volume", (file,)))
    planes, ignore = np.moveaxis(label, axis, 0), campaign.ignore_label
    untouched = [i for i in slices if (planes[i] == ignore).all()]
    if untouched:
        label = label.copy()
        planes = np.moveaxis(label, axis, 0)
        planes[untouched] = 0
        predicted = handed_out(campaign, case_id)
        for i in predicted.keys() & set(untouched):
            planes[i] = predicted[i]
        found, wanted = (read_geometry(path, reader) for path in (file, image))
        turned = found.shape != wanted.shape or found.shift_voxels(wanted) > MAX_SHIFT_VOXELS
        _write(file, label, image if turned else file, campaign)


def _write(file: Path, label: np.ndarray, template: Path, campaign: Campaign) -> None:
    with atomic_path(file, campaign.folder) as temporary:
        write_label_like(temporary, label, template, campaign.images.reader())
