"""How far two annotators agree on slices that both were asked for.

Slices are compared one by one, in their plane: Dice, and HD95 in mm
(:mod:`nnunet_sparse.evaluation`). Pixels that either of them left as ``ignore`` are left out. Where
neither shows a label nothing is said of it; where one of them does, Dice is 0 and HD95 is
undefined.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.annotation_files import AnnotationFiles, read_annotation
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.open_campaign import campaign_lock, open_campaign
from nnunet_sparse.campaign.progress import CampaignProgress, find_progress
from nnunet_sparse.campaign.second_reading import read_second, slice_annotators
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import Answers, write_worklist
from nnunet_sparse.data.declared_labels import foreground_values
from nnunet_sparse.evaluation.metrics import Counts, count_voxels, label_mask
from nnunet_sparse.evaluation.surface_metrics import surface_metrics
from nnunet_sparse.system.parallel import map_cases


@dataclass(frozen=True)
class SliceAgreement:
    """How far two annotators agree on a label of a slice.

    Attributes
    ----------
    counts
        Pixels; the first annotation is the reference.
    hd95_mm
        NaN where it is undefined.
    """

    counts: Counts
    hd95_mm: float = math.nan

    @property
    def is_shown(self) -> bool:
        """Whether either of them shows the label."""
        return bool(self.counts.num_reference or self.counts.num_prediction)

    @property
    def is_shown_by_one(self) -> bool:
        """Whether one of them shows the label, and the other does not."""
        return self.is_shown and not (self.counts.num_reference and self.counts.num_prediction)


@dataclass(frozen=True)
class Readings:
    """Second readings, and how far they agree with the first ones.

    Attributes
    ----------
    progress
        How far the second readings have come.
    labels
        What was compared, a slice each, by the name of the label or region.
    same
        Slices by case ID that one annotator has read twice; they are not compared.
    num_unnamed
        Compared slices of which it is not known who has read them first, or second.
    """

    progress: CampaignProgress
    labels: Mapping[str, Sequence[SliceAgreement]] = field(default_factory=dict)
    same: Mapping[str, Sequence[int]] = field(default_factory=dict)
    num_unnamed: int = 0


def compare_readings(
    campaign: Campaign, answers: Answers, progress: CampaignProgress, num_processes: int
) -> Readings | None:
    """Read the second readings of a campaign, and compare them with the first ones.

    The status in their worklist is brought up to date.

    Parameters
    ----------
    campaign
        The campaign.
    answers
        What people have written into its worklist.
    progress
        Its annotations.
    num_processes
        Number of processes.

    Returns
    -------
    Readings or None
        None if nobody is asked for second readings.

    Raises
    ------
    SparseError
        If the folder of the second readings is missing or damaged. What is wrong with an annotation
        is part of its progress.
    """
    second = read_second(campaign)
    if second is None:
        return None
    with campaign_lock(second.folder):
        second = open_campaign(second.folder, num_processes)
        their_answers, their_progress = find_progress(second, None, None, num_processes)
        write_worklist(second, their_answers, their_progress.states)
    first_by, second_by = (
        slice_annotators(campaign, answers),
        slice_annotators(second, their_answers),
    )
    nobody = frozenset[str]()
    same: dict[str, list[int]] = {}
    jobs = {}
    num_unnamed = 0
    for case_id in second.asked_cases:
        ours, theirs = progress.cases[case_id], their_progress.cases[case_id]
        both = _told(ours.states) & _told(theirs.states) & set(second.asked(case_id))
        compared = []
        for i in sorted(both):
            names = first_by.get((case_id, i), nobody), second_by.get((case_id, i), nobody)
            if names[0] & names[1]:
                same.setdefault(case_id, []).append(i)
                continue
            num_unnamed += not all(names)
            compared.append(i)
        if compared:
            jobs[case_id] = (case_id, compared, ours.annotation, theirs.annotation)
    work = partial(_compare_case, campaign=campaign, second=second)
    found = map_cases(work, jobs, num_processes, "Comparing readings") if jobs else {}
    labels = {
        name: [of_slice for of_case in found.values() for of_slice in of_case[name]]
        for name in foreground_values(campaign.dataset["labels"])
    }
    return Readings(their_progress, labels, same, num_unnamed)


def compare_slices(
    first: np.ndarray,
    second: np.ndarray,
    labels: Mapping[str, Sequence[int]],
    spacing_mm: Sequence[float],
    ignore_label: int,
) -> dict[str, SliceAgreement]:
    """Compare two annotations of a slice.

    Parameters
    ----------
    first, second
        (rows, columns) integers.
    labels
        Values of each label or region, by its name.
    spacing_mm
        Distance between the pixels, along rows and columns of the array.
    ignore_label
        Value of pixels that are left out.
    """
    ignored = (first == ignore_label) | (second == ignore_label)
    found = {}
    for name, values in labels.items():
        label = values[0] if len(values) == 1 else tuple(values)
        masks = label_mask(first, label), label_mask(second, label)
        compared = SliceAgreement(count_voxels(*masks, ignore=ignored))
        if compared.is_shown and not compared.is_shown_by_one:
            surfaces = surface_metrics(*masks, spacing_mm, ignore=ignored)
            compared = SliceAgreement(compared.counts, surfaces.hd95_mm)
        found[name] = compared
    return found


def _told(states: SliceStates) -> set[int]:
    """Slices that are annotated, of which nothing contradicts the annotation."""
    return {*states.done, *states.empty}


def _compare_case(
    job: tuple[str, Sequence[int], AnnotationFiles, AnnotationFiles],
    campaign: Campaign,
    second: Campaign,
) -> dict[str, list[SliceAgreement]]:
    case_id, slices, ours, theirs = job
    case = AnnotatedCase(campaign, case_id)
    first_planes, second_planes = (
        np.moveaxis(read_annotation(which, case_id, files), campaign.axis, 0)
        for which, files in ((campaign, ours), (second, theirs))
    )
    spacing = case.geometry.spacing_mm or (1.0, 1.0, 1.0)
    in_plane = [mm for k, mm in enumerate(spacing) if k != campaign.axis]
    labels = foreground_values(campaign.dataset["labels"])
    compared = [
        compare_slices(first_planes[i], second_planes[i], labels, in_plane, campaign.ignore_label)
        for i in slices
    ]
    return {name: [of_slice[name] for of_slice in compared] for name in labels}
