"""Quality of interpolated labels over all volumes, by density, method and label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nnunet_sparse.evaluation.metrics import pool
from nnunet_sparse.report.interpolation.interpolation_quality import CaseQuality
from nnunet_sparse.report.tables import markdown_text
from nnunet_sparse.system.spreadsheet_cells import safe_cell

# Zhang et al. 2026, table 5: batched IoU of mixed annotation
PUBLISHED = {
    "LiTS17 tumour": {0.05: 0.9079, 0.1: 0.9431, 0.2: 0.9683, 0.4: 0.9931, 0.8: 0.9926},
    "DBC breast": {0.05: 0.9673, 0.1: 0.9781, 0.2: 0.9856, 0.4: 0.9912, 0.8: 0.9971},
    "DBC FGT": {0.05: 0.6366, 0.1: 0.7118, 0.2: 0.7763, 0.4: 0.8447, 0.8: 0.9456},
    "ATLAS lesion": {0.05: 0.5621, 0.1: 0.7326, 0.2: 0.8831, 0.4: 0.9674},
}
_WAY = ["rho", "method"]
_IOUS = ["mixed", "propagated"]
ALL_SELECTORS = "all"
"""What stands for the selector in rows of which the voxels of several are pooled."""


def quality_rows(cases: Mapping[str, Sequence[CaseQuality]]) -> pd.DataFrame:
    """Batched IoU of every label, and their mean, by density and method.

    Parameters
    ----------
    cases
        Measurements by case ID.

    Returns
    -------
    pd.DataFrame
        Columns ``rho``, ``method`` and ``label``, what a row is about, and ``selector`` in front if
        there are several, with rows for each and for the voxels of all together; ``mixed`` and
        ``propagated``, batched IoU of the whole volumes, and of the slices that were not annotated,
        NaN where the label is neither there nor found; ``seconds``, mean time per volume.
    """
    measured = pd.DataFrame(
        {
            "rho": quality.rho,
            "method": quality.method,
            "label": name,
            "mixed": quality.mixed[name],
            "propagated": quality.propagated[name],
            "seconds": quality.seconds,
            "selector": quality.selector,
        }
        for of_case in cases.values()
        for quality in of_case
        for name in quality.mixed
    )
    parts = []
    for _, of_way in measured.groupby(_WAY, sort=False):
        for selector, some in _selections(of_way):
            of_labels = some.groupby([*_WAY, "label"], sort=False)
            rows = of_labels.agg({**dict.fromkeys(_IOUS, _iou), "seconds": _mean}).reset_index()
            if selector:
                rows.insert(0, "selector", selector)
            parts.append(rows)
            if len(rows) > 1:
                parts.append(rows[:1].assign(label="mean", **rows[_IOUS].apply(_mean)))
    return pd.concat(parts, ignore_index=True)


def _selections(of_way: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Measurements of every selector by its name, and, of several, of all together."""
    of_each = [(str(name), some) for name, some in of_way.groupby("selector", sort=False)]
    return of_each if len(of_each) < 2 else [*of_each, (ALL_SELECTORS, of_way)]


def of_all_selectors(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of all selectors together, or of the only one."""
    return rows[rows["selector"] == ALL_SELECTORS] if "selector" in rows else rows


def _iou(counts: "pd.Series[Any]") -> float:
    return pool(counts).iou


def _mean(values: "pd.Series[float]") -> float:
    # pandas sums groups, and columns with gaps, in another order, which changes last digits
    return values.dropna().mean()


def of_mean(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the mean over labels, or of the only label."""
    means = rows[rows["label"] == "mean"]
    return rows if means.empty else means


def quality_markdown(rows: pd.DataFrame) -> str:
    """Table of the rows, and the published one below it."""
    selector, dashes = ("| selector ", "|---") if "selector" in rows else ("", "")
    lines = [
        f"{selector}| rho | method | label | IoU, mixed | IoU, propagated | s per volume |",
        f"{dashes}|---|---|---|---|---|---|",
    ]
    for row in rows.to_dict("records"):
        first = f"| {row['selector']} " if selector else ""
        lines.append(
            f"{first}| {row['rho']:g} | {row['method']} | {markdown_text(row['label'])} "
            f"| {_text(row['mixed'])} | {_text(row['propagated'])} | {row['seconds']:.2f} |"
        )
    densities = sorted({rho for values in PUBLISHED.values() for rho in values})
    lines += [
        "",
        "Published (Zhang et al. 2026, table 5; IoU, mixed; other data):",
        "",
        "| target | " + " | ".join(f"rho {rho:g}" for rho in densities) + " |",
        "|---" * (1 + len(densities)) + "|",
    ]
    for target, values in PUBLISHED.items():
        numbers = " | ".join(_text(values.get(rho, np.nan), 4) for rho in densities)
        lines.append(f"| {target} | {numbers} |")
    return "\n".join(lines) + "\n"


def quality_csv(rows: pd.DataFrame) -> str:
    """The rows as comma-separated values; empty where there is no number."""
    # whole numbers stay whole beside what is missing
    columns = {n: pd.Series([*map(safe_cell, rows[n])], dtype=rows[n].dtype) for n in rows}
    return pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")


def _text(value: float, digits: int = 3) -> str:
    return "n/a" if np.isnan(value) else f"{value:.{digits}f}"
