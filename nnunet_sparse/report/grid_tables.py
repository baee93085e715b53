"""The tables of the paper, and those that it lacks, for the cells that are done."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from nnunet_sparse.budget import share_name
from nnunet_sparse.grid.results import METRICS, Result
from nnunet_sparse.report.grid_figures import Panel, dimensions, panels
from nnunet_sparse.report.grid_statistics import (
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
from nnunet_sparse.report.tables import Table, mean_and_deviation

MISSING = ""


def budget_tables(results: Sequence[Result]) -> list[Table]:
    """Tables 2 (2D) and 3 (3D): batched IoU of each cell, mean and deviation over trainings."""
    found = []
    for number, kind in ((2, "2D"), (3, "3D")):
        shown = panels(r for r in results if dimensions(r) == kind)
        fractions = sorted({r.s for p in shown for r in p.results if r.kind == "sparse"})
        rows = [row for panel in shown for row in _cells(panel, fractions)]
        header = ("task", "rho", *(f"s = {s:g}" for s in fractions), "dense")
        title = f"Batched IoU, {kind}: mean ± standard deviation over selectors and repeats"
        if rows:
            found.append(Table(f"table{number}", title, header, tuple(rows)))
    return found


def _cells(panel: Panel, fractions: Sequence[float]) -> list[tuple[str, ...]]:
    sparse = [r for r in panel.results if r.kind == "sparse"]
    dense = mean_and_deviation(_ious(r for r in panel.results if r.kind == "dense"))
    rows = []
    for rho in sorted({r.rho for r in sparse}):
        cells = [
            mean_and_deviation(_ious(r for r in sparse if (r.rho, r.s) == (rho, s)))
            for s in fractions
        ]
        rows.append((panel.title, share_name(rho), *cells, dense))
    return rows


def selector_table(results: Sequence[Result]) -> Table:
    """Batched IoU of each cell by selector."""
    sparse = [r for r in results if r.kind == "sparse"]
    names = sorted({(r.selector, r.scope) for r in sparse})
    scopes = {scope for _, scope in names}
    titles = [name + (f" ({scope})" if len(scopes) > 1 else "") for name, scope in names]
    header = ("task", "rho", "s", "slices", *titles)
    rows = []
    for panel in panels(sparse):
        for rho, s in sorted({(r.rho, r.s) for r in panel.results}):
            cell = [r for r in panel.results if (r.rho, r.s) == (rho, s)]
            slices = sorted({r.num_slices for r in cell})
            shown = f"{slices[0]}" if len(slices) == 1 else f"{slices[0]}-{slices[-1]}"
            values = [
                mean_and_deviation(_ious(r for r in cell if (r.selector, r.scope) == name))
                for name in names
            ]
            rows.append((panel.title, share_name(rho), share_name(s), shown, *values))
    title = "Batched IoU by selector: mean ± standard deviation over repeats"
    return Table("selectors", title, header, tuple(rows))


def interpolation_table(results: Sequence[Result]) -> Table:
    """Table 4: batched IoU with and without mask interpolation."""
    rows = []
    for panel in panels(results):
        groups: dict[tuple[str, float, float], list[tuple[Result, Result]]] = {}
        for pair in interpolated_against_sparse(panel.results):
            key = (pair.first.interpolation, pair.first.rho, pair.first.s)
            groups.setdefault(key, []).append((pair.first, pair.second))
        for (method, rho, s), pairs in sorted(groups.items()):
            rows.append(
                (
                    panel.title,
                    method,
                    share_name(rho),
                    share_name(s),
                    mean_and_deviation(_ious(without for _, without in pairs)),
                    mean_and_deviation(_ious(filled for filled, _ in pairs)),
                )
            )
    header = ("task", "interpolation", "rho", "s", "without", "with")
    title = "Batched IoU without and with mask interpolation: mean ± standard deviation"
    return Table("table4", title, header, tuple(rows))


def quality_table(qualities: Mapping[tuple[str, str, float, float, str], float | None]) -> Table:
    """Table 5: batched IoU of human and interpolated masks together, against dense ones.

    Parameters
    ----------
    qualities
        By task, interpolation, rho, s and selector.
    """
    rows = [
        (task, method, share_name(rho), share_name(s), selector, _number(value))
        for (task, method, rho, s, selector), value in sorted(qualities.items())
    ]
    header = ("task", "interpolation", "rho", "s", "selector", "batched IoU")
    title = "Interpolated training masks, annotated slices included, against dense ones"
    return Table("table5", title, header, tuple(rows))


def findings_table(results: Sequence[Result]) -> Table:
    """Verdicts: each finding for all tasks together and for each task and way of training."""
    rows = []
    for claim, pairs_of in _claims(results):
        rows.append(_verdict(claim, "all", difference(pairs_of(results))))
        groups = panels(results)
        if len(groups) > 1:
            rows += [
                _verdict(claim, panel.title, difference(pairs_of(panel.results)))
                for panel in groups
            ]
    header = ("finding", "task", "verdict", "difference of IoU", "95 % interval", "cells", "won")
    title = (
        "Findings: mean paired difference of batched IoU, with its interval over test cases and "
        "repeats"
    )
    return Table("findings", title, header, tuple(rows))


_Pairs = Callable[[Sequence[Result]], list[Pair]]


def _claims(results: Sequence[Result]) -> list[tuple[str, _Pairs]]:
    """What can be asked of these results."""
    claims: list[tuple[str, _Pairs]] = [
        ("fewer slices on more volumes are better than more on fewer (same budget)", more_volumes)
    ]
    names = sorted({r.selector for r in results if r.kind == "sparse"})
    ranked = sorted(names, key=lambda name: (name in ("fixed", "random"), name))
    for i, one in enumerate(ranked):
        for other in ranked[i + 1 :]:
            claims.append((f"{one} is better than {other}", _selectors(one, other)))
    if len({r.scope for r in results if r.kind == "sparse"}) > 1:
        claims.append(("choosing from the whole data set is better", _scopes))
    for method in sorted({r.interpolation for r in results} - {""}):
        claims.append((f"mask interpolation ({method}) helps", _interpolation(method)))
    return claims


def _selectors(one: str, other: str) -> _Pairs:
    return lambda results: selector_against(results, one, other)


def _scopes(results: Sequence[Result]) -> list[Pair]:
    sparse = [r for r in results if r.kind == "sparse"]
    return matched(
        sparse, lambda r: r.scope == "dataset", lambda r: (r.rho, r.s, r.selector, r.seed)
    )


def _interpolation(method: str) -> _Pairs:
    return lambda results: interpolated_against_sparse(
        [r for r in results if r.interpolation in ("", method)]
    )


def _verdict(claim: str, task: str, found: Difference | None) -> tuple[str, ...]:
    if found is None:
        return (claim, task, "no pair of cells is done", *("",) * 4)
    return (
        claim,
        task,
        found.verdict,
        f"{found.mean:+.3f}",
        f"{found.low:+.3f} to {found.high:+.3f}",
        str(found.num_cells),
        f"{found.wins:.0%}",
    )


def area_table(results: Sequence[Result]) -> Table:
    """Area under the budget curve by selector and volume fraction."""
    rows = []
    for panel in panels(r for r in results if r.kind == "sparse"):
        for selector in sorted({r.selector for r in panel.results}):
            for s in sorted({r.s for r in panel.results}):
                chosen = [r for r in panel.results if (r.selector, r.s) == (selector, s)]
                chosen = [r for r in chosen if r.batched_IoU is not None]
                area = area_under_budget_curve(
                    [r.num_slices for r in chosen], [iou_of(r) for r in chosen]
                )
                slices = sorted({r.num_slices for r in chosen})
                span = f"{slices[0]}-{slices[-1]}" if slices else MISSING
                rows.append((panel.title, selector, share_name(s), span, _number(area)))
    header = ("task", "selector", "s", "slices", "area")
    title = "Area under the budget curve: mean batched IoU over the logarithm of the slices"
    return Table("area", title, header, tuple(rows))


def hours_table(results: Sequence[Result], hours: Mapping[str, float]) -> Table:
    """Hours of annotation of each cell, and its batched IoU, the cheapest first."""
    rows = []
    for panel in panels(r for r in results if r.kind == "sparse" and r.dataset in hours):
        groups: dict[str, list[Result]] = {}
        for r in panel.results:
            groups.setdefault(r.dataset, []).append(r)
        for dataset, group in sorted(groups.items(), key=lambda item: hours[item[0]]):
            first = group[0]
            rows.append(
                (
                    panel.title,
                    first.selector,
                    share_name(first.rho),
                    share_name(first.s),
                    str(first.num_slices),
                    f"{hours[dataset]:.2f}",
                    mean_and_deviation(_ious(group)),
                )
            )
    header = ("task", "selector", "rho", "s", "slices", "hours", "batched IoU")
    title = "Hours of annotation and batched IoU: mean ± standard deviation over repeats"
    return Table("hours", title, header, tuple(rows))


def metric_table(results: Sequence[Result]) -> Table:
    """All metrics of each cell, label by label."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for panel in panels(results):
        for r in panel.results:
            what = "dense" if r.kind == "dense" else _factors(r)
            key = (panel.title, what, share_name(r.rho), share_name(r.s), r.label)
            groups.setdefault(key, []).append(r)
    rows = [
        (
            *key,
            *(mean_and_deviation(_values(group, m), 2 if m == "HD95_mm" else 3) for m in METRICS),
        )
        for key, group in groups.items()
    ]
    header = ("task", "annotation", "rho", "s", "label", *METRICS)
    title = "All metrics: mean ± standard deviation over repeats"
    return Table("metrics", title, header, tuple(rows))


def _factors(result: Result) -> str:
    """What a variant is besides rho and s; what is not the default appears."""
    parts = [result.selector]
    if result.interpolation:
        parts.insert(0, f"{result.interpolation} from")
    if result.scope != "volume":
        parts.append(f"scope {result.scope}")
    if result.positive_weight != 1:
        parts.append(f"weight {result.positive_weight:g}")
    if result.seed:
        parts.append(f"seed {result.seed}")
    return " ".join(parts)


def _values(results: Iterable[Result], metric: str) -> list[float]:
    values = [getattr(r, metric) for r in results]
    return [value for value in values if value is not None]


def _ious(results: Iterable[Result]) -> list[float]:
    return _values(results, "batched_IoU")


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
