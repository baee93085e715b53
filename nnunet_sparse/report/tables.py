"""Tables that are written as Markdown, CSV and LaTeX."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_sparse.system.spreadsheet_cells import safe_cell

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
# as the page sorts them: 0.5 ± 0.1, 12-14, 50%, but not 3d
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(?![\w.])")
_NO_NUMBER = ("", "undefined", "N/A")


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

    @property
    def is_text(self) -> tuple[bool, ...]:
        """Whether a column has text; the others have numbers, or nothing."""
        return tuple(
            any(row[k] not in _NO_NUMBER and not _NUMBER.match(row[k]) for row in self.rows)
            for k in range(len(self.header))
        )

    def to_markdown(self) -> str:
        """The table, with its title above it."""
        lines = [f"**{markdown_text(self.title)}**", ""]
        lines.append(_pipes(self.header))
        lines.append("|" + "---|" * len(self.header))
        lines += [_pipes(row) for row in self.rows]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """The table without its title."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([*map(safe_cell, row)] for row in (self.header, *self.rows))
        return text.getvalue()

    def to_latex(self) -> str:
        """A ``table`` environment that needs the package booktabs."""
        is_text = self.is_text
        columns = "".join("l" if is_left else "r" for is_left in (True, *is_text[1:]))
        rows = [
            [
                _escaped(cell) if left else _typeset(cell)
                for cell, left in zip(row, is_text, strict=True)
            ]
            for row in self.rows
        ]
        header = [_escaped(name) for name in self.header]
        body = [_ampersands(header), r"\midrule", *map(_ampersands, rows)]
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


def markdown_text(text: str) -> str:
    """Text for Markdown in which names are neither HTML nor links, on one line."""
    plain = re.sub(r"&(?=[#\w]+;)", "&amp;", " ".join(text.splitlines()))
    return plain.replace("<", "&lt;").replace("](", "]\\(")


def _pipes(cells: Sequence[str]) -> str:
    texts = (markdown_text(cell).replace("|", "\\|") or _MISSING for cell in cells)
    return f"| {' | '.join(texts)} |"


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(cell or _LATEX[_MISSING] for cell in cells) + r" \\"


def _typeset(number: str) -> str:
    """A number, with the signs that typesetting has for minus and for ranges."""
    negative = re.sub(r"(?<![\w.])-(?=\d)", "$-$", _escaped(number))
    return re.sub(r"(?<=\d)-(?=\d)", "--", negative)


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
