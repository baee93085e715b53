"""Second readings: which slices another annotator is asked for as well, and who that may be."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotated_case import composed
from nnunet_sparse.campaign.asked_round import Round, Slices
from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE, Campaign
from nnunet_sparse.campaign.slice_states import FINISHED_STATUSES
from nnunet_sparse.campaign.slice_times import read_times
from nnunet_sparse.campaign.worklist import Answers, SliceKey, read_worklist
from nnunet_sparse.selection.budget import num_annotated_slices
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator, shuffled

_BETWEEN_NAMES = re.compile(r"[,;/&+]")


def check_second_share(share: float) -> None:
    """Refuse a share outside [0, 1]; NaN too."""
    if not 0 <= share <= 1:
        raise SparseError(
            f"--second_reader must lie in [0, 1], got {share:g} (0.05 asks another annotator for "
            "every twentieth slice as well)"
        )


def choose_second(slices: Slices, share: float, seed: int, round_index: int) -> Slices:
    """Choose the slices of a round that another annotator is asked for as well.

    Parameters
    ----------
    slices
        All slices of the round, by case ID.
    share
        Share of them, from 0 to 1. Of n slices it is ``max(1, floor(share * n + 0.5))``, none if it
        is 0.
    seed
        Of the round.
    round_index
        Its number, from 0.

    Returns
    -------
    dict of tuple of int
        Ascending indices by case ID, drawn at random, and as many in each volume as in any other
        (one more in some, which are drawn as well), as far as volumes have slices. Those of a
        smaller share are among those of a larger one.
    """
    total = sum(len(indices) for indices in slices.values())
    if not share or not total:
        return {}
    purpose = "second reading", str(round_index)
    order = shuffled(sorted(slices), generator(seed, *purpose))
    left, counts = num_annotated_slices(share, total), dict.fromkeys(order, 0)
    while left:
        for case_id in [c for c in order if counts[c] < len(slices[c])][:left]:
            counts[case_id] += 1
            left -= 1
    chosen = {}
    for case_id in sorted(case for case, count in counts.items() if count):
        indices = np.array(slices[case_id])
        places = np.argsort(generator(seed, *purpose, case_id).random(len(indices)), kind="stable")
        drawn = indices[places[: counts[case_id]]]
        chosen[case_id] = tuple(sorted(int(i) for i in drawn))
    return chosen


def asked_twice(campaign: Campaign, asking: Round, share: float) -> Round:
    """The next round of a campaign, with the slices of it that :func:`choose_second` chooses."""
    chosen = choose_second(asking.slices, share, asking.variant.seed, len(campaign.rounds))
    return replace(asking, second_share=share, second_slices=chosen)


def read_second(campaign: Campaign) -> Campaign | None:
    """What the folder of second readings holds; None if nobody is asked for any.

    Raises
    ------
    SparseError
        If the folder is missing or damaged, or holds something else.
    """
    if not campaign.second_cases:
        return None
    wanted = campaign.second_reading()
    if not (wanted.folder / CAMPAIGN_FILE).is_file():
        raise SparseError(f"{wanted.folder} is missing, which holds the second readings")
    found = Campaign.read(wanted.folder)
    asked = [tuple(sorted(asking.slices.items())) for asking in wanted.rounds]
    if not found.is_second_reading or asked[: len(found.rounds)] != [
        tuple(sorted(asking.slices.items())) for asking in found.rounds
    ]:
        raise SparseError(f"{wanted.folder} does not hold second readings of {campaign.folder}")
    return found


def refuse_second_campaign(campaign: Campaign, command: str) -> None:
    """Refuse second readings where a campaign is wanted.

    Raises
    ------
    SparseError
        Naming the campaign that the command is meant for.
    """
    if campaign.is_second_reading:
        raise SparseError(
            f"{campaign.folder} holds second readings, which {command} does not take; name the "
            f"campaign around it, {campaign.folder.parent}"
        )


def refuse_second_readings(folder: Path | None, campaign: Campaign) -> None:
    """Refuse second readings in place of the annotation of a campaign.

    Raises
    ------
    SparseError
        If the folder lies in that of the second readings.
    """
    second = campaign.second_reading().folder.resolve()
    if folder is not None and second in (folder.resolve(), *folder.resolve().parents):
        raise SparseError(
            f"{folder} holds second readings, which are compared with the first ones and never "
            "taken in their place"
        )


def annotator_names(text: str) -> frozenset[str]:
    """Who is named in a cell of the column ``annotator``, in a form that can be compared."""
    parts = (" ".join(composed(part).casefold().split()) for part in _BETWEEN_NAMES.split(text))
    return frozenset(part for part in parts if part)


def slice_annotators(campaign: Campaign, answers: Answers) -> dict[SliceKey, frozenset[str]]:
    """Who worked on each slice, by the worklist and the times that were measured.

    Slices of which that is not known are left out.

    Raises
    ------
    SparseError
        If the table of times cannot be read.
    """
    found: dict[SliceKey, frozenset[str]] = {}
    named = [(key, answers.annotator(*key)) for key in answers.columns]
    named += [((t.case_id, t.slice_index), t.annotator) for t in read_times(campaign)]
    for key, text in named:
        if names := annotator_names(text):
            found[key] = found.get(key, frozenset()) | names
    return found


def withheld(second: Campaign, annotator: str) -> Mapping[SliceKey, str]:
    """Second readings that an annotator must not do, or not yet, and why.

    Parameters
    ----------
    second
        The second readings of a campaign.
    annotator
        Who.

    Returns
    -------
    dict of str
        By case and slice. Empty where the folder has been sent away without the campaign around
        it, since nothing is known of the first readings there.

    Raises
    ------
    SparseError
        If a table of the campaign cannot be read.
    """
    around = second.folder.resolve().parent
    if not (around / CAMPAIGN_FILE).is_file():
        return {}
    first = Campaign.read(around)
    answers = read_worklist(first)
    known, own = slice_annotators(first, answers), annotator_names(annotator)
    found = {}
    for case_id in second.asked_cases:
        for key in ((case_id, i) for i in second.asked(case_id)):
            if answers.statuses.get(key) not in FINISHED_STATUSES:
                found[key] = "nobody has annotated it yet"
            elif key not in known:
                found[key] = "worklist.csv does not say who annotated it first"
            elif not own or known[key] & own:
                found[key] = f"{annotator or 'who annotates'} may have annotated it first"
    return found
