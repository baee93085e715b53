"""A report as text: one row per finding, and below it what to do."""

import textwrap
from collections.abc import Sequence

from nnunet_sparse.doctor.finding import Diagnosis

_HEADER = ("verdict", "check", "configuration", "number", "nnU-Net")
_GAP = "  "


def format_report(report: Diagnosis, width: int = 100) -> str:
    """Aligned table of all findings.

    Parameters
    ----------
    report
        What was found.
    width
        Length of the lines, where possible.

    Returns
    -------
    str
        Lines without a final newline.
    """
    rows = [
        (
            finding.verdict,
            finding.check,
            finding.configuration or "",
            _number(finding.number, finding.unit),
            "" if finding.stock is None else _number(finding.stock, finding.unit),
        )
        for finding in report.findings
    ]
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    plans = f"plans {report.plans}" if report.plans else "no plans"
    lines = [f"{report.dataset}, {plans}, {report.trainer}", "", _row(_HEADER, widths)]
    indent = " " * (widths[0] + len(_GAP))
    for row, finding in zip(rows, report.findings, strict=True):
        lines.append(_row(row, widths))
        lines += _paragraph(finding.found, indent, indent, width)
        if finding.advice:
            lines += _paragraph(finding.advice, f"{indent}-> ", f"{indent}   ", width)
    for skipped in report.skipped:
        where = f" ({skipped.configuration})" if skipped.configuration else ""
        lines += _paragraph(
            f"skipped: {skipped.check}{where}: {skipped.reason}", "", " " * 4, width
        )
    counts = {v: sum(f.verdict == v for f in report.findings) for v in ("broken", "warning", "ok")}
    lines += ["", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
    lines += [f"picture: {picture}" for picture in report.pictures]
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return _GAP.join([*texts, *numbers]).rstrip()


def _number(value: float, unit: str) -> str:
    if unit:
        return f"{value:.2f} {unit}"
    return str(value) if isinstance(value, int) else f"{100 * value:.1f} %"


def _paragraph(text: str, first: str, later: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(first) + 40),
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
