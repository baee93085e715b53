"""``nnsparse_advise``: how to spend a budget, from the results of an experiment."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.cli import CommandParser, positive_int, run_command
from nnunet_sparse.errors import SparseError
from nnunet_sparse.grid.cells import Base, bases
from nnunet_sparse.grid.experiment import Grid, open_grid
from nnunet_sparse.grid.overview import BaseFacts, base_facts
from nnunet_sparse.grid.results import Result, read_results, target_results
from nnunet_sparse.report.grid_figures import Panel, panels
from nnunet_sparse.report.score_surface import Annotation, ScoreSurface

_NUM_FRACTIONS = 25
_MIN_TRAININGS = 3
_LEVEL = 0.9
# of the paper's 3D networks
_LEAST_RHO_3D = 0.2
SOURCE = "Zhang, Kramer and Mazurowski, MIDL 2026, arXiv 2412.08081"


@dataclass(frozen=True)
class Choice:
    """A way of spending a budget.

    Attributes
    ----------
    annotation
        Density, volume fraction and selector.
    mean, low, high
        Expected batched IoU and its 90 % interval.
    probability
        How likely it is the best of all choices.
    """

    annotation: Annotation
    mean: float
    low: float
    high: float
    probability: float


def choices(results: Sequence[Result], budget: int, num_slices: int) -> list[Choice]:
    """Ways of spending a budget within the range of an experiment, the best first.

    Only densities and volume fractions between those that were tried are looked at.

    Parameters
    ----------
    results
        One result of each training, of one task and way of training.
    budget
        Slices that can be annotated.
    num_slices
        Slices of all training volumes.

    Returns
    -------
    list of Choice
        Empty if fewer than three trainings are there, or the budget is out of their range.
    """
    sparse = [
        r
        for r in results
        if r.kind == "sparse" and r.scope == "volume" and r.batched_IoU is not None
    ]
    if len(sparse) < _MIN_TRAININGS:
        return []
    candidates = _candidates(sparse, budget / num_slices)
    if not candidates:
        return []
    surface = ScoreSurface(
        [Annotation(r.rho, r.s, r.selector) for r in sparse],
        [r.batched_IoU for r in sparse if r.batched_IoU is not None],
    )
    draws = surface.draws(candidates)
    outside = (1 - _LEVEL) / 2
    low, high = np.quantile(draws, [outside, 1 - outside], axis=0)
    best = np.bincount(draws.argmax(axis=1), minlength=len(candidates)) / len(draws)
    found = [
        Choice(a, float(m), float(x), float(y), float(p))
        for a, m, x, y, p in zip(candidates, draws.mean(axis=0), low, high, best, strict=True)
    ]
    return sorted(found, key=lambda choice: -choice.mean)


def _candidates(results: Sequence[Result], share: float) -> list[Annotation]:
    """Annotations that cost a share of all slices, in the range of what was tried."""
    rhos, fractions = {r.rho for r in results}, {r.s for r in results}
    low, high = max(min(fractions), share / max(rhos)), min(max(fractions), share / min(rhos))
    if low > high * (1 + 1e-9):
        return []
    spread = np.geomspace(low, high, _NUM_FRACTIONS)
    tried = [s for s in fractions if low <= s <= high]
    values = sorted({round(float(s), 6) for s in (*spread, *tried)})
    selectors = sorted({r.selector for r in results})
    return [Annotation(share / s, s, selector) for s in values for selector in selectors]


def advice(grid: Grid, budget: int) -> str:
    """Advice for every task and way of training; the paper's rule of thumb without results.

    Raises
    ------
    SparseError
        If a base cannot be read, or has fewer slices than the budget.
    """
    results = target_results(read_results(grid))
    lines = []
    for base in bases(grid):
        facts = base_facts(grid, base)
        total = sum(facts.num_slices.values())
        if budget > total:
            raise SparseError(f"{base.suffix} has {total} slices, fewer than the budget {budget}")
        lines.append(
            f"{base.suffix}: {budget} of {total} slices in {len(facts.num_slices)} volumes"
        )
        of_base = panels(r for r in results if r.task == base.suffix)
        answered = [text for p in of_base for text in _from_results(p, budget, total, facts)]
        lines += answered or _rule_of_thumb(grid, base, budget, facts)
        lines.append("")
    return "\n".join(lines).rstrip()


def _from_results(panel: Panel, budget: int, total: int, facts: BaseFacts) -> list[str]:
    found = choices(panel.results, budget, total)
    if not found:
        return []
    best = found[0]
    lines = [f"  {panel.title}, from {len(panel.results)} trainings:"]
    lines.append(f"    best: {_described(best.annotation, facts)}, batched IoU {_interval(best)}")
    tried = {r.s for r in panel.results if r.kind == "sparse"}
    shown: dict[tuple[float, str], Choice] = {}
    for choice in found:
        s = min(tried, key=lambda s: abs(math.log(s / choice.annotation.s)))
        near = abs(math.log(s / choice.annotation.s)) < 1e-4
        if near:
            shown.setdefault((s, choice.annotation.selector), choice)
    for choice in sorted(shown.values(), key=lambda c: -c.mean):
        lines.append(f"    {_described(choice.annotation, facts)}: {_interval(choice)}")
    selectors: dict[str, float] = {}
    for choice in found:
        name = choice.annotation.selector
        selectors[name] = selectors.get(name, 0.0) + choice.probability
    if len(selectors) > 1:
        ranked = sorted(selectors.items(), key=lambda item: -item[1])
        lines.append(
            "    best selector: " + ", ".join(f"{name} {share:.0%}" for name, share in ranked)
        )
    return lines


def _described(annotation: Annotation, facts: BaseFacts) -> str:
    volumes = max(1, round(annotation.s * len(facts.num_slices)))
    return (
        f"--rho {annotation.rho:.3f} --s {annotation.s:.3f} --selector {annotation.selector} "
        f"({volumes} volumes)"
    )


def _interval(choice: Choice) -> str:
    return f"{choice.mean:.3f} (90 % interval {choice.low:.3f} to {choice.high:.3f})"


def _rule_of_thumb(grid: Grid, base: Base, budget: int, facts: BaseFacts) -> list[str]:
    """What the paper found on its data."""
    share = budget / sum(facts.num_slices.values())
    ways = base.task.configurations or grid.experiment.configurations
    lines = [
        f"  No results for this budget; the paper's rule of thumb ({SOURCE}): few slices on as "
        "many volumes as possible, at fixed intervals or at random."
    ]
    for flat in sorted({way.configuration.startswith("2d") for way in ways}, reverse=True):
        rho = share if flat else max(share, min(1.0, _LEAST_RHO_3D))
        annotation = Annotation(rho, min(1.0, share / rho), "fixed")
        note = "" if flat or share >= _LEAST_RHO_3D else " (in 3D densities below 0.2 did not pay)"
        lines.append(f"    {'2D' if flat else '3D'}: {_described(annotation, facts)}{note}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nnsparse_advise``."""
    parser = CommandParser(
        "nnsparse_advise",
        "Say which density, volume fraction and selector are best for a number of slices, with "
        "uncertainty, from the results of an experiment.",
        "nnsparse_advise grid.yaml --budget 500",
    )
    parser.add_argument("grid", type=Path, metavar="GRID.yaml", help="experiment file")
    parser.add_argument(
        "--budget", type=positive_int, required=True, metavar="N", help="slices to be annotated"
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    print(advice(open_grid(args.grid), args.budget))
