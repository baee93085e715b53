"""Bringing decisions into a campaign's files: the label, the measured times, the worklist.

A label is written with what is on the disk at that moment: what another program has changed on
other slices stays. Where it has changed the same slice, its version stays in the file, and the
decision is handed back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nnunet_sparse.annotate.lease import Lease
from nnunet_sparse.annotate.plane_store import PlaneStore, plane_check
from nnunet_sparse.annotate.slice_work import Decision, joined_notes
from nnunet_sparse.annotate.volume_files import read_saved
from nnunet_sparse.campaign.annotation_files import find_annotations
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.open_campaign import campaign_lock
from nnunet_sparse.campaign.predicted_slices import handed_out
from nnunet_sparse.campaign.slice_states import PredictedState, state_of_slice, status_text
from nnunet_sparse.campaign.slice_times import (
    EMPTY,
    EXTRA,
    SliceTime,
    add_times,
    minutes_texts,
)
from nnunet_sparse.campaign.worklist import Answers, update_worklist, worklist_geometries
from nnunet_sparse.data.annotation_effort import count_objects
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.data.label_files import write_label_like
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError, os_error_message
from nnunet_sparse.system.spreadsheet_cells import is_missing, truth_value

_MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Saving:
    """What is to be written of a case.

    Attributes
    ----------
    campaign
        The campaign.
    case_id
        The case.
    saved
        What the label file held when it was read or written last; it is not changed.
    digest
        Of that file; None if there was none.
    decisions
        By slice.
    lease
        Without which nothing is written.
    geometries
        Of the campaign's cases, as far as they are known; more are added.
    """

    campaign: Campaign
    case_id: str
    saved: PlaneStore
    digest: str | None
    decisions: Mapping[int, Decision]
    lease: Lease
    geometries: dict[str, Geometry] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved:
    """What became of it.

    Attributes
    ----------
    written
        Decisions that are in all files.
    conflicts
        Slices with decisions that were not written, since another program had changed them.
    theirs
        The label that another program had written; None if none had.
    digest
        Of the label file now.
    campaign
        As it stands in its file now; rounds may have been added.
    problem
        Why not all was written; None if it was.
    """

    written: dict[int, Decision]
    conflicts: frozenset[int]
    theirs: PlaneStore | None
    digest: str | None
    campaign: Campaign
    problem: str | None = None


class _ChangedMeanwhileError(SparseError):
    """Another program has written the label while it was being written here."""


def save(saving: Saving) -> Saved:
    """Write decisions; what goes wrong is part of the result, and is tried again the next time."""
    state = Saved({}, frozenset(), None, saving.digest, saving.campaign)
    try:
        with campaign_lock(saving.campaign.folder):
            if not saving.lease.is_ours():
                raise SparseError(f"{saving.case_id} was taken over by another session")
            state = replace(state, campaign=Campaign.read(saving.campaign.folder))
            for attempt in range(_MOST_ATTEMPTS):
                state, base = _look_again(saving, state)
                try:
                    state = replace(state, digest=_write_label(saving, state, base))
                    break
                except _ChangedMeanwhileError:
                    if attempt == _MOST_ATTEMPTS - 1:
                        raise
            going = {i: d for i, d in saving.decisions.items() if i not in state.conflicts}
            if going:
                _write_tables(saving, state.campaign, base, going)
            return replace(state, written=going)
    except SparseError as error:
        return replace(state, problem=str(error))
    except OSError as error:
        return replace(state, problem=os_error_message(error))


def _look_again(saving: Saving, state: Saved) -> tuple[Saved, PlaneStore]:
    """What the label file holds now, and which decisions contradict it."""
    campaign, case_id = state.campaign, saving.case_id
    file = campaign.label_file(case_id)
    digest = _digest_of(file)
    if digest == saving.digest:
        return state, saving.saved
    if digest is None:
        raise SparseError(f"{file} is gone; nothing is written until it is there again")
    check_annotated_here(campaign, case_id)
    label, digest = read_saved(campaign, case_id)
    theirs = PlaneStore(label, campaign.axis)
    conflicts = {i for i, decision in saving.decisions.items() if not decision.is_on(theirs[i])}
    state = replace(state, theirs=theirs, digest=digest, conflicts=frozenset(conflicts))
    return state, theirs


def check_annotated_here(campaign: Campaign, case_id: str) -> None:
    """Refuse a case that is annotated in other files than the one that is edited here.

    Raises
    ------
    SparseError
        Naming them.
    """
    found = find_annotations(campaign)
    if (problem := found.problems.get(case_id)) is not None:
        raise SparseError(problem)
    annotation, file = found.cases.get(case_id), campaign.label_file(case_id)
    if annotation is not None and annotation.files != (file,):
        raise SparseError(
            f"{annotation.files[0]} annotates {case_id}; only {file.name} is edited here"
        )


def _write_label(saving: Saving, state: Saved, base: PlaneStore) -> str | None:
    """Write the label if a decision changes it; digest of the file."""
    changes = {
        i: decision.plane
        for i, decision in saving.decisions.items()
        if i not in state.conflicts and plane_check(base[i]) != plane_check(decision.plane)
    }
    campaign = state.campaign
    file = campaign.label_file(saving.case_id)
    if not changes and file.exists():
        return state.digest
    label = base.whole()
    planes = np.moveaxis(label, campaign.axis, 0)
    for i, plane in changes.items():
        planes[i] = plane
    file.parent.mkdir(exist_ok=True)
    image = campaign.image_files(saving.case_id)[0]
    with atomic_path(file, campaign.folder) as temporary:
        write_label_like(temporary, label, image, campaign.images.reader())
        digest = file_digest(temporary)
        if _digest_of(file) != state.digest:
            raise _ChangedMeanwhileError(f"{file} is being written by another program")
    return digest


def _digest_of(file: Path) -> str | None:
    return file_digest(file) if file.exists() else None


def _write_tables(
    saving: Saving, campaign: Campaign, base: PlaneStore, decisions: Mapping[int, Decision]
) -> None:
    """Write times and worklist, with the status of every slice of the case."""
    case_id, ignore = saving.case_id, campaign.ignore_label
    prefilled = handed_out(campaign, case_id)
    times = add_times(
        campaign,
        [
            SliceTime(
                decision.visit,
                case_id,
                i,
                decision.annotator,
                round(decision.seconds, 1),
                decision.state,
                count_objects((decision.plane != ignore) * decision.plane),
                decision.distance,
                decision.opens,
            )
            for i, decision in decisions.items()
        ],
    )

    def change(answers: Answers) -> Answers:
        columns = {key: dict(texts) for key, texts in answers.columns.items()}
        statuses = dict(answers.statuses)
        for i, decision in decisions.items():
            if decision.state == EXTRA:  # has no line
                continue
            key = case_id, i
            minutes = minutes_texts(times, case_id, i)
            _fill(columns.setdefault(key, {}), decision, minutes, answers.delimiter)
        answers = replace(answers, columns=columns)
        confirmed = answers.confirmed(case_id)
        predicted = PredictedState(prefilled, answers.accepted(case_id), may_be_erased=True)
        for i in campaign.asked(case_id):
            plane = decisions[i].plane if i in decisions else base[i]
            state = state_of_slice(i, plane, True, confirmed, ignore, predicted)
            statuses[case_id, i] = status_text(str(state))
        return replace(answers, statuses=statuses)

    missing = set(campaign.asked_cases) - saving.geometries.keys()
    if missing:
        saving.geometries.update(worklist_geometries(campaign))
    known = {c: saving.geometries[c] for c in campaign.asked_cases}
    update_worklist(campaign, change, known)


def _fill(texts: dict[str, str], decision: Decision, minutes: list[str], delimiter: str) -> None:
    """Write into the cells of a line; what a person has written into one stays."""
    if is_missing(texts.get("annotator", "")):
        texts["annotator"] = decision.annotator
    # as some spreadsheets write numbers where semicolons separate columns
    written = texts.get("minutes", "").strip().replace(",", ".")
    if is_missing(written) or any(_same_number(written, text) for text in minutes):
        texts["minutes"] = minutes[-1].replace(".", ",") if delimiter == ";" else minutes[-1]
    is_confirmed = bool(truth_value(texts.get("confirmed_empty", "")))
    if decision.state == EMPTY and not is_confirmed:
        texts["confirmed_empty"] = "yes"
    if decision.state != EMPTY and is_confirmed and decision.was_confirmed:
        texts["confirmed_empty"] = ""
    if decision.confirms_prediction and not truth_value(texts.get("confirmed", "")):
        texts["confirmed"] = "yes"
    if decision.note:
        texts["note"] = joined_notes(texts.get("note", ""), decision.note)


def _same_number(written: str, text: str) -> bool:
    try:
        return abs(float(written) - float(text)) < 0.005
    except ValueError:
        return False
