"""Advice on the hours that are left for a campaign: how many slices they buy, and where."""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.cost_fit import FittedCost, fit_cost
from nnunet_sparse.campaign.second_reading import refuse_second_campaign
from nnunet_sparse.campaign.slice_times import TIMES_FILE, read_times
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import read_results, target_results
from nnunet_sparse.report.grid.budget_choices import Choice, choices
from nnunet_sparse.report.grid.choice_lines import (
    LEAST_RHO,
    LEAST_RHO_ATLAS,
    SURE,
    basis_lines,
    interval_text,
    number_text,
    paper_lines,
    told_apart,
    used_lines,
    way_options,
    why_not,
)
from nnunet_sparse.report.grid.panels import Panel, asked_trainings, panels
from nnunet_sparse.report.grid.remaining_work import RemainingWork, remaining_work
from nnunet_sparse.report.grid.spending import Volumes
from nnunet_sparse.selection.budget import num_annotated_volumes
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import first_selector_names
from nnunet_sparse.system.wording import command_line, duration

_PERCENTILES = (2.5, 97.5)
_HOUR_S = 3600


def campaign_advice(
    folder: Path, hours: Sequence[float], grid: Grid | None = None, num_processes: int = 1
) -> str:
    """What hours of annotation buy, by the times that were measured in a campaign.

    Parameters
    ----------
    folder
        The campaign's.
    hours
        Each is looked at alone.
    grid
        Experiment whose results say how slices are spread best; without one the paper does.
    num_processes
        Processes that read annotations.

    Raises
    ------
    SparseError
        If the times of fewer than 20 slices were measured, or the campaign cannot be read.
    """
    campaign = Campaign.read(folder)
    refuse_second_campaign(campaign, "nnsparse_advise")
    fitted = fit_cost(read_times(campaign), str(folder / TIMES_FILE))
    work = remaining_work(campaign, num_processes)
    lines = _basis(fitted, work)
    found: Sequence[Panel] = ()
    if grid is not None:
        found = panels(target_results(read_results(grid)), asked_trainings(grid))
    is_quoted = False
    for number in hours:
        count = work.affordable(number * _HOUR_S, fitted.pace)
        lines += ["", *_bought(number, count, fitted, work)]
        if not count:
            continue
        is_answered = False
        for panel in found:
            told, is_answer = _of_panel(panel, count, work)
            lines += told
            is_answered |= is_answer
        if not is_answered:
            lines += [*([] if is_quoted else paper_lines(("3D",))), *_by_paper(count, work)]
            is_quoted = True
    return "\n".join(lines)


def _basis(fitted: FittedCost, work: RemainingWork) -> list[str]:
    """What was measured, and what is asked for already."""
    pace, drawn = fitted.pace, fitted.drawn
    slice_s = _seconds_text(pace.slice_s, [one.slice_s for one in drawn])
    volume_s = _seconds_text(pace.volume_s, [one.volume_s for one in drawn])
    lines = [
        f"measured: {fitted.num_slices} slices: {slice_s} for a slice, {volume_s} for opening a "
        "volume (95 % intervals)",
        "          slices to come are taken to be like these (as often empty, as many objects,",
        "          as near to annotated ones), and each volume to be opened once",
        f"asked:    {_slices_text(work.num_open)} asked for and not annotated"
        + (f", about {duration(work.seconds(pace))}" if work.num_open else ""),
    ]
    if work.share:
        lines.append(
            f"          a share of {work.share:g} is read twice, as in the first round; that is "
            "counted in"
        )
    return lines


def _slices_text(count: int, which: str = "") -> str:
    return f"{count} {which}slice{'' if count == 1 else 's'}"


def _volumes_text(count: int) -> str:
    return f"{count} volume{'' if count == 1 else 's'}"


def _seconds_text(value: float, drawn: Sequence[float]) -> str:
    low, high = np.percentile(drawn, _PERCENTILES)
    return f"{value:.0f} s ({low:.0f} to {high:.0f})"


def _bought(hours: float, count: int, fitted: FittedCost, work: RemainingWork) -> list[str]:
    """How many slices so many hours buy, with an interval."""
    title = f"{hours:g} h:"
    if not work.free:
        return [f"{title} every slice of these volumes is asked for or annotated already"]
    counts = [work.affordable(hours * _HOUR_S, pace) for pace in fitted.drawn]
    low, high = (math.floor(x) for x in np.percentile(counts, _PERCENTILES))
    if not count and not high:
        annotate = command_line("nnsparse_annotate", work.campaign.folder)
        return [
            f"{title} no more slices: what is asked for takes longer"
            if work.num_open
            else f"{title} not one slice",
            *([f"  {annotate}"] if work.num_open else []),
        ]
    lines = [f"{title} {_slices_text(count, 'more ')} ({low} to {high})"]
    if count == work.free:
        lines[0] += ", all that are left"
    return lines


def _of_panel(panel: Panel, count: int, work: RemainingWork) -> tuple[list[str], bool]:
    """What the results of an experiment say, and whether that is an answer."""
    total = sum(work.taken.values()) + count
    volumes = Volumes(work.num_slices, work.campaign.rounds[0].variant.seed)
    lines = ["", f"  {panel.title} (an experiment on other data)", *used_lines(panel.results)]
    found = choices(panel.results, total, work.num_slices, volumes.seed)
    if not found:
        return [*lines, *why_not(panel.results, volumes, total)], False
    ways = {r.variant.way_of_choosing: r.variant for r in panel.results}
    possible = [
        choice
        for choice in found
        if ways[choice.annotation.selector].selector in first_selector_names()
        and not ways[choice.annotation.selector].make_selector().looks_at_labels()
        and choice.spending.num_volumes >= work.num_begun
    ]
    lines += basis_lines(panel.results)
    if not possible:
        return [
            *lines,
            f"    of {total} slices in all they cover nothing that gives slices to the "
            f"{work.num_begun} volumes that have some",
        ], False
    best = possible[0]
    title = "best" if best is found[0] and best.probability >= SURE else "highest expected IoU"
    spending = best.spending
    lines += [
        f"    {title}: {_slices_text(count, 'more ')}, {total} in all, in "
        f"{spending.num_volumes} of {volumes.number} volumes (rho {number_text(spending.rho)}, "
        f"s {number_text(spending.s)}), selector {best.annotation.selector}",
        f"      expected batched IoU there {best.mean:.3f}, 90 % interval {interval_text(best)}, "
        "if all are chosen at once",
        *(told_apart(found) if best is found[0] else _behind(best, found)),
        f"      {_command(count, spending.num_volumes, work, ways[best.annotation.selector])}",
    ]
    return lines, True


def _behind(choice: Choice, found: Sequence[Choice]) -> list[str]:
    """What is said of a choice that others would be better than, were nothing annotated yet."""
    best = found[0]
    return [
        f"      (without the volumes that are begun: {best.mean:.3f} with selector "
        f"{best.annotation.selector} in {best.spending.num_volumes} volumes, better than this with "
        f"probability {choice.behind:.0%})"
    ]


def _by_paper(count: int, work: RemainingWork) -> list[str]:
    """What the paper's advice means for so many more slices."""
    every = len(work.order)
    total = sum(work.taken.values()) + count
    flat = every
    deep, like_atlas = (_dense_enough(count, rho, work) for rho in (LEAST_RHO, LEAST_RHO_ATLAS))
    numbers = {"2D": flat, "3D": deep} if deep < flat else {"2D and 3D": flat}
    if like_atlas < deep:
        numbers["3D, if it is like ATLAS"] = like_atlas
    lines = []
    for name, number in numbers.items():
        density = _density(count, number, work)
        untried = ", a lower density than any in the paper" if density < LEAST_RHO else ""
        lines += [
            f"    {name}: {_slices_text(count, 'more ')} in {_volumes_text(min(count, number))}; "
            f"{total} in all, density {density:.2g} in {number} of {every} volumes{untried}",
            f"      {_command(count, number, work)}",
        ]
    return lines


def _dense_enough(count: int, rho: float, work: RemainingWork) -> int:
    """Number of the first volumes that come to a density with so many more slices in them.

    All that are begun are among them, and they have room for these slices.
    """
    found = (n for n in range(len(work.order), 0, -1) if _density(count, n, work) >= rho)
    return max(next(found, 1), work.num_begun, _fewest_with_room(count, work))


def _density(count: int, number: int, work: RemainingWork) -> float:
    """Share of the slices of the first volumes that are annotated with so many more in them."""
    cases = work.order[:number]
    taken = sum(work.taken[case_id] for case_id in cases)
    return (taken + count) / sum(work.num_slices[case_id] for case_id in cases)


def _fewest_with_room(count: int, work: RemainingWork) -> int:
    """Number of the first volumes in which so many more slices can be asked for."""
    room = np.cumsum([work.num_slices[c] - work.taken[c] for c in work.order])
    return int(np.searchsorted(room, count)) + 1


def _command(count: int, number: int, work: RemainingWork, way: Variant | None = None) -> str:
    """Command that asks for so many more slices, in the first volumes."""
    first, every = work.campaign.rounds[0].variant, len(work.order)
    words: list[object] = ["nnsparse_worklist", "extend", work.campaign.folder, "--budget", count]
    if num_annotated_volumes(first.s, every) != number:
        words += ["--s", _share_of(number, every)]
    if way is not None and way.way_of_choosing != first.way_of_choosing:
        words += [word for option in way_options(way).items() if option[1] for word in option]
        if way.parameters:
            words += ["--set", *shlex.split(way.text("parameters"))]
    return command_line(*words)


def _share_of(number: int, every: int) -> str:
    """Shortest share that gives so many of all volumes."""
    exact = number / every
    texts = (number_text(round(exact, digits)) for digits in range(1, 18))
    return next(
        text
        for text in texts
        if 0 < float(text) <= 1 and num_annotated_volumes(float(text), every) == number
    )
