"""How well interpolated labels agree with the dense ones that they stand for."""

import csv
import io
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nnunet_sparse.evaluation.metrics import Counts, count_labels, pool
from nnunet_sparse.interpolation.propagation import Warp
from nnunet_sparse.interpolation.request import Interpolation

# Zhang et al. 2026, table 5: batched IoU of mixed annotation
PUBLISHED = {
    "LiTS17 tumour": {0.05: 0.9079, 0.1: 0.9431, 0.2: 0.9683, 0.4: 0.9931, 0.8: 0.9926},
    "DBC breast": {0.05: 0.9673, 0.1: 0.9781, 0.2: 0.9856, 0.4: 0.9912, 0.8: 0.9971},
    "DBC FGT": {0.05: 0.6366, 0.1: 0.7118, 0.2: 0.7763, 0.4: 0.8447, 0.8: 0.9456},
    "ATLAS lesion": {0.05: 0.5621, 0.1: 0.7326, 0.2: 0.8831, 0.4: 0.9674},
}


@dataclass(frozen=True)
class CaseQuality:
    """Agreement of one volume, interpolated in one way.

    Attributes
    ----------
    rho
        Density.
    method
        Name of the interpolation.
    mixed, propagated
        Voxels by label: of the whole volume, and of the slices that were not annotated.
    seconds
        Time that the interpolation took.
    worst
        Index of the slice with most wrong voxels, and their number; -1 and 0 if none is wrong.
    """

    rho: float
    method: str
    mixed: dict[str, Counts]
    propagated: dict[str, Counts]
    seconds: float
    worst: tuple[int, int]


def measure_case(
    label: np.ndarray,
    chosen: Mapping[float, Sequence[int]],
    ways: Sequence[Interpolation],
    labels: Mapping[str, Sequence[int]],
    spacing_mm: Sequence[float],
    make_warp: Callable[[Interpolation], tuple[Warp | None, float]],
) -> list[CaseQuality]:
    """Interpolate a volume from some of its slices and compare with all of them.

    Parameters
    ----------
    label
        (num_slices, y, x) dense label.
    chosen
        Annotated slices by density.
    ways
        Interpolations.
    labels
        Values of each label or region by its name.
    spacing_mm
        Spacing along y and x.
    make_warp
        What moves labels between slices for an interpolation (None where none is needed), and
        seconds that it has taken to prepare, which are added to those of every interpolation.
    """
    found = []
    warps = [make_warp(way) for way in ways]
    for rho, slices in chosen.items():
        annotated = np.zeros(len(label), bool)
        annotated[list(slices)] = True
        sparse = np.where(annotated[:, None, None], label, 0)
        for way, (warp, prepared) in zip(ways, warps, strict=True):
            start = time.perf_counter()
            filled = way.fill(sparse, annotated, spacing_mm, warp).label
            seconds = prepared + time.perf_counter() - start
            wrong = (filled != label).sum(axis=(1, 2))
            worst = int(wrong.argmax())
            human = count_labels(label[annotated], filled[annotated], labels)
            propagated = count_labels(label[~annotated], filled[~annotated], labels)
            mixed = {name: human[name] + counts for name, counts in propagated.items()}
            found.append(
                CaseQuality(
                    rho,
                    way.name.removeprefix("mi_"),
                    mixed,
                    propagated,
                    seconds,
                    (worst if wrong[worst] else -1, int(wrong[worst])),
                )
            )
    return found


@dataclass(frozen=True)
class QualityRow:
    """One row of the table.

    Attributes
    ----------
    rho, method, label
        What it is about.
    mixed, propagated
        Batched IoU of the whole volumes, and of the slices that were not annotated; None where the
        label is neither there nor found.
    seconds
        Mean time per volume.
    """

    rho: float
    method: str
    label: str
    mixed: float | None
    propagated: float | None
    seconds: float


def quality_rows(cases: Mapping[str, Sequence[CaseQuality]]) -> list[QualityRow]:
    """Batched IoU of every label, and their mean, by density and method.

    Parameters
    ----------
    cases
        Measurements by case ID.
    """
    everything = [quality for of_case in cases.values() for quality in of_case]
    keys = list(dict.fromkeys((q.rho, q.method) for q in everything))
    rows = []
    for rho, method in keys:
        group = [q for q in everything if (q.rho, q.method) == (rho, method)]
        seconds = float(np.mean([q.seconds for q in group]))
        of_labels = [
            QualityRow(
                rho,
                method,
                name,
                _iou([q.mixed[name] for q in group]),
                _iou([q.propagated[name] for q in group]),
                seconds,
            )
            for name in group[0].mixed
        ]
        rows += of_labels
        if len(of_labels) > 1:
            mixed = _mean([row.mixed for row in of_labels])
            propagated = _mean([row.propagated for row in of_labels])
            rows.append(QualityRow(rho, method, "mean", mixed, propagated, seconds))
    return rows


def quality_markdown(rows: Sequence[QualityRow], only_mean: bool = False) -> str:
    """Table of the rows, and the published one below it."""
    several = any(row.label == "mean" for row in rows)
    lines = [
        "| rho | method | label | IoU, mixed | IoU, propagated | s per volume |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if only_mean and several and row.label != "mean":
            continue
        lines.append(
            f"| {row.rho:g} | {row.method} | {row.label} | {_text(row.mixed)} "
            f"| {_text(row.propagated)} | {row.seconds:.2f} |"
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
        numbers = " | ".join(_text(values.get(rho), 4) for rho in densities)
        lines.append(f"| {target} | {numbers} |")
    return "\n".join(lines) + "\n"


def quality_csv(rows: Sequence[QualityRow]) -> str:
    """The rows as comma-separated values; empty where there is no number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def to_json(found: Sequence[CaseQuality]) -> list[dict[str, Any]]:
    """Measurements of a case, as JSON holds them; :func:`from_json` undoes it."""
    return [
        {
            **vars(quality),
            "mixed": _as_lists(quality.mixed),
            "propagated": _as_lists(quality.propagated),
            "worst": list(quality.worst),
        }
        for quality in found
    ]


def from_json(content: Sequence[Mapping[str, Any]]) -> list[CaseQuality]:
    """Inverse of :func:`to_json`."""
    return [
        CaseQuality(
            **{
                **one,
                "mixed": {name: Counts(*counts) for name, counts in one["mixed"].items()},
                "propagated": {name: Counts(*counts) for name, counts in one["propagated"].items()},
                "worst": tuple(one["worst"]),
            }
        )
        for one in content
    ]


def _as_lists(counts: Mapping[str, Counts]) -> dict[str, list[int]]:
    """True positive, false positive and false negative voxels by label."""
    return {name: [found.tp, found.fp, found.fn] for name, found in counts.items()}


def _iou(counts: Iterable[Counts]) -> float | None:
    """Batched IoU; None where it is undefined."""
    iou = pool(counts).iou
    return None if math.isnan(iou) else iou


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _text(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"
