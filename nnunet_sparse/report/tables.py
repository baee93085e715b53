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
    "±": r"$\pm$",
}


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
        As many values as columns; empty where something is missing.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.name!r}: a row has another length than the header")

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
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(_escaped(cell) for cell in cells) + r" \\"


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
