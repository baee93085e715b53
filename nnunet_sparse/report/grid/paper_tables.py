"""The tables of the paper, and those that it lacks.

Every cell that is asked for has its place; where it is not done, it is empty, and where a task or
way of training does not have it, ``N/A``. Numbers of trainings stand beside a mean that lacks some
of them, or to which collapsed ones belong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pandas as pd

from nnunet_sparse.evaluation.case_metrics import CASE_METRICS
from nnunet_sparse.grid.cell_kinds import DENSE, INTERPOLATED, PARTNER, SPARSE
from nnunet_sparse.grid.results import METRICS, Result
from nnunet_sparse.report.grid.budget_curve import area_under_budget_curve
from nnunet_sparse.report.grid.factor_columns import (
    CHOICE,
    amounts,
    grouped,
    having,
    other_factors,
    pooled_over,
    selector_names,
    title_of,
    varying,
    with_factors,
)
from nnunet_sparse.report.grid.mask_quality import MaskQuality
from nnunet_sparse.report.grid.paired_statistics import mean_iou
from nnunet_sparse.report.grid.panels import (
    COLLAPSE,
    COLLAPSED,
    NOT_APPLICABLE,
    Panel,
    cells_of_kind,
    trainings_of_kind,
)
from nnunet_sparse.report.tables import Table, mean_and_deviation
from nnunet_sparse.selection.variant import Variant

MISSING = ""
UNDEFINED = "undefined"
_DIGITS = {metric.name: metric.digits for metric in CASE_METRICS}
_Row = tuple[tuple[str, ...], tuple[str, str]]
_Column = Callable[[Panel, pd.DataFrame], str]


def budget_tables(shown: Sequence[Panel]) -> list[Table]:
    """Tables 2 (2D) and 3 (3D): batched IoU of each cell, mean and deviation over trainings."""
    found = []
    for number, dimensions in ((2, "2D"), (3, "3D")):
        chosen = [panel for panel in shown if panel.dimensions == dimensions]
        if not chosen:
            continue
        cells = cells_of_kind(chosen, SPARSE)
        columns: dict[str, _Column] = {
            f"s = {s:g}": partial(_score_having, factors={"s": s})
            for s in sorted(cells["s"].unique())
        }
        if len(trainings_of_kind(chosen, DENSE)):
            columns["dense"] = _dense_score
        over = pooled_over(trainings_of_kind(chosen, SPARSE), "way", "seed")
        title = f"Batched IoU, {dimensions}: mean ± standard deviation over {over}"
        factors = (*amounts(cells), *varying(cells, "scope", "min_per_volume"))
        table = _of_cells(f"table{number}", title, chosen, SPARSE, factors, columns)
        found.append(replace(table, title=title + _note(table)))
    return found


def selector_table(shown: Sequence[Panel]) -> Table:
    """Batched IoU of each cell by selector."""
    cells = cells_of_kind(shown, SPARSE)
    columns: dict[str, _Column] = {"slices": _slices}
    for key, name in selector_names(cells).items():
        columns[name] = partial(_score_having, factors=dict(zip(CHOICE, key, strict=True)))
    title = "Batched IoU by selector: mean ± standard deviation over repeats"
    factors = (*amounts(cells), "s", *other_factors(cells, *CHOICE))
    return _of_cells("selectors", title, shown, SPARSE, factors, columns)


def interpolation_table(shown: Sequence[Panel]) -> Table:
    """Table 4: batched IoU with and without mask interpolation.

    Where there are several selectors or seeds, their mean comes first, as the paper has it.
    """
    cells = cells_of_kind(shown, INTERPOLATED)
    extra = other_factors(cells, "interpolation")
    columns: dict[str, _Column] = {"without": _score_without, "with": _score_with}
    title = "Batched IoU without and with mask interpolation: mean ± standard deviation"
    factors = ("interpolation", *amounts(cells), "s")
    split = _of_cells("table4", title, shown, INTERPOLATED, (*factors, *extra), columns)
    if not extra:
        return replace(split, title=title + _note(split))
    pooled = _of_cells("table4", title, shown, INTERPOLATED, factors, columns)
    # after the task and these factors
    place = 1 + len(factors)
    rows = [
        ((*texts[:place], *("all" for _ in extra), *texts[place:]), group)
        for texts, group in pooled.grouped_rows
    ]
    return _table("table4", title + _note(split), split.header, [*rows, *split.grouped_rows])


def area_table(shown: Sequence[Panel]) -> Table:
    """Area under the budget curve by selector and volume fraction."""
    extra = other_factors(cells_of_kind(shown, SPARSE), "way")
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
    cells = cells_of_kind(shown, SPARSE)
    extra = other_factors(cells, "way")
    columns: dict[str, _Column] = {
        "slices": _slices,
        "hours": _of_planned(partial(_hours, hours=hours)),
        "batched IoU": _score,
    }
    title = "Hours of annotation and batched IoU: mean ± standard deviation over repeats"
    factors = ("way", *amounts(cells), "s", *extra)
    table = _of_cells("hours", title, shown, SPARSE, factors, columns)
    place = table.header.index("hours")

    def order(row: _Row) -> tuple[str, bool, float]:
        texts, _ = row
        is_unknown = texts[place] in (MISSING, NOT_APPLICABLE)
        return texts[0], is_unknown, 0 if is_unknown else float(texts[place])

    return _table("hours", title, table.header, sorted(table.grouped_rows, key=order))


def _of_cells(
    name: str,
    title: str,
    shown: Sequence[Panel],
    kind: str,
    factors: Sequence[str],
    columns: Mapping[str, _Column],
) -> Table:
    """A row for each panel and combination of factors of the experiment, excluded or not."""
    rows: list[_Row] = []
    for panel in shown:
        for _, trainings in grouped(panel.with_left_out(kind), *factors):
            texts = [_text(trainings["variant"].iloc[0], name) for name in factors]
            numbers = [column(panel, trainings) for column in columns.values()]
            rows.append(((panel.title, *texts, *numbers), (panel.task, panel.configuration)))
    return _table(name, title, ("task", *map(title_of, factors), *columns), rows)


def _note(table: Table) -> str:
    """What the title of a table adds, so that marks of its cells are understood."""
    is_marked = any(COLLAPSED in cell for row in table.rows for cell in row)
    return f"; {COLLAPSED}: {COLLAPSE}" if is_marked else ""


def _of_planned(column: _Column) -> _Column:
    """Column of what is asked for; where nothing is, it says so.

    It may be excluded, or be a cell of other tasks or ways of training alone.
    """

    def text(panel: Panel, trainings: pd.DataFrame) -> str:
        planned = trainings[~trainings["is_left_out"].astype(bool)]
        return NOT_APPLICABLE if planned.empty else column(panel, planned)

    return text


@_of_planned
def _score(_: Panel, trainings: pd.DataFrame) -> str:
    """Mean and deviation of batched IoU over trainings, and how many of them collapsed."""
    text = _summary(trainings, len(trainings), "batched_IoU")
    scored = trainings["result"].dropna()
    collapsed = sum(result.is_collapsed for result in scored)
    return text + (f" ({collapsed} of {len(scored)} {COLLAPSED})" if collapsed else "")


def _summary(trainings: pd.DataFrame, num_asked: int, metric: str) -> str:
    """Mean and deviation of a metric over trainings."""
    values = trainings.loc[trainings["result"].notna(), metric]
    if values.empty:
        return MISSING
    digits = _DIGITS.get(metric, 3)
    text = mean_and_deviation(values.dropna().tolist(), digits) or UNDEFINED
    return text + _part(len(values), num_asked)


def _part(num_done: int, num_asked: int, what: str = "") -> str:
    """Says that something is not complete."""
    return f" ({num_done} of {num_asked}{what})" if num_done < num_asked else ""


def _score_having(panel: Panel, trainings: pd.DataFrame, factors: Mapping[str, object]) -> str:
    return _score(panel, having(trainings, **factors))


def _dense_score(panel: Panel, _: pd.DataFrame) -> str:
    return _score(panel, panel.with_left_out(DENSE))


def _score_with(panel: Panel, trainings: pd.DataFrame) -> str:
    """Score with interpolation."""
    return _score(panel, trainings[_in_pairs(panel, trainings)])


def _score_without(panel: Panel, trainings: pd.DataFrame) -> str:
    """Score of the same slices without interpolation."""
    partners = _without(trainings[_in_pairs(panel, trainings)])
    others = panel.with_left_out(SPARSE, PARTNER)
    return _score(panel, others[others["variant"].isin(partners)])


def _in_pairs(panel: Panel, trainings: pd.DataFrame) -> "pd.Series[bool]":
    """Which trainings are asked for without interpolation as well; all where none are.

    A mean of one side over cells of which the other is excluded could not be compared with it.
    """
    is_there = panel.of_kind(SPARSE, PARTNER)["variant"]
    found = _without(trainings).isin(is_there) & ~trainings["is_left_out"].astype(bool)
    return found if found.any() else pd.Series(True, trainings.index)


def _without(trainings: pd.DataFrame) -> "pd.Series[Any]":
    """Variants without their interpolation."""
    return trainings["variant"].map(lambda variant: replace(variant, interpolation=None))


@_of_planned
def _slices(_: Panel, trainings: pd.DataFrame) -> str:
    """Number of annotated slices, or their range."""
    numbers = trainings.loc[trainings["num_slices"] > 0, "num_slices"]
    if numbers.empty:
        return MISSING
    low, high = f"{numbers.min():.0f}", f"{numbers.max():.0f}"
    return low if low == high else f"{low}-{high}"


@_of_planned
def _area(_: Panel, trainings: pd.DataFrame) -> str:
    done = trainings[(trainings["num_slices"] > 0) & trainings["batched_IoU"].notna()]
    num_asked, num_done = trainings["amount"].nunique(), done["amount"].nunique()
    several = "densities" if amounts(trainings) == ("rho",) else "amounts"
    area = area_under_budget_curve(done["num_slices"], done["counts"].map(mean_iou))
    if area is None:
        return MISSING if num_done < num_asked else UNDEFINED
    return f"{area:.3f}" + _part(num_done, num_asked, f" {several}")


def _hours(_: Panel, trainings: pd.DataFrame, hours: Mapping[str, float]) -> str:
    found = trainings["dataset"].drop_duplicates().map(hours).dropna()
    return MISSING if found.empty else f"{found.mean():.2f}"


def quality_table(qualities: Sequence[MaskQuality]) -> Table:
    """Table 5: batched IoU of human and interpolated masks together, against dense ones.

    Where there are several selectors or seeds, their pooled voxels come first.
    """
    columns = [item.name for item in fields(MaskQuality)]
    masks = with_factors(pd.DataFrame(map(vars, qualities), columns=columns))
    extra = other_factors(masks, "interpolation", "way")
    of_cell = ("interpolation", *amounts(masks), "s")
    factors = (*of_cell, "way", *extra)
    together: list[_Row] = []
    rows: list[_Row] = []
    for quality in qualities:
        pooled = factors[len(of_cell) :] if quality.pooled else ()
        texts = ["all" if name in pooled else _text(quality.variant, name) for name in factors]
        texts[0] += _by_teacher(quality.variant)
        row = (quality.task, *texts, _iou(quality)), (quality.task, "")
        (together if quality.pooled else rows).append(row)
    header = ("task", *map(title_of, factors), "batched IoU")
    title = "Interpolated training masks, annotated slices included, against dense ones"
    return _table("table5", title, header, [*sorted(together), *sorted(rows)])


def _by_teacher(variant: Variant) -> str:
    """By which networks of the experiment labels are filled: each way of training has its own."""
    teacher = "" if variant.interpolation is None else variant.interpolation.teacher
    return f" by {teacher.rpartition('_')[0].replace('_x', ' x ')}" if teacher else ""


def _iou(quality: MaskQuality) -> str:
    if quality.is_left_out:
        return NOT_APPLICABLE
    if quality.iou is not None:
        return f"{quality.iou:.3f}"
    return UNDEFINED if quality.done else MISSING


def metric_table(shown: Sequence[Panel]) -> Table:
    """All metrics of each cell, label by label.

    Parameters
    ----------
    shown
        Panels with the results of all labels.
    """
    rows: list[_Row] = []
    everything = _with_means_named(pd.concat([panel.trainings for panel in shown]))
    factors = (*amounts(everything), "s")
    for panel in shown:
        of_task = having(everything, task=panel.task)
        labels = of_task["label"].dropna().unique().tolist() or [MISSING]
        cells = _with_means_named(panel.trainings).groupby(["kind", "variant"], sort=False)
        for _, trainings in cells:
            kind, variant = trainings["kind"].iloc[0], trainings["variant"].iloc[0]
            for label in labels:
                found, num_asked = having(trainings, label=label), trainings["repeat"].nunique()
                values = [_summary(found, num_asked, metric) for metric in METRICS]
                what = "dense" if kind == DENSE else variant.description
                shares = [variant.text(name) for name in factors]
                texts = (panel.title, what, *shares, label)
                rows.append(((*texts, *values), (panel.task, panel.configuration)))
    header = ("task", "annotation", *map(title_of, factors), "label", *METRICS)
    return _table("metrics", "All metrics: mean ± standard deviation over repeats", header, rows)


def _with_means_named(trainings: pd.DataFrame) -> pd.DataFrame:
    """Tell means over labels from a label that is called like the mean."""
    return trainings.assign(label=trainings["result"].map(_label, na_action="ignore"))


def _label(result: Result) -> str:
    return "mean over labels" if result.is_mean else result.label


def _text(variant: Variant, name: str) -> str:
    return variant.way_of_choosing if name == "way" else variant.text(name)


def _table(name: str, title: str, header: Sequence[str], rows: Sequence[_Row]) -> Table:
    texts, groups = tuple(row for row, _ in rows), tuple(group for _, group in rows)
    return Table(name, title, tuple(header), texts, groups)
