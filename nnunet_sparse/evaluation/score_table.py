"""The table that ``nnsparse_evaluate`` prints."""

from typing import Any

from nnunet_sparse.evaluation.case_metrics import CASE_METRICS

_HEADER = (
    "label",
    "batched IoU",
    "batched Dice",
    *(metric.title for metric in CASE_METRICS),
    "cases",
    "empty",
    "missed",
    "false",
)


def format_table(scores: dict[str, Any]) -> str:
    """Plain-text table of the ``nnsparse`` part of a summary.

    One row per label and one for the foreground mean; ``-`` stands for undefined.
    """
    rows = [_HEADER, *(_label_row(key, row) for key, row in scores["per_label"].items())]
    mean = scores["foreground_mean"]
    rows.append(
        (
            "foreground mean",
            _number(mean["batched_IoU"], 3),
            _number(mean["batched_Dice"], 3),
            *(_number(mean[metric.name], metric.digits) for metric in CASE_METRICS),
            *("",) * 4,
        )
    )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]
    ignored = "" if scores["ignore_label"] is None else "; ignored voxels are left out"
    missing = scores["missing_predictions"]
    skipped = f", {len(missing)} without prediction skipped" if missing else ""
    return "\n".join(
        [
            *lines,
            "",
            f"{scores['num_cases']} cases{skipped}; per-case values: mean (standard deviation) over"
            f" 'cases'; NSD at {scores['tolerance_mm']:g} mm{ignored}",
            "empty: absent and not predicted, left out; missed: not predicted at all; "
            "false: predicted but absent (both: Dice, IoU, NSD 0, HD95 the image's diagonal)",
        ]
    )


def _label_row(key: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{key} {row['name']}" if row["name"] else key,
        _number(row["batched_IoU"], 3),
        _number(row["batched_Dice"], 3),
        *(_with_deviation(row[metric.name], metric.digits) for metric in CASE_METRICS),
        *(str(n) for n in (row["Dice"]["num"], row["num_empty"], row["num_missed"])),
        str(row["num_false"]),
    )


def _with_deviation(summary: dict[str, float | None], digits: int) -> str:
    return f"{_number(summary['mean'], digits)} ({_number(summary['std'], digits)})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
