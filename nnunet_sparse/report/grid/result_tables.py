"""Tables of a report that results alone give, of an experiment or of what was kept of several."""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.grid.cell_kinds import INTERPOLATED
from nnunet_sparse.grid.results import target_results
from nnunet_sparse.report.grid import paper_tables as grid_tables
from nnunet_sparse.report.grid.kept_results import read_kept_results
from nnunet_sparse.report.grid.paired_findings import findings_table
from nnunet_sparse.report.grid.panels import Panel, panels
from nnunet_sparse.report.grid.round_lines import RoundLines, round_lines
from nnunet_sparse.report.tables import Table
from nnunet_sparse.system.errors import SparseError


def result_tables(
    shown: Sequence[Panel], rounds: Sequence[RoundLines], *, interpolated: bool
) -> list[Table]:
    """Findings and the tables of the paper that need no data sets.

    Parameters
    ----------
    shown
        Panels.
    rounds
        Their lines over rounds.
    interpolated
        Whether there is interpolation.
    """
    tables = [
        findings_table(shown, rounds),
        *grid_tables.budget_tables(shown),
        grid_tables.selector_table(shown),
        grid_tables.area_table(shown),
    ]
    return [*tables, grid_tables.interpolation_table(shown)] if interpolated else tables


def tables_of_kept_results(files: Sequence[Path], names: Sequence[str], rows: str = "") -> str:
    """Tables of results that were kept, as Markdown.

    Parameters
    ----------
    files
        Tables of :mod:`nnunet_sparse.report.grid.kept_results`, of which all results are taken
        together.
    names
        Names of the tables, as ``findings``.
    rows
        Text that a row must contain in one of its cells; empty for all rows.

    Raises
    ------
    SparseError
        If a file cannot be read, they have no such table, or no row of it contains the text.
    """
    results, asked = read_kept_results(files)
    shown = panels(target_results(results), asked)
    interpolated = any(len(panel.of_kind(INTERPOLATED)) for panel in shown)
    tables = result_tables(shown, round_lines(shown), interpolated=interpolated)
    tables.append(grid_tables.metric_table(panels(results, asked)))
    by_name = {table.name: table for table in tables if table.rows}
    texts = []
    for name in names:
        if name not in by_name:
            raise SparseError(f"there is no table {name!r}, there are {', '.join(by_name)}")
        texts.append(_containing(by_name[name], rows).to_markdown())
    return "\n".join(texts)


def _containing(table: Table, text: str) -> Table:
    chosen = tuple(row for row in table.rows if any(text in cell for cell in row))
    if not chosen:
        raise SparseError(f"no row of the table {table.name} contains {text!r}")
    return Table(table.name, table.title, table.header, chosen)
