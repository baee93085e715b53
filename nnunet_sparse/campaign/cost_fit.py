"""The cost of annotation, fitted to the times that were measured on slices of a campaign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from nnunet_sparse.campaign.slice_times import SliceTime, slice_totals
from nnunet_sparse.data.annotation_effort import AnnotationCost
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator

LEAST_SLICES = 20
_RESAMPLES = 500
_PERCENTILES = (2.5, 97.5)
_MAX_RANGE = 10


@dataclass(frozen=True)
class Pace:
    """How long slices take that are like those that were measured.

    They are as often empty, show as many objects, and lie as near to annotated ones.

    Attributes
    ----------
    slice_s
        Seconds for a slice, without opening its volume.
    volume_s
        Seconds for opening a volume.
    """

    slice_s: float
    volume_s: float

    def seconds(self, num_slices: int, num_volumes: int) -> float:
        """Time for slices in so many volumes, each of which is opened once."""
        return self.slice_s * num_slices + self.volume_s * num_volumes


@dataclass(frozen=True)
class FittedCost:
    """A cost that explains measured times.

    Attributes
    ----------
    cost
        By least squares, no term below 0.
    intervals
        95 % interval of each term, by its name: percentiles of fits to slices drawn anew.
    num_slices, num_empty
        Slices behind it, and those of them without objects.
    residual_s
        Root of the mean square of what is not explained, in seconds.
    pace
        Of slices to come, by this cost.
    drawn
        The same by each of the fits to slices drawn anew.
    """

    cost: AnnotationCost
    intervals: Mapping[str, tuple[float, float]]
    num_slices: int
    num_empty: int
    residual_s: float
    pace: Pace
    drawn: tuple[Pace, ...]

    def to_yaml(self) -> str:
        """Text of a file that ``nnsparse_report --cost`` takes."""
        lines = [
            f"# fitted to {self.num_slices} slices, {self.num_empty} of them without objects;",
            f"# seconds of a slice differ from it by {self.residual_s:.1f} (root mean square).",
            "# Behind each value: its 95 % interval.",
        ]
        for name, (low, high) in self.intervals.items():
            value = getattr(self.cost, name)
            lines.append(f"{name}: {_text(value)}  # {_text(low)} to {_text(high)}")
        return "\n".join(lines) + "\n"


def fit_cost(times: Sequence[SliceTime], where: str) -> FittedCost:
    """Fit every term of :class:`AnnotationCost`.

    A slice without objects takes ``seconds_per_empty_slice``; one with objects
    ``seconds_per_slice``, less what an annotated slice nearby saves, and ``seconds_per_object`` for
    each of them; the first one of a volume in a session ``seconds_per_volume`` on top. The range of
    the saving is the one that leaves the least unexplained.

    Parameters
    ----------
    times
        As they were measured.
    where
        What they are from, for messages.

    Raises
    ------
    SparseError
        If there are fewer than 20 slices.
    """
    totals = [time for time in slice_totals(times) if time.seconds > 0]
    if len(totals) < LEAST_SLICES:
        raise SparseError(
            f"{where} holds measured times of {len(totals)} slices; a cost is fitted to at least "
            f"{LEAST_SLICES}"
        )
    distances = [time.distance for time in totals if time.objects and time.distance]
    ranges = range(1, min(_MAX_RANGE, max(distances, default=1)) + 1)
    designs = {k: _design(totals, k) for k in ranges}
    seconds = np.array([time.seconds for time in totals])
    cost, residual, pace = _best(designs, seconds)
    rng = generator(0, "cost of annotation")
    drawn = []
    for _ in range(_RESAMPLES):
        rows = np.floor(rng.random(len(totals)) * len(totals)).astype(int)
        cost_drawn, _, pace_drawn = _best({k: d[rows] for k, d in designs.items()}, seconds[rows])
        drawn.append((cost_drawn, pace_drawn))
    intervals = {}
    for field in fields(AnnotationCost):
        low, high = np.percentile([getattr(one, field.name) for one, _ in drawn], _PERCENTILES)
        intervals[field.name] = float(low), float(high)
    num_empty = sum(time.objects == 0 for time in totals)
    paces = tuple(one for _, one in drawn)
    return FittedCost(cost, intervals, len(totals), num_empty, residual, pace, paces)


def _design(times: Sequence[SliceTime], neighbour_range: int) -> np.ndarray:
    """What multiplies each unknown, none of which is negative, (slices, 5).

    Of ``seconds_per_slice`` that is the part that is never saved, and the part that is.
    """
    unit = AnnotationCost(neighbour_saving=1.0, neighbour_range=neighbour_range)
    rows = []
    for time in times:
        shown = float(time.objects > 0)
        saved = unit.saved_share(time.distance) if time.distance else 0.0
        rows.append([1 - shown, shown, shown * (1 - saved), time.objects, float(time.opens)])
    design = np.array(rows)
    if (design[:, 1] == design[:, 2]).all():  # nothing is near anything: the two cannot be told
        design[:, 2] = 0
    return design


def _best(
    designs: Mapping[int, np.ndarray], seconds: np.ndarray
) -> tuple[AnnotationCost, float, Pace]:
    """Cost with the range that explains most, what it leaves (root mean square), and its pace."""
    from scipy.optimize import nnls

    solutions = {k: nnls(design, seconds) for k, design in designs.items()}
    best = min(solutions, key=lambda k: (solutions[k][1], k))
    (empty, fixed, saved, per_object, volume), norm = solutions[best]
    per_slice = fixed + saved
    cost = AnnotationCost(
        float(empty),
        float(per_slice),
        float(per_object),
        float(volume),
        float(saved / per_slice) if per_slice else 0.0,
        best if saved else 1,
    )
    without_opening = designs[best][:, :-1] @ solutions[best][0][:-1]
    pace = Pace(float(without_opening.mean()), float(volume))
    return cost, float(norm / np.sqrt(len(seconds))), pace


def _text(value: float) -> str:
    return f"{round(value, 3):g}"
