"""Tables that are written as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "—": "---",
}
_MISSING = "—"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    name
        Name of its files.
    title
        What it shows.
    header
        Names of the columns.
    rows
        As many values as columns; empty where something is missing, which Markdown and LaTeX show
        as a dash.
    groups
        Task and configuration of each row, by which it can be filtered; empty for what belongs to
        all. By default no row can be filtered.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.groups and len(self.groups) != len(self.rows):
            raise ValueError(f"table {self.name!r}: as many groups as rows, or none")
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.name!r}: a row has another length than the header")

    @property
    def grouped_rows(self) -> list[tuple[tuple[str, ...], tuple[str, str]]]:
        """Rows, each with its task and configuration."""
        groups = self.groups or (("", ""),) * len(self.rows)
        return list(zip(self.rows, groups, strict=True))

    def to_markdown(self) -> str:
        """The table, with its title above it."""
        lines = [f"**{self.title}**", ""]
        lines.append(_pipes(self.header))
        lines.append("|" + "---|" * len(self.header))
        lines += [_pipes(row) for row in self.rows]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """The table without its title."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return text.getvalue()

    def to_latex(self) -> str:
        """A ``table`` environment that needs the package booktabs."""
        columns = "l" + "r" * (len(self.header) - 1)
        body = [_ampersands(self.header), r"\midrule", *(_ampersands(row) for row in self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_escaped(self.title)}}}",
                rf"\label{{tab:{self.name.replace('_', '-')}}}",
                rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") or _MISSING for cell in cells) + " |"


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(_escaped(cell or _MISSING) for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def mean_and_deviation(values: Sequence[float], digits: int = 3) -> str:
    """``0.712 ± 0.004``; without deviation for a single value, empty for none."""
    if not values:
        return ""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    deviation = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"
