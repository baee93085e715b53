"""Reasons not to import a campaign: annotation that is wrong, and annotation that is missing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_sparse.campaign.import_request import ImportRequest
from nnunet_sparse.campaign.progress import CampaignProgress, CaseProgress
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportProblem:
    """A reason not to import a campaign.

    Attributes
    ----------
    text
        The reason, with the file.
    is_missing
        Whether annotation is missing, rather than wrong: ``--partial`` goes on without it.
    """

    text: str
    is_missing: bool = False


def import_problems(progress: CampaignProgress, request: ImportRequest) -> list[ImportProblem]:
    """Find all reasons not to import a campaign, by case.

    Parameters
    ----------
    progress
        Its annotations.
    request
        What is to be imported.
    """
    problems = list[ImportProblem]()
    for case_id, case in progress.cases.items():
        if case.problem is not None and not case.is_missing:
            problems.append(ImportProblem(case.problem))
        elif case.problem is None:
            problems += _wrong_slices(case, request)
            problems += [] if request.partial else _missing_slices(case)
        elif not request.partial:
            asked = _slices(case.states.todo)
            problems.append(ImportProblem(f"{case.problem} ({case_id}: {asked} asked for)", True))
    if any(problem.is_missing for problem in problems):
        problems += [ImportProblem(f"{file} belongs to no case") for file in progress.unknown]
    return problems + [ImportProblem(text) for text in progress.unusable.values()]


def _wrong_slices(case: CaseProgress, request: ImportRequest) -> list[ImportProblem]:
    """Slices that are annotated and should not be."""
    states, problems = case.states, []
    if states.contradictory:
        problems.append(
            f"{_named(case, states.contradictory)} confirmed empty, but with an object, or ignore "
            "everywhere"
        )
    if request.extra == "refuse" and states.extra:
        problems.append(
            f"{_named(case, states.extra)} annotated, but not asked for (--accept_extra takes this "
            "annotation, --drop_extra leaves it out)"
        )
    if request.extra == "refuse" and states.cleared:
        problems.append(
            f"{_named(case, states.cleared)} background, but not asked for: was the label ignore "
            "lost? (--drop_extra leaves these slices out, --accept_extra as well)"
        )
    return [ImportProblem(text) for text in problems]


def _missing_slices(case: CaseProgress) -> list[ImportProblem]:
    """Slices that were asked for and are not annotated."""
    states = case.states
    kinds = (
        (states.todo, "as prefilled, without an object"),
        (states.predicted, "as the network predicted, which nobody has changed or confirmed"),
        (states.skipped, "ignore everywhere"),
        (states.unfinished, "with objects, but ignore in place of background"),
    )
    return [
        ImportProblem(f"{_named(case, slices)} {what}", True) for slices, what in kinds if slices
    ]


def refuse_problems(problems: Sequence[ImportProblem]) -> None:
    """Log all problems, a line each, and raise the first one.

    Raises
    ------
    SparseError
        If there is a problem.
    """
    if not problems:
        return
    text = problems[0].text
    if len(problems) > 1:
        for problem in problems:
            logger.info("- %s", problem.text)
        text = f"{len(problems)} problems (see above); the first: {text}"
    if any(problem.is_missing for problem in problems):
        text += (
            "; slices that are not annotated: annotate them, confirm that they show no object "
            "(column confirmed_empty of worklist.csv, or --confirm_empty), or leave them out with "
            "--partial"
        )
    raise SparseError(text)


def _slices(indices: Sequence[int]) -> str:
    numbers = ", ".join(map(str, indices))
    return f"slice {numbers} is" if len(indices) == 1 else f"slices {numbers} are"


def _named(case: CaseProgress, indices: Sequence[int]) -> str:
    """File and slices, as the subject of a sentence."""
    files = case.annotation
    by_slice = dict(zip(files.slices, files.files, strict=True)) if files.slices else {}
    file = next((by_slice[i] for i in indices if i in by_slice), files.files[0])
    if by_slice and not by_slice.keys() & set(indices):  # there is no mask of these slices
        file = file.with_name(file.name.rpartition("_slice")[0])
    return f"{file}: {_slices(indices)}"
