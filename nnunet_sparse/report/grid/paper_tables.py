"""The tables of the paper, and those that it lacks.

Every cell that is asked for has its place; where it is not done, it is empty. Numbers of trainings
stand beside a mean that lacks some of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

from nnunet_sparse.grid.cells import DENSE, INTERPOLATED, PARTNER, SPARSE
from nnunet_sparse.grid.results import METRICS, Result
from nnunet_sparse.report.grid.mask_quality import MaskQuality
from nnunet_sparse.report.grid.paired_statistics import (
    Difference,
    Pair,
    area_under_budget_curve,
    difference,
    interpolated_against_sparse,
    iou_of,
    matched,
    more_volumes,
    selector_against,
)
from nnunet_sparse.report.grid.panels import (
    CHOICE,
    Cell,
    Panel,
    amounts,
    grouped,
    having,
    levels,
    other_factors,
    pooled_over,
    selector_names,
    title_of,
    varying,
)
from nnunet_sparse.report.tables import Table, mean_and_deviation
from nnunet_sparse.selection.variant import Variant

MISSING = ""
UNDEFINED = "undefined"
_Row = tuple[tuple[str, ...], tuple[str, str]]
_Column = Callable[[Panel, list[Cell]], str]


def budget_tables(shown: Sequence[Panel]) -> list[Table]:
    """Tables 2 (2D) and 3 (3D): batched IoU of each cell, mean and deviation over trainings."""
    found = []
    for number, dimensions in ((2, "2D"), (3, "3D")):
        chosen = [panel for panel in shown if panel.dimensions == dimensions]
        asked = _asked(chosen, SPARSE)
        columns: dict[str, _Column] = {
            f"s = {s:g}": partial(_score_having, s=s) for s in levels(asked, "s")
        }
        if _asked(chosen, DENSE):
            columns["dense"] = _dense_score
        over = pooled_over(asked, "way", "seed")
        title = f"Batched IoU, {dimensions}: mean ± standard deviation over {over}"
        factors = (*amounts(asked), *varying(asked, "scope", "min_per_volume"))
        if chosen:
            found.append(_of_cells(f"table{number}", title, chosen, SPARSE, factors, columns))
    return found


def selector_table(shown: Sequence[Panel]) -> Table:
    """Batched IoU of each cell by selector."""
    asked = _asked(shown, SPARSE)
    columns: dict[str, _Column] = {"slices": _slices}
    for key, name in selector_names(asked).items():
        columns[name] = partial(_score_having, **dict(zip(CHOICE, key, strict=True)))
    title = "Batched IoU by selector: mean ± standard deviation over repeats"
    factors = (*amounts(asked), "s", *other_factors(asked, *CHOICE))
    return _of_cells("selectors", title, shown, SPARSE, factors, columns)


def interpolation_table(shown: Sequence[Panel]) -> Table:
    """Table 4: batched IoU with and without mask interpolation.

    Where there are several selectors or seeds, their mean comes first, as the paper has it.
    """
    asked = _asked(shown, INTERPOLATED)
    extra = other_factors(asked, "interpolation")
    columns: dict[str, _Column] = {"without": _score_without, "with": _score}
    title = "Batched IoU without and with mask interpolation: mean ± standard deviation"
    factors = ("interpolation", *amounts(asked), "s")
    split = _of_cells("table4", title, shown, INTERPOLATED, (*factors, *extra), columns)
    if not extra:
        return split
    pooled = _of_cells("table4", title, shown, INTERPOLATED, factors, columns)
    # after the task and these factors
    place = 1 + len(factors)
    rows = [
        ((*texts[:place], *("all" for _ in extra), *texts[place:]), group)
        for texts, group in pooled.grouped_rows
    ]
    return _table("table4", title, split.header, [*rows, *split.grouped_rows])


def area_table(shown: Sequence[Panel]) -> Table:
    """Area under the budget curve by selector and volume fraction."""
    extra = other_factors(_asked(shown, SPARSE), "way")
    columns: dict[str, _Column] = {"slices": _slices, "area": _area}
    title = "Area under the budget curve: mean batched IoU over the logarithm of the slices"
    return _of_cells("area", title, shown, SPARSE, ("way", "s", *extra), columns)


def hours_table(shown: Sequence[Panel], hours: Mapping[str, float]) -> Table:
    """Hours of annotation of each cell, and its batched IoU, the cheapest first.

    Parameters
    ----------
    shown
        Panels.
    hours
        By full name of the data set.
    """
    asked = _asked(shown, SPARSE)
    extra = other_factors(asked, "way")
    columns: dict[str, _Column] = {
        "slices": _slices,
        "hours": partial(_hours, hours=hours),
        "batched IoU": _score,
    }
    title = "Hours of annotation and batched IoU: mean ± standard deviation over repeats"
    factors = ("way", *amounts(asked), "s", *extra)
    table = _of_cells("hours", title, shown, SPARSE, factors, columns)
    place = table.header.index("hours")

    def order(row: _Row) -> tuple[str, bool, float]:
        texts, _ = row
        return texts[0], texts[place] == MISSING, float(texts[place] or 0)

    return _table("hours", title, table.header, sorted(table.grouped_rows, key=order))


def _of_cells(
    name: str,
    title: str,
    shown: Sequence[Panel],
    kind: str,
    factors: Sequence[str],
    columns: Mapping[str, _Column],
) -> Table:
    """A row for each panel and combination of factors that is asked for."""
    rows: list[_Row] = []
    for panel in shown:
        for cells in grouped(having(panel.asked, kind=kind), *factors).values():
            texts = [_text(cells[0].variant, name) for name in factors]
            numbers = [column(panel, cells) for column in columns.values()]
            rows.append(((panel.title, *texts, *numbers), (panel.task, panel.configuration)))
    return _table(name, title, ("task", *map(title_of, factors), *columns), rows)


def _score(panel: Panel, cells: Sequence[Cell], metric: str = "batched_IoU") -> str:
    """Mean and deviation of a metric over trainings."""
    return _summary(panel.results_of(cells), len(cells), metric)


def _summary(results: Sequence[Result], num_asked: int, metric: str) -> str:
    values = [getattr(result, metric) for result in results]
    if not values:
        return MISSING
    defined = [value for value in values if value is not None]
    text = mean_and_deviation(defined, 2 if metric == "HD95_mm" else 3) or UNDEFINED
    return text + _part(len(values), num_asked)


def _part(num_done: int, num_asked: int, what: str = "") -> str:
    """Says that something is not complete."""
    return f" ({num_done} of {num_asked}{what})" if num_done < num_asked else ""


def _score_having(panel: Panel, cells: Sequence[Cell], **factors: Any) -> str:
    return _score(panel, having(cells, **factors))


def _dense_score(panel: Panel, _: Sequence[Cell]) -> str:
    return _score(panel, having(panel.asked, kind=DENSE))


def _score_without(panel: Panel, cells: Sequence[Cell]) -> str:
    """Score of the same slices without interpolation."""
    partners = {
        replace(cell, variant=replace(cell.variant, interpolation=None), kind=kind)
        for cell in cells
        for kind in (SPARSE, PARTNER)
    }
    return _score(panel, [cell for cell in panel.asked if cell in partners])


def _slices(panel: Panel, cells: Sequence[Cell]) -> str:
    """Number of annotated slices, or their range."""
    numbers = [r.num_slices for r in panel.results_of(cells) if r.num_slices > 0]
    if not numbers:
        return MISSING
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}-{high}"


def _area(panel: Panel, cells: Sequence[Cell]) -> str:
    results = [r for r in panel.results_of(cells) if r.num_slices > 0]
    results = [r for r in results if r.batched_IoU is not None]
    num_asked, num_done = len(levels(cells, "amount")), len(levels(results, "amount"))
    several = "densities" if amounts(cells) == ("rho",) else "amounts"
    area = area_under_budget_curve([r.num_slices for r in results], [iou_of(r) for r in results])
    if area is None:
        return MISSING if num_done < num_asked else UNDEFINED
    return f"{area:.3f}" + _part(num_done, num_asked, f" {several}")


def _hours(panel: Panel, cells: Sequence[Cell], hours: Mapping[str, float]) -> str:
    found = {r.dataset for r in panel.results_of(cells)} & set(hours)
    return f"{sum(hours[name] for name in found) / len(found):.2f}" if found else MISSING


def quality_table(qualities: Sequence[MaskQuality]) -> Table:
    """Table 5: batched IoU of human and interpolated masks together, against dense ones."""
    extra = other_factors(qualities, "interpolation", "way")
    factors = ("interpolation", *amounts(qualities), "s", "way", *extra)
    rows: list[_Row] = []
    for quality in qualities:
        texts = [_text(quality.variant, name) for name in factors]
        rows.append(((quality.task, *texts, _iou(quality)), (quality.task, "")))
    header = ("task", *map(title_of, factors), "batched IoU")
    title = "Interpolated training masks, annotated slices included, against dense ones"
    return _table("table5", title, header, sorted(rows))


def _iou(quality: MaskQuality) -> str:
    if quality.iou is not None:
        return f"{quality.iou:.3f}"
    return UNDEFINED if quality.done else MISSING


def findings_table(shown: Sequence[Panel]) -> Table:
    """Verdicts: each finding for all tasks together and for each task and way of training."""
    everything = [result for panel in shown for result in panel.results]
    rows: list[_Row] = []
    for claim, pairs_of in _claims([cell for panel in shown for cell in panel.asked]):
        rows.append((_verdict(claim, "all", difference(pairs_of(everything))), ("", "")))
        for panel in shown if len(shown) > 1 else ():
            texts = _verdict(claim, panel.title, difference(pairs_of(panel.results)))
            rows.append((texts, (panel.task, panel.configuration)))
    header = ("finding", "task", "verdict", "difference of IoU", "95 % interval", "cells", "won")
    title = (
        "Findings: mean paired difference of batched IoU, with its interval over test cases, "
        "repeats and seeds"
    )
    return _table("findings", title, header, rows)


_Pairs = Callable[[Sequence[Result]], list[Pair]]


def _claims(asked: Sequence[Cell]) -> list[tuple[str, _Pairs]]:
    """What can be asked of an experiment."""
    spread = "fewer slices on more volumes are better than more on fewer"
    claims: list[tuple[str, _Pairs]] = [(f"{spread} (same budget)", more_volumes)]
    sparse = having(asked, kind=SPARSE)
    names = levels(sparse, "way")
    # what holds for one selector may not hold for another
    for name in names if len(names) > 1 else ():
        claims.append((f"{spread}, if chosen by {name}", _more_volumes(name)))
    ranked = sorted(names, key=lambda name: (name in ("fixed", "random"), name))
    for one, other in combinations(ranked, 2):
        claims.append((f"{one} is better than {other}", _selectors(one, other)))
    if varying(sparse, "scope"):
        claims.append(("choosing from the whole data set is better", _scopes))
    for method in levels(having(asked, kind=INTERPOLATED), "interpolation"):
        claims.append((f"mask interpolation ({method}) helps", _interpolation(method)))
    return claims


def _more_volumes(selector: str) -> _Pairs:
    return lambda results: more_volumes(
        [r for r in results if r.variant.way_of_choosing == selector]
    )


def _selectors(one: str, other: str) -> _Pairs:
    return lambda results: selector_against(results, one, other)


def _scopes(results: Sequence[Result]) -> list[Pair]:
    sparse = [r for r in results if r.kind == SPARSE]
    return matched(
        sparse,
        lambda r: r.variant.scope == "dataset",
        lambda r: r.variant.same_but("scope", "min_per_volume"),
    )


def _interpolation(method: str) -> _Pairs:
    return lambda results: interpolated_against_sparse(
        [r for r in results if r.variant.text("interpolation") in ("", method)]
    )


def _verdict(claim: str, task: str, found: Difference | None) -> tuple[str, ...]:
    if found is None:
        return (claim, task, "no pair of cells is done", *(MISSING,) * 4)
    return (
        claim,
        task,
        found.verdict,
        f"{found.mean:+.3f}",
        f"{found.low:+.3f} to {found.high:+.3f}",
        str(found.num_cells),
        f"{found.wins:.0%}",
    )


def metric_table(shown: Sequence[Panel]) -> Table:
    """All metrics of each cell, label by label.

    Parameters
    ----------
    shown
        Panels with the results of all labels.
    """
    rows: list[_Row] = []
    factors = (*amounts(cell for panel in shown for cell in panel.asked), "s")
    for panel in shown:
        of_task = [r for other in shown if other.task == panel.task for r in other.results]
        labels = list(dict.fromkeys(_label(r) for r in of_task)) or [MISSING]
        for cell, cells in _by_cell(panel.asked).items():
            for label in labels:
                found = [r for r in panel.results_of(cells) if _label(r) == label]
                values = [_summary(found, len(cells), metric) for metric in METRICS]
                what = "dense" if cell.kind == DENSE else cell.variant.description
                shares = [cell.variant.text(name) for name in factors]
                texts = (panel.title, what, *shares, label)
                rows.append(((*texts, *values), (panel.task, panel.configuration)))
    header = ("task", "annotation", *map(title_of, factors), "label", *METRICS)
    return _table("metrics", "All metrics: mean ± standard deviation over repeats", header, rows)


def _by_cell(asked: Iterable[Cell]) -> dict[Cell, list[Cell]]:
    """Cells, each with its repeats."""
    found: dict[Cell, list[Cell]] = {}
    for cell in asked:
        found.setdefault(cell, []).append(cell)
    return found


def _label(result: Result) -> str:
    """Name of the label; a label may be called like the mean."""
    return "mean over labels" if result.is_mean else result.label


def _asked(shown: Sequence[Panel], kind: str) -> list[Cell]:
    return [cell for panel in shown for cell in having(panel.asked, kind=kind)]


def _text(variant: Variant, name: str) -> str:
    return variant.way_of_choosing if name == "way" else variant.text(name)


def _table(name: str, title: str, header: Sequence[str], rows: Sequence[_Row]) -> Table:
    texts, groups = tuple(row for row, _ in rows), tuple(group for _, group in rows)
    return Table(name, title, tuple(header), texts, groups)
