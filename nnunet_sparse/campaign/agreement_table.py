"""The table that says how far two annotators agree."""

import math
from collections.abc import Sequence

from nnunet_sparse.campaign.progress_table import problem_lines, slices_of_case, slices_text
from nnunet_sparse.campaign.reader_agreement import Readings, SliceAgreement
from nnunet_sparse.campaign.text_rows import aligned_rows
from nnunet_sparse.evaluation.metrics import pool

_COLUMNS = (
    "between readers",
    "Dice",
    "range",
    "pooled Dice",
    "HD95 mm",
    "range",
    "by one",
    "by none",
)


def agreement_table(readings: Readings) -> str:
    """How far second readings have come, and a line for each label with what they say.

    ``Dice`` and ``HD95 mm`` are means over slices, with the number of slices behind them, ``range``
    the smallest and the largest of these. ``pooled Dice`` is that of the pixels of all slices
    together. ``by one`` and ``by none`` count slices on which one annotator, or none of them, shows
    the label: there Dice is 0 and HD95 undefined, or both are undefined.
    """
    progress = readings.progress
    compared = max(map(len, readings.labels.values()), default=0)
    lines = [f"second:   {slices_text(progress)}, for another annotator; {compared} compared"]
    for case_id, slices in readings.same.items():
        lines.append(
            f"look at:  {slices_of_case(case_id, slices)}: the second reading is by the first "
            "annotator, and is not compared"
        )
    if readings.num_unnamed:
        lines.append(
            "look at:  slices read twice without a name in both columns annotator: "
            f"{readings.num_unnamed}"
        )
    lines += [f"{line} (second reading)" for line in problem_lines(progress)]
    if any(readings.labels.values()):
        rows = [_COLUMNS, *(_row(name, found) for name, found in readings.labels.items())]
        lines += ["", aligned_rows(rows)]
    return "\n".join(lines)


def _row(name: str, found: Sequence[SliceAgreement]) -> tuple[str, ...]:
    shown = [one for one in found if one.is_shown]
    by_one = sum(one.is_shown_by_one for one in shown)
    dice = [one.counts.dice for one in shown]
    distances = [one.hd95_mm for one in shown if not math.isnan(one.hd95_mm)]
    pooled = f"{pool(one.counts for one in shown).dice:.3f}" if shown else "-"
    return (
        name,
        *_mean_and_range(dice, 3),
        pooled,
        *_mean_and_range(distances, 2),
        str(by_one),
        str(len(found) - len(shown)),
    )


def _mean_and_range(values: Sequence[float], digits: int) -> tuple[str, str]:
    if not values:
        return "-", "-"
    mean = sum(values) / len(values)
    return (
        f"{mean:.{digits}f} ({len(values)})",
        f"{min(values):.{digits}f} to {max(values):.{digits}f}",
    )
