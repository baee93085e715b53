"""The metrics of one label in one case: a further one is an entry here."""

from collections.abc import Callable
from dataclasses import dataclass

from nnunet_sparse.evaluation.evaluate_case import LabelScores


@dataclass(frozen=True)
class CaseMetric:
    """A number that is computed for each case and averaged over cases.

    Attributes
    ----------
    name
        Its key in summaries, with the unit if it has one.
    title
        What tables call it.
    digits
        Decimal places in tables.
    value
        Computes it; NaN where it is undefined.
    """

    name: str
    title: str
    digits: int
    value: Callable[[LabelScores], float]


CASE_METRICS = (
    CaseMetric("Dice", "Dice", 3, lambda scores: scores.counts.dice),
    CaseMetric("IoU", "IoU", 3, lambda scores: scores.counts.iou),
    CaseMetric("HD95_mm", "HD95 mm", 2, lambda scores: scores.surface.hd95_mm),
    CaseMetric("NSD", "NSD", 3, lambda scores: scores.surface.nsd),
)
"""In the order in which tables show them."""
