"""Advice on how to spend a budget, in words, from the results of an experiment."""

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.grid.cells import Base, bases
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import base_facts
from nnunet_sparse.grid.results import Result, read_results, target_results
from nnunet_sparse.report.grid.budget_choices import (
    MIN_TRAININGS,
    Choice,
    choices,
    density_of,
    reason_against,
)
from nnunet_sparse.report.grid.panels import Panel, asked_trainings, panels
from nnunet_sparse.report.grid.score_surface import Annotation
from nnunet_sparse.report.grid.spending import Spending, Volumes
from nnunet_sparse.selection.budget import num_annotated_volumes
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import export_lines

# with less probability of being better, options are not told apart
_SURE = 0.8
_MAX_ROWS = 6
SOURCE = "Zhang, Kramer and Mazurowski, MIDL 2026, arXiv 2412.08081"
# the paper's lowest density, and the one below which ATLAS is an exception in 3D
_LEAST_RHO = 0.05
_LEAST_RHO_ATLAS = 0.2
_ADVICE = f"""\
  What the paper advises ({SOURCE}), section 6:
    "annotation budgets should be unbiasedly distributed across as many volumes as possible for 2D
    segmentation tasks", "slice selection at fixed interval is a safe choice"; its lowest density is
    {_LEAST_RHO}"""
_ADVICE_3D = """\
    In 3D, that sparser annotations are better "generally holds true as well", but "maintaining a
    minimum number of annotated slices per volume to ensure effective model training and
    convergence" counts too; it gives no number. Of ATLAS alone it says "When
    annotation density falls below 20%, prioritizing a higher volume count over annotation density
    does not result in improved model performance"; the trends of its other tasks "mirror those in
    2D" (section 4.1.2)"""


@dataclass(frozen=True)
class _Question:
    """A base and a budget; ``ways`` are variants by their way of choosing slices."""

    grid: Grid
    base: Base
    volumes: Volumes
    budget: int
    ways: Mapping[str, Variant]


def advice(grid: Grid, budget: int) -> str:
    """Advice for every task and way of training; the paper's where there are no results.

    Raises
    ------
    SparseError
        If a base cannot be read, or all have fewer slices than the budget.
    """
    shown = panels(target_results(read_results(grid)), asked_trainings(grid))
    lines: list[str] = []
    too_small: list[str] = []
    found = bases(grid)
    for base in found:
        volumes = Volumes(base_facts(grid, base).num_slices, grid.experiment.seeds[0])
        total = sum(volumes.num_slices.values())
        if budget > total:
            too_small.append(f"{base.suffix} has {total} slices, fewer than the budget {budget}")
            continue
        lines.append(
            f"{base.suffix}: up to {budget} of {total} slices, in {volumes.number} training volumes"
        )
        of_base = [panel for panel in shown if panel.task == base.suffix]
        ways = {r.variant.way_of_choosing: r.variant for panel in of_base for r in panel.results}
        lines += [*_of_base(_Question(grid, base, volumes, budget, ways), of_base), ""]
    if len(too_small) == len(found):
        raise SparseError("; ".join(too_small))
    return "\n".join([*_exports(grid), *lines, *too_small]).rstrip()


def _exports(grid: Grid) -> list[str]:
    """Lines that set nnU-Net's folders, if the environment does not name those of the grid."""
    wanted = grid.paths.environment()
    known = {name: os.environ.get(name) for name in wanted}
    if all(
        there and Path(there).resolve() == Path(wanted[k]).resolve() for k, there in known.items()
    ):
        return []
    lines = [f"  {line}" for line in export_lines(wanted)]
    return ["nnU-Net's folders of this experiment, for the commands below:", *lines, ""]


def _of_base(question: _Question, shown: Sequence[Panel]) -> list[str]:
    """Advice for every way of training; the paper's for those without results."""
    lines: list[str] = []
    unanswered = set()
    volumes = question.volumes
    for panel in shown:
        found = choices(panel.results, question.budget, volumes.num_slices, volumes.seed)
        lines += ["", f"  {panel.title}", *_used_lines(panel.results)]
        if found:
            lines += [*_basis(panel.results), *_answer(found, question)]
        else:
            lines += _why_not(panel.results, question)
            unanswered.add(panel.dimensions)
    if unanswered:
        lines += ["", *_papers_advice(sorted(unanswered), question)]
    return lines


def _used_lines(results: Sequence[Result]) -> list[str]:
    """Which results enter the fit, and which do not."""
    if not results:
        return ["    no training has been scored"]
    used = [r for r in results if not reason_against(r)]
    unused = Counter(reason_against(r) for r in results if reason_against(r))
    lines = [f"    used: {len(used)} of {len(results)} trainings"]
    if used:
        rhos, fractions = _range([density_of(r) for r in used]), _range([r.variant.s for r in used])
        selectors = ", ".join(sorted({r.variant.way_of_choosing for r in used}))
        lines[0] += f", densities {rhos}, volume fractions {fractions}, selectors {selectors}"
    if unused:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(unused.items()))
        lines.append(f"    not used: {counts}")
    return lines


def _range(values: Sequence[float]) -> str:
    low, high = _number(min(values)), _number(max(values))
    return low if low == high else f"{low} to {high}"


def _basis(results: Sequence[Result]) -> list[str]:
    """Number of cells and trainings from which the intervals were computed."""
    used = [r for r in results if not reason_against(r)]
    cells = Counter((density_of(r), r.variant.s, r.variant.way_of_choosing) for r in used)
    low, high = min(cells.values()), max(cells.values())
    number = f"{low}" if low == high else f"{low} to {high}"
    plural = "" if high == 1 else "s"
    lines = [f"    intervals rest on {len(cells)} cells with {number} training{plural} each"]
    if high == 1:
        lines += [
            "    one repeat: how much trainings differ from run to run is unknown, and is guessed",
            "    from how smoothly the score changes between cells",
        ]
    return lines


def _answer(found: Sequence[Choice], question: _Question) -> list[str]:
    """The best choice, what others are like, and how sure that and the selector are."""
    best = found[0]
    title = "best" if best.probability >= _SURE else "highest expected IoU"
    lines = [
        f"    {title}: {_described(best.spending, question)}, selector {best.annotation.selector}",
        f"      expected batched IoU {best.mean:.3f}, 90 % interval {_interval(best)}",
        *_told_apart(found),
        f"      {_command(best.annotation, question)}",
        "    volumes  slices       rho         s     IoU   90 % interval  selector",
        *(_row(choice) for choice in _compared(found)),
    ]
    selectors: dict[str, float] = {}
    for choice in found:
        name = choice.annotation.selector
        selectors[name] = selectors.get(name, 0.0) + choice.probability
    if len(selectors) > 1:
        ranked = sorted(selectors.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{name} {share:.0%}" for name, share in ranked)
        is_sure = ranked[0][1] >= _SURE
        said = "most likely best selector" if is_sure else "selectors cannot be told apart"
        lines.append(f"    {said}: {shares}" + " (probability of being best)" * (not is_sure))
    return lines


def _told_apart(found: Sequence[Choice]) -> list[str]:
    """How sure it is that the first choice is the best."""
    if len(found) == 1:
        return []
    lines = [f"      the best of {len(found)} options with probability {found[0].probability:.0%}"]
    alike = sum(choice.behind < _SURE for choice in found[1:])
    if found[0].probability < _SURE and alike:
        which = "any" if alike == len(found) - 1 else f"{alike}"
        lines[0] += f"; it cannot be told apart from {which} of the others"
        lines.append(f"      (it is better than them with probabilities below {_SURE:.0%})")
    return lines


def _interval(choice: Choice) -> str:
    return f"{choice.low:.3f} to {choice.high:.3f}"


def _compared(found: Sequence[Choice]) -> list[Choice]:
    """Some numbers of volumes with their best selector, and the best one with every selector."""
    numbers = sorted({choice.spending.num_volumes for choice in found})
    places = np.linspace(0, len(numbers) - 1, min(_MAX_ROWS, len(numbers)))
    shown = {numbers[round(place)] for place in places}
    best = found[0].spending.num_volumes
    rows = [choice for choice in found if choice.spending.num_volumes == best]
    for choice in found:
        if choice.spending.num_volumes in shown - {c.spending.num_volumes for c in rows}:
            rows.append(choice)
    return sorted(rows, key=lambda choice: -choice.mean)


def _row(choice: Choice) -> str:
    spending = choice.spending
    return (
        f"    {spending.num_volumes:7}  {spending.num_slices:6}  {_number(spending.rho):>8}  "
        f"{_number(spending.s):>8}   {choice.mean:.3f}  {_interval(choice)}  "
        f"{choice.annotation.selector}"
    )


def _why_not(results: Sequence[Result], question: _Question) -> list[str]:
    """Why results allow no advice on a budget."""
    used = [r for r in results if not reason_against(r)]
    if len(used) < MIN_TRAININGS:
        return [f"    at least {MIN_TRAININGS} are needed"]
    volumes, budget = question.volumes, question.budget
    rhos, fractions = [density_of(r) for r in used], [r.variant.s for r in used]
    low, high = (
        int(volumes.costs(rho)[num_annotated_volumes(s, volumes.number) - 1])
        for rho, s in ((min(rhos), min(fractions)), (max(rhos), max(fractions)))
    )
    if low <= budget <= high:
        return [f"    whole volumes at these densities do not come near {budget} slices"]
    return [f"    they cover budgets of {low} to {high} slices, not {budget}"]


def _papers_advice(dimensions: Sequence[str], question: _Question) -> list[str]:
    """What the paper advises, and what it means for this base and budget."""
    lines = _ADVICE.splitlines() + (_ADVICE_3D.splitlines() if "3D" in dimensions else [])
    volumes, budget = question.volumes, question.budget
    numbers = {"2D": min(budget, volumes.number)} if "2D" in dimensions else {}
    least = {"3D": _LEAST_RHO, "3D, if it is like ATLAS": _LEAST_RHO_ATLAS}
    for name, rho in least.items() if "3D" in dimensions else ():
        numbers[name] = max(1, int((volumes.costs(rho) <= budget).sum()))
    for name, number in numbers.items():
        spending = volumes.spend(budget, number, (least.get(name, _LEAST_RHO),))
        annotation = Annotation(spending.rho, spending.s, "fixed")
        untried = ", a lower density than any in the paper" if spending.rho < _LEAST_RHO else ""
        lines.append(f"    {name}: {_described(spending, question)}{untried}")
        lines.append(f"      {_command(annotation, question)}")
    return lines


def _described(spending: Spending, question: _Question) -> str:
    return (
        f"{spending.num_slices} slices in {spending.num_volumes} of {question.volumes.number} "
        "volumes"
    )


def _command(annotation: Annotation, question: _Question) -> str:
    """Command that annotates a base in this way, in the experiment's split of it."""
    task, base = question.base.task, question.base
    way = question.ways.get(annotation.selector, Variant(annotation.rho))
    options = {
        "-d": base.name or f"DatasetXXX_{base.suffix}",
        "--rho": _number(annotation.rho),
        "--s": _number(annotation.s),
        "--selector": way.selector,
        "--mae": way.mae if way.mae != DEFAULT_MAE_PRESET else "",
        "--mae_seed": str(way.mae_seed or ""),
        "--seed": str(question.volumes.seed or ""),
        "--axis": "" if task.axis == "auto" else task.axis,
        "--val": "" if task.val is None else _number(task.val),
        "--test": "" if task.test is None else _number(task.test),
        "--split_file": str(question.grid.file.parent / task.split_file) if task.split_file else "",
        "--split_seed": str(task.split_seed or ""),
    }
    words = [word for option in options.items() if option[1] for word in option]
    if way.parameters:
        words += ["--set", *way.text("parameters").split()]
    return shlex.join(["nnsparse_make_dataset", *words])


def _number(value: float) -> str:
    """Shortest text that gives the same number."""
    return repr(float(value)).removesuffix(".0")
