"""How far the annotation of a campaign has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from nnunet_sparse.campaign.annotated_case import first_few
from nnunet_sparse.campaign.annotation_files import (
    AnnotationFiles,
    find_annotations,
    read_annotation,
)
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.predicted_slices import handed_out
from nnunet_sparse.campaign.second_reading import refuse_second_readings
from nnunet_sparse.campaign.slice_states import PredictedState, SliceStates, slice_states
from nnunet_sparse.campaign.worklist import Answers, read_worklist
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases


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
        Its annotation; None if there is none, or if several files contradict each other.
    is_missing
        Whether there is no annotation.
    """

    states: SliceStates
    problem: str | None
    files: AnnotationFiles | None
    is_missing: bool = False

    @property
    def annotation(self) -> AnnotationFiles:
        """The files of a case that has slices with annotation."""
        assert self.files is not None
        return self.files


@dataclass(frozen=True)
class CampaignProgress:
    """How far the annotation of every case has come that is to be annotated, or is.

    Attributes
    ----------
    cases
        By case ID, sorted.
    unknown
        Files among the annotations that belong to no case.
    unusable
        Files of which it cannot be told to which case they belong, with the reason.
    """

    cases: dict[str, CaseProgress]
    unknown: list[Path]
    unusable: Mapping[Path, str]

    @property
    def states(self) -> dict[str, SliceStates]:
        """Slices of each case."""
        return {case_id: case.states for case_id, case in self.cases.items()}

    @property
    def unreadable(self) -> list[str]:
        """Why annotations that are there do not count, which leaves open what is annotated."""
        wrong = [c.problem for c in self.cases.values() if c.problem and not c.is_missing]
        return [*wrong, *self.unusable.values()]

    def with_confirmed(self, slices: Mapping[str, frozenset[int]]) -> "CampaignProgress":
        """The same, after slices that are as prefilled were confirmed to show no object."""
        cases = {
            case_id: replace(case, states=case.states.with_confirmed(slices.get(case_id, ())))
            for case_id, case in self.cases.items()
        }
        return replace(self, cases=cases)


def read_progress(
    campaign: Campaign,
    confirmed: Mapping[str, frozenset[int]],
    folder: Path | None,
    num_processes: int,
    accepted: Mapping[str, frozenset[int]] | None = None,
) -> CampaignProgress:
    """Read all annotations; what is wrong with one of them is part of the result, not an error.

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
    accepted
        Slices of which people say that what the label holds is right, by case ID.

    Raises
    ------
    SparseError
        If the folder is missing.
    """
    found = find_annotations(campaign, folder)
    unclear = {
        case_id: CaseProgress(SliceStates(todo=campaign.asked(case_id)), problem, None)
        for case_id, problem in found.problems.items()
    }
    cases = sorted({*campaign.asked_cases, *found.cases} - unclear.keys())
    nothing = frozenset[int]()
    jobs = {
        c: (c, found.cases.get(c), confirmed.get(c, nothing), (accepted or {}).get(c, nothing))
        for c in cases
    }
    where = folder or campaign.label_folder
    work = partial(_look_at, campaign=campaign, folder=where)
    read = map_cases(work, jobs, num_processes, "Reading annotations")
    return CampaignProgress(
        dict(sorted({**read, **unclear}.items())), found.unknown, found.unusable
    )


def find_progress(
    campaign: Campaign,
    folder: Path | None,
    texts: Sequence[str] | None,
    num_processes: int,
) -> tuple[Answers, CampaignProgress]:
    """Read the worklist and all annotations.

    Parameters
    ----------
    campaign
        The campaign.
    folder
        Where the annotations are; None for the campaign's own.
    texts
        Values of ``--confirm_empty``, as :func:`parse_confirmed` takes them; None without it.
    num_processes
        Number of processes.

    Returns
    -------
    answers : Answers
        What people have written into the worklist, with the slices that ``texts`` confirms.
    progress : CampaignProgress
        State of all cases, in which these slices count as confirmed.

    Raises
    ------
    SparseError
        If the worklist or the folder cannot be read, the folder is that of second readings, or
        ``texts`` confirm what cannot be confirmed.
    """
    refuse_second_readings(folder, campaign)
    answers = read_worklist(campaign)
    accepted = {c: answers.accepted(c) for c in campaign.asked_cases}
    progress = read_progress(
        campaign,
        _confirmed_in_worklist(campaign, answers),
        folder,
        num_processes,
        accepted if campaign.has_predictions else None,
    )
    if texts is not None:
        confirmed = parse_confirmed(campaign, texts, progress)
        answers, progress = answers.with_confirmed(confirmed), progress.with_confirmed(confirmed)
    return answers, progress


def _confirmed_in_worklist(campaign: Campaign, answers: Answers) -> dict[str, frozenset[int]]:
    """Slices by case ID that the worklist confirms to show no object."""
    return {case_id: answers.confirmed(case_id) for case_id in campaign.asked_cases}


def parse_confirmed(
    campaign: Campaign, texts: Sequence[str], progress: CampaignProgress
) -> dict[str, frozenset[int]]:
    """Read which slices ``--confirm_empty`` confirms to show no object.

    Parameters
    ----------
    campaign
        The campaign.
    texts
        ``CASE`` for all slices of a case that are as prefilled, ``CASE:3,7`` for some slices;
        nothing for all slices of all cases that are as prefilled.
    progress
        What the labels hold. Nothing is confirmed of cases whose annotation cannot be used.

    Raises
    ------
    SparseError
        If there is no such case, its annotation cannot be used, or a slice was not asked for or is
        not as prefilled; where nothing is named, if there are files that belong to no case.
    """
    confirmed: dict[str, frozenset[int]] = {}
    if not texts:
        confirmed = {
            case_id: frozenset(case.states.todo)
            for case_id, case in progress.cases.items()
            if case.problem is None and case.states.todo
        }
        _refuse_strangers(progress, list(confirmed))
        return confirmed
    for text in texts:
        case_id, colon, numbers = text.partition(":")
        option = f"--confirm_empty {text}"
        if case_id not in campaign.asked_cases:
            raise SparseError(f"{option}: no slice of a case {case_id!r} is asked for")
        case = progress.cases[case_id]
        if case.problem is not None:
            raise SparseError(f"{option}: {case.problem}")
        slices = frozenset(case.states.todo) if not colon else _slices(numbers, text)
        for i in sorted(slices):
            if i not in campaign.asked(case_id):
                raise SparseError(f"{option}: slice {i} of case {case_id} was not asked for")
            if i not in {*case.states.todo, *case.states.empty}:
                raise SparseError(f"{option}: slice {i} of case {case_id} is not as prefilled")
        confirmed[case_id] = confirmed.get(case_id, frozenset()) | slices
    return confirmed


def _refuse_strangers(progress: CampaignProgress, cases: Sequence[str]) -> None:
    """Refuse to call slices empty whose annotation may lie in a file that belongs to no case."""
    strangers = [*progress.unknown, *progress.unusable]
    if strangers and cases:
        raise SparseError(
            f"--confirm_empty: there are files that belong to no case ({first_few(strangers)}) and "
            f"may be the annotation of {first_few(cases)}; call files after their cases, move "
            "others away, or name the cases on which there is no object (--confirm_empty CASE)"
        )


def _slices(numbers: str, text: str) -> frozenset[int]:
    try:
        return frozenset(int(number) for number in numbers.split(","))
    except ValueError:
        raise SparseError(
            f"--confirm_empty takes CASE or CASE:3,7 (slices), got {text!r}"
        ) from None


def _look_at(
    job: tuple[str, AnnotationFiles | None, frozenset[int], frozenset[int]],
    campaign: Campaign,
    folder: Path,
) -> CaseProgress:
    case_id, files, confirmed, accepted = job
    asked = campaign.asked(case_id)
    nothing = SliceStates(todo=asked)
    if files is None:
        expected = folder / campaign.label_file(case_id).name
        return CaseProgress(nothing, f"{expected} is missing", None, is_missing=True)
    try:
        label = read_annotation(campaign, case_id, files)
        planes = handed_out(campaign, case_id)
    except SparseError as error:
        return CaseProgress(nothing, str(error), files)
    predicted = PredictedState(planes, accepted, may_be_erased=files.kind == "volume")
    states = slice_states(label, campaign.axis, asked, confirmed, campaign.ignore_label, predicted)
    return CaseProgress(states, None, files)
