"""``nnsparse_advise``: how to spend a budget, from the results of an experiment.

A *budget* is a number of annotated slices. It is *spent* on a whole number of volumes, at the
density that annotates as many slices of them as the budget allows.
"""

import argparse
import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.grid.cells import DENSE, INTERPOLATED, PARTNER, SPARSE, Base, bases
from nnunet_sparse.grid.grid_options import add_grid_argument
from nnunet_sparse.grid.open_grid import Grid, open_grid
from nnunet_sparse.grid.overview import base_facts
from nnunet_sparse.grid.results import Result, read_results, target_results
from nnunet_sparse.report.grid.panels import Panel, asked_cells, panels
from nnunet_sparse.report.grid.score_surface import Annotation, ScoreSurface
from nnunet_sparse.selection.budget import Budget, num_annotated_volumes
from nnunet_sparse.selection.choose_slices import choose_volumes
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import export_lines

_MIN_TRAININGS = 3
_LEVEL = 0.9
# with less probability of being better, options are not told apart
_SURE = 0.8
_MAX_SPENDINGS = 25
_MAX_ROWS = 6
# whole slices seldom give exactly the densities that were tried
_BEYOND = 1.05
# of the paper's 3D networks
_LEAST_RHO_3D = 0.2
SOURCE = "Zhang, Kramer and Mazurowski, MIDL 2026, arXiv 2412.08081"
_UNUSED = {DENSE: "dense", INTERPOLATED: "interpolated", PARTNER: "paired with interpolated ones"}


@dataclass(frozen=True)
class Spending:
    """Annotated volumes and slices.

    Attributes
    ----------
    rho, s
        Density and volume fraction with which ``nnsparse_make_dataset`` annotates as many, in as
        few digits as it takes.
    num_volumes
        Annotated volumes.
    num_slices
        Annotated slices of all of them.
    """

    rho: float
    s: float
    num_volumes: int
    num_slices: int


@dataclass(frozen=True)
class Choice:
    """A way of spending a budget, and what is expected of it.

    Attributes
    ----------
    annotation
        Density, volume fraction and selector.
    spending
        The volumes and slices that this amounts to.
    mean, low, high
        Expected batched IoU and its 90 % interval.
    probability
        How likely it is the best of all choices.
    behind
        How likely the choice with the highest mean is better than it.
    """

    annotation: Annotation
    spending: Spending
    mean: float
    low: float
    high: float
    probability: float
    behind: float


class Volumes:
    """Training volumes of a base, in the order in which they are annotated.

    Parameters
    ----------
    num_slices
        Length of the slice axis of each training volume, by case ID.
    seed
        Of the choice of volumes, as in ``nnsparse_make_dataset``.
    """

    def __init__(self, num_slices: Mapping[str, int], seed: int = 0) -> None:
        order = choose_volumes(list(num_slices), 1.0, seed)
        self.num_slices = {case: num_slices[case] for case in order}
        self.seed = seed

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.num_slices)

    def costs(self, rho: float) -> np.ndarray:
        """Annotated slices of the first volume, of the first two, and so on, at a density."""
        return np.cumsum(list(Budget(rho=rho).of_volumes(self.num_slices).values()))

    def actual(self, rho: float, s: float, selector: str) -> Annotation:
        """Share of slices and of volumes that are annotated, as both are whole numbers."""
        number = num_annotated_volumes(s, self.number)
        available = sum(list(self.num_slices.values())[:number])
        return Annotation(self.costs(rho)[number - 1] / available, number / self.number, selector)

    def spend(
        self,
        budget: int,
        num_volumes: int,
        rhos: Sequence[float] = (),
        fractions: Sequence[float] = (),
    ) -> Spending:
        """Annotate some volumes as densely as a budget allows.

        Parameters
        ----------
        budget
            Number of slices, at least one for each of the volumes.
        num_volumes
            How many are annotated.
        rhos, fractions
            Densities and volume fractions that are preferred to others with the same effect.
        """
        lengths = dict(list(self.num_slices.items())[:num_volumes])
        highest = _highest_density(budget, lengths)
        counts = Budget(rho=highest).of_volumes(lengths)

        def same_slices(rho: float) -> bool:
            return 0 < rho <= 1 and Budget(rho=rho).of_volumes(lengths) == counts

        def same_volumes(s: float) -> bool:
            return 0 < s <= 1 and num_annotated_volumes(s, self.number) == num_volumes

        num_slices = sum(counts.values())
        lowest = max((k - 0.5) / lengths[case] if k > 1 else 0 for case, k in counts.items())
        likely = (*rhos, num_slices / sum(lengths.values()), (lowest + highest) / 2)
        rho = next(filter(same_slices, likely))
        s = next(filter(same_volumes, (*fractions, num_volumes / self.number)))
        return Spending(
            _shortened(rho, same_slices), _shortened(s, same_volumes), num_volumes, num_slices
        )


def _highest_density(budget: int, lengths: Mapping[str, int]) -> float:
    """Highest density at which volumes cost no more than a budget, up to rounding."""
    low, high = 0.0, 1.0
    if sum(lengths.values()) <= budget:
        return high
    for _ in range(50):
        middle = (low + high) / 2
        if sum(Budget(rho=middle).of_volumes(lengths).values()) <= budget:
            low = middle
        else:
            high = middle
    return low


def _shortened(value: float, is_equal: Callable[[float], bool]) -> float:
    """Round to three decimals, or as few more as make no difference."""
    return next((x for n in range(3, 18) if is_equal(x := round(value, n))), value)


def choices(
    results: Sequence[Result], budget: int, num_slices: Mapping[str, int], seed: int = 0
) -> list[Choice]:
    """Ways of spending a budget within the range of an experiment, the best first.

    Only densities and volume fractions between those that were tried are looked at (densities
    up to 5 % beyond them, as they are those of whole slices).

    Parameters
    ----------
    results
        One result of each training, of one task and way of training.
    budget
        Slices that can be annotated.
    num_slices
        Length of the slice axis of each training volume, by case ID.
    seed
        Of the choice of volumes, as in ``nnsparse_make_dataset``.

    Returns
    -------
    list of Choice
        Empty if fewer than three trainings can be used, or the budget is out of their range.
    """
    used = [r for r in results if not _reason_against(r)]
    if len(used) < _MIN_TRAININGS:
        return []
    volumes = Volumes(num_slices, seed)
    spendings = _spendings(used, budget, volumes)
    if not spendings:
        return []
    ways = sorted({r.variant.way_of_choosing for r in used})
    candidates = [(w, Annotation(w.rho, w.s, k)) for w in spendings for k in ways]
    surface = _fitted(used, num_slices)
    draws = surface.draws([volumes.actual(a.rho, a.s, a.selector) for _, a in candidates])
    outside = (1 - _LEVEL) / 2
    low, high = np.quantile(draws, [outside, 1 - outside], axis=0)
    best = np.bincount(draws.argmax(axis=1), minlength=len(candidates)) / len(draws)
    means = draws.mean(axis=0)
    behind = (draws[:, [means.argmax()]] > draws).mean(axis=0)
    columns = (means, low, high, best, behind)
    found = [
        Choice(annotation, spending, *(float(column[i]) for column in columns))
        for i, (spending, annotation) in enumerate(candidates)
    ]
    return sorted(found, key=lambda choice: -choice.mean)


def _fitted(results: Sequence[Result], num_slices: Mapping[str, int]) -> ScoreSurface:
    """Scores over the shares of slices and volumes that were annotated."""
    of_seeds = {seed: Volumes(num_slices, seed) for seed in {r.variant.seed for r in results}}
    return ScoreSurface(
        [
            of_seeds[r.variant.seed].actual(_density(r), r.variant.s, r.variant.way_of_choosing)
            for r in results
        ],
        [r.batched_IoU for r in results if r.batched_IoU is not None],
    )


def _density(result: Result) -> float:
    """Density of a result that is used."""
    rho = result.variant.rho
    assert rho is not None
    return rho


def _reason_against(result: Result) -> str:
    """Why a result does not enter the fit; empty if it does."""
    if result.kind != SPARSE:
        return _UNUSED.get(result.kind, result.kind)
    if result.variant.scope != "volume":
        return f"with scope {result.variant.scope}"
    if result.variant.rho is None:
        return "with a number of slices instead of a density"
    return "" if result.batched_IoU is not None else "without a defined IoU"


def _spendings(results: Sequence[Result], budget: int, volumes: Volumes) -> list[Spending]:
    """Ways of spending a budget in the range of what was tried."""
    rhos = sorted({_density(r) for r in results})
    fractions = sorted({r.variant.s for r in results})
    least, most = rhos[0] / _BEYOND, min(1.0, rhos[-1] * _BEYOND)
    tried = {num_annotated_volumes(s, volumes.number) for s in fractions}
    # each of the volumes could have one slice more at the highest density
    too_few = int((volumes.costs(most) + np.arange(1, volumes.number + 1) < budget).sum())
    affordable = int((volumes.costs(least) <= budget).sum())
    first, last = max(min(tried), too_few + 1), min(max(tried), affordable)
    if first > last:
        return []
    numbers = {round(x) for x in np.geomspace(first, last, _MAX_SPENDINGS)}
    numbers |= {number for number in tried if first <= number <= last}
    found = [volumes.spend(budget, n, rhos, fractions) for n in sorted(numbers)]
    return [spending for spending in found if least <= spending.rho <= most]


@dataclass(frozen=True)
class _Question:
    """What is asked of a base; ``ways`` are variants by their way of choosing."""

    grid: Grid
    base: Base
    volumes: Volumes
    budget: int
    ways: Mapping[str, Variant]


def advice(grid: Grid, budget: int) -> str:
    """Advice for every task and way of training; the paper's rule of thumb without results.

    Raises
    ------
    SparseError
        If a base cannot be read, or all have fewer slices than the budget.
    """
    shown = panels(target_results(read_results(grid)), asked_cells(grid))
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
    """What a shell needs before the commands, where nnU-Net's folders are others there."""
    wanted = grid.paths.environment()
    known = {name: os.environ.get(name) for name in wanted}
    if all(
        there and Path(there).resolve() == Path(wanted[k]).resolve() for k, there in known.items()
    ):
        return []
    lines = [f"  {line}" for line in export_lines(wanted)]
    return ["nnU-Net's folders of this experiment, for the commands below:", *lines, ""]


def _of_base(question: _Question, shown: Sequence[Panel]) -> list[str]:
    """Advice for every way of training; the rule of thumb for those without results."""
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
        lines += ["", *_rule_of_thumb(sorted(unanswered), question)]
    return lines


def _used_lines(results: Sequence[Result]) -> list[str]:
    """Which results enter the fit, and which do not."""
    if not results:
        return ["    no training has been scored"]
    used = [r for r in results if not _reason_against(r)]
    unused = Counter(_reason_against(r) for r in results if _reason_against(r))
    lines = [f"    used: {len(used)} of {len(results)} trainings"]
    if used:
        rhos, fractions = _range([_density(r) for r in used]), _range([r.variant.s for r in used])
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
    """What the intervals rest on."""
    used = [r for r in results if not _reason_against(r)]
    cells = Counter((_density(r), r.variant.s, r.variant.way_of_choosing) for r in used)
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
    """Why results say nothing about a budget."""
    used = [r for r in results if not _reason_against(r)]
    if len(used) < _MIN_TRAININGS:
        return [f"    at least {_MIN_TRAININGS} are needed"]
    volumes, budget = question.volumes, question.budget
    rhos, fractions = [_density(r) for r in used], [r.variant.s for r in used]
    low, high = (
        int(volumes.costs(rho)[num_annotated_volumes(s, volumes.number) - 1])
        for rho, s in ((min(rhos), min(fractions)), (max(rhos), max(fractions)))
    )
    if low <= budget <= high:
        return [f"    whole volumes at these densities do not come near {budget} slices"]
    return [f"    they cover budgets of {low} to {high} slices, not {budget}"]


def _rule_of_thumb(dimensions: Sequence[str], question: _Question) -> list[str]:
    """What the paper found on its data."""
    lines = [
        f"  The paper's rule of thumb ({SOURCE}):",
        "    few slices on as many volumes as possible, at fixed intervals or at random; in 3D at",
        f"    densities of {_LEAST_RHO_3D} or more",
    ]
    volumes, budget = question.volumes, question.budget
    for name in dimensions:
        number = min(budget, volumes.number)
        if name == "3D":
            number = max(1, int((volumes.costs(_LEAST_RHO_3D) <= budget).sum()))
        spending = volumes.spend(budget, number, (_LEAST_RHO_3D,))
        annotation = Annotation(spending.rho, spending.s, "fixed")
        lines.append(f"    {name}: {_described(spending, question)}")
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
    """Every digit, and no more."""
    return repr(float(value)).removesuffix(".0")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_advise",
        "Say how many volumes, which density and which selector are best for a number of slices, "
        "with uncertainty, from the results of an experiment.",
        "nnsparse_advise grid.yaml --budget 500",
    )
    add_grid_argument(parser)
    parser.add_argument(
        "--budget", type=positive_int, required=True, metavar="N", help="slices to be annotated"
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    print(advice(open_grid(args.grid), args.budget))
