"""How well interpolated labels agree with the dense ones that they stand for."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_sparse.evaluation.metrics import Counts, count_labels
from nnunet_sparse.interpolation.method import FromNetwork
from nnunet_sparse.interpolation.request import Interpolation


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
    selector
        What chose the annotated slices, where several selectors are compared; otherwise empty.
    """

    rho: float
    method: str
    mixed: dict[str, Counts]
    propagated: dict[str, Counts]
    seconds: float
    worst: tuple[int, int]
    selector: str = ""


def measure_case(
    label: np.ndarray,
    chosen: Mapping[float, Sequence[int]],
    ways: Sequence[Interpolation],
    labels: Mapping[str, Sequence[int]],
    spacing_mm: Sequence[float],
    ask_network: Callable[[Interpolation], tuple[FromNetwork, float]],
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
    ask_network
        What an interpolation gets from its network (None where it has none), and seconds that it
        has taken to prepare, which are added to those of every interpolation.
    """
    found = []
    from_networks = [ask_network(way) for way in ways]
    for rho, slices in chosen.items():
        annotated = np.zeros(len(label), bool)
        annotated[list(slices)] = True
        sparse = np.where(annotated[:, None, None], label, 0)
        for way, (said, prepared) in zip(ways, from_networks, strict=True):
            start = time.perf_counter()
            filled = way.fill(sparse, annotated, spacing_mm, said).label
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


def to_json(found: Sequence[CaseQuality]) -> list[dict[str, Any]]:
    """Measurements of a case, as JSON holds them; :func:`from_json` undoes it."""
    return [
        {
            **{name: value for name, value in vars(quality).items() if value != ""},
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
