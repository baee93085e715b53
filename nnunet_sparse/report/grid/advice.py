"""Advice on how to spend a budget, in words, from the results of an experiment."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.grid.cells import Base, bases
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import base_facts
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
from nnunet_sparse.report.grid.score_surface import Annotation
from nnunet_sparse.report.grid.spending import Spending, Volumes
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import export_lines

_MAX_ROWS = 6


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
        lines += ["", f"  {panel.title}", *used_lines(panel.results)]
        if found:
            lines += [*basis_lines(panel.results), *_answer(found, question)]
        else:
            lines += why_not(panel.results, volumes, question.budget)
            unanswered.add(panel.dimensions)
    if unanswered:
        lines += ["", *_papers_advice(sorted(unanswered), question)]
    return lines


def _answer(found: Sequence[Choice], question: _Question) -> list[str]:
    """The best choice, what others are like, and how sure that and the selector are."""
    best = found[0]
    title = "best" if best.probability >= SURE else "highest expected IoU"
    lines = [
        f"    {title}: {_described(best.spending, question)}, selector {best.annotation.selector}",
        f"      expected batched IoU {best.mean:.3f}, 90 % interval {interval_text(best)}",
        *told_apart(found),
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
        is_sure = ranked[0][1] >= SURE
        said = "most likely best selector" if is_sure else "selectors cannot be told apart"
        lines.append(f"    {said}: {shares}" + " (probability of being best)" * (not is_sure))
    return lines


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
        f"    {spending.num_volumes:7}  {spending.num_slices:6}  {number_text(spending.rho):>8}  "
        f"{number_text(spending.s):>8}   {choice.mean:.3f}  {interval_text(choice)}  "
        f"{choice.annotation.selector}"
    )


def _papers_advice(dimensions: Sequence[str], question: _Question) -> list[str]:
    """What the paper advises, and what it means for this base and budget."""
    lines = paper_lines(dimensions)
    volumes, budget = question.volumes, question.budget
    numbers = {"2D": min(budget, volumes.number)} if "2D" in dimensions else {}
    least = {"3D": LEAST_RHO, "3D, if it is like ATLAS": LEAST_RHO_ATLAS}
    for name, rho in least.items() if "3D" in dimensions else ():
        numbers[name] = max(1, int((volumes.costs(rho) <= budget).sum()))
    for name, number in numbers.items():
        spending = volumes.spend(budget, number, (least.get(name, LEAST_RHO),))
        annotation = Annotation(spending.rho, spending.s, "fixed")
        untried = ", a lower density than any in the paper" if spending.rho < LEAST_RHO else ""
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
        "--rho": number_text(annotation.rho),
        "--s": number_text(annotation.s),
        **way_options(way),
        "--seed": str(question.volumes.seed or ""),
        "--axis": "" if task.axis == "auto" else task.axis,
        "--val": "" if task.val is None else number_text(task.val),
        "--test": "" if task.test is None else number_text(task.test),
        "--split_file": str(question.grid.file.parent / task.split_file) if task.split_file else "",
        "--split_seed": str(task.split_seed or ""),
    }
    words = [word for option in options.items() if option[1] for word in option]
    if way.parameters:
        words += ["--set", *way.text("parameters").split()]
    return shlex.join(["nnsparse_make_dataset", *words])
