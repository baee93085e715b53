"""How far the annotation of a campaign has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nnunet_sparse.campaign.annotation_files import (
    AnnotationFiles,
    find_annotations,
    read_annotation,
)
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.slice_states import SliceStates, slice_states
from nnunet_sparse.campaign.worklist import Answers
from nnunet_sparse.errors import SparseError
from nnunet_sparse.parallel import map_cases


@dataclass(frozen=True)
class CaseProgress:
    """What is known about the annotation of a case.

    Attributes
    ----------
    states
        Its slices. All that were asked for are ``todo`` where the annotation cannot be used.
    problem
        Why the annotation cannot be used, with the file; None if it can.
    files
        What was read, or is to be.
    """

    states: SliceStates
    problem: str | None
    files: AnnotationFiles | None


@dataclass(frozen=True)
class Progress:
    """State of every case with slices that were asked for, or with an annotation; and what is left.

    Attributes
    ----------
    cases
        By case ID, sorted.
    unknown
        Files among the annotations that belong to no case.
    """

    cases: dict[str, CaseProgress]
    unknown: list[Path]

    @property
    def states(self) -> dict[str, SliceStates]:
        """Slices of each case."""
        return {case_id: case.states for case_id, case in self.cases.items()}

    @property
    def problems(self) -> list[str]:
        """Why annotations cannot be used."""
        return [case.problem for case in self.cases.values() if case.problem is not None]


def read_progress(
    campaign: Campaign,
    confirmed: Mapping[str, frozenset[int]],
    folder: Path | None,
    num_processes: int,
) -> Progress:
    """Read all annotations; those that cannot be used are told, not raised.

    Parameters
    ----------
    campaign
        The campaign.
    confirmed
        Slices that were confirmed to show no object, by case ID.
    folder
        Where the annotations are; None for the campaign's own.
    num_processes
        Number of processes.

    Raises
    ------
    SparseError
        If the folder is missing, or it is unclear which file is a case's annotation.
    """
    found = find_annotations(campaign, folder)
    cases = sorted({*campaign.asked_cases, *found.cases})
    jobs = {c: (c, found.cases.get(c), confirmed.get(c, frozenset())) for c in cases}
    where = folder or campaign.folder / "labels"
    work = partial(_look_at, campaign=campaign, folder=where)
    return Progress(map_cases(work, jobs, num_processes, "Reading annotations"), found.unknown)


def confirmed_of(campaign: Campaign, answers: Answers) -> dict[str, frozenset[int]]:
    """Slices that were confirmed to show no object in the worklist, by case ID."""
    return {case_id: answers.confirmed(case_id) for case_id in campaign.asked_cases}


def parse_confirmed(
    campaign: Campaign, texts: Sequence[str], states: Mapping[str, SliceStates]
) -> dict[str, frozenset[int]]:
    """Slices that a command line confirms to show no object.

    Parameters
    ----------
    campaign
        The campaign.
    texts
        ``CASE`` for all slices of a case that are as prefilled, ``CASE:3,7`` for some slices;
        nothing for all slices of all cases that are as prefilled.
    states
        What the labels hold.

    Raises
    ------
    SparseError
        If there is no such case, or a slice was not asked for.
    """
    if not texts:
        return {case_id: frozenset(found.todo) for case_id, found in states.items() if found.todo}
    confirmed: dict[str, frozenset[int]] = {}
    for text in texts:
        case_id, colon, numbers = text.partition(":")
        if case_id not in campaign.asked_cases:
            raise SparseError(
                f"--confirm_empty {text}: no slice of a case {case_id!r} is asked for"
            )
        slices = frozenset(states[case_id].todo) if not colon else _slices(numbers, text)
        if others := slices - set(campaign.asked(case_id)):
            raise SparseError(
                f"--confirm_empty {text}: slice {min(others)} of case {case_id} was not asked for"
            )
        confirmed[case_id] = confirmed.get(case_id, frozenset()) | slices
    return confirmed


def _slices(numbers: str, text: str) -> frozenset[int]:
    try:
        return frozenset(int(number) for number in numbers.split(","))
    except ValueError:
        raise SparseError(
            f"--confirm_empty takes CASE or CASE:3,7 (slices), got {text!r}"
        ) from None


def _look_at(
    job: tuple[str, AnnotationFiles | None, frozenset[int]], campaign: Campaign, folder: Path
) -> CaseProgress:
    case_id, files, confirmed = job
    asked = campaign.asked(case_id)
    nothing = SliceStates(todo=asked)
    if files is None:
        expected = folder / campaign.label_file(case_id).name
        return CaseProgress(nothing, f"{expected} is missing", None)
    try:
        label = read_annotation(campaign, case_id, files)
    except SparseError as error:
        return CaseProgress(nothing, str(error), files)
    states = slice_states(label, campaign.axis, asked, confirmed, campaign.ignore_label)
    return CaseProgress(states, None, files)
