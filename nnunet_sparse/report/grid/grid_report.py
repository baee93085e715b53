"""The report of an experiment: one folder with tables, figures and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from nnunet_sparse.data.annotation_effort import AnnotationCost
from nnunet_sparse.grid.cell_kinds import INTERPOLATED, SPARSE
from nnunet_sparse.grid.experiment import INCLUDE
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import (
    Result,
    read_results,
    target_results,
    write_results,
)
from nnunet_sparse.report.grid import paper_tables as grid_tables
from nnunet_sparse.report.grid.annotation_cost import annotation_hours
from nnunet_sparse.report.grid.budget_plots import budget_plots, cell_plots, cost_plots
from nnunet_sparse.report.grid.factor_columns import (
    CHOICE,
    amounts,
    pooled_over,
    title_of,
    varying,
)
from nnunet_sparse.report.grid.foreground_efficiency import foreground_shares
from nnunet_sparse.report.grid.kept_results import check_free_for_results, write_kept_results
from nnunet_sparse.report.grid.mask_quality import mask_qualities
from nnunet_sparse.report.grid.page import ShownFigure, render_page
from nnunet_sparse.report.grid.panels import (
    COLLAPSE,
    EXCLUDED,
    NOT_APPLICABLE,
    Panel,
    asked_trainings,
    left_out_cells,
    panels,
    points_in_words,
    trainings_of_kind,
)
from nnunet_sparse.report.grid.paper_figures import (
    drop_notes,
    drop_plots,
    interpolation_plots,
    selector_plots,
)
from nnunet_sparse.report.grid.result_tables import result_tables
from nnunet_sparse.report.grid.round_lines import RoundLines, round_lines
from nnunet_sparse.report.grid.round_plots import penalty_plots, round_plots
from nnunet_sparse.report.grid.round_tables import round_tables
from nnunet_sparse.report.grid.slice_viewer import viewed_volumes
from nnunet_sparse.report.report_folder import DEFAULT, PAGE, new_report
from nnunet_sparse.report.tables import Table, markdown_text
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.figures import save_figure
from nnunet_sparse.system.software import software
from nnunet_sparse.system.wording import command_line

DOCUMENT = "report.md"

_OF_SELECTORS = (
    "Deviation of each selector's mean from the mean of its cell, one value for each cell (as in "
    "the paper's later version)"
)
_OF_TRAININGS = (
    "Deviation of each training from the mean of those of all selectors with the same cell, seed "
    "and repeat (as in the paper's first version)"
)


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes
    ----------
    folder
        Its folder.
    num_done, num_trainings
        Trainings that have been scored, and all.
    sentences
        The findings in words.
    num_collapsed
        Trainings that collapsed.
    """

    folder: Path
    num_done: int
    num_trainings: int
    sentences: tuple[str, ...]
    num_collapsed: int = 0


def write_report(
    grid: Grid,
    folder: Path | None = None,
    *,
    cost: AnnotationCost | None = None,
    formats: Sequence[str] = ("svg", "pdf", "png"),
    deviations_of_trainings: bool = False,
    num_cases: int = 2,
    num_processes: int = 1,
    overwrite: bool = False,
    export: Path | None = None,
) -> Report:
    """Write the report of what has been scored so far; an earlier one is replaced.

    Parameters
    ----------
    grid
        The experiment.
    folder
        Where it is written; by default ``report`` in the experiment's folder.
    cost
        Cost of annotation, for figures and a table against hours.
    formats
        Formats of the figures.
    deviations_of_trainings
        Whether figure 5 shows single trainings
        (:func:`~nnunet_sparse.report.grid.paper_figures.selector_deviations`).
    num_cases
        Test cases of each task and way of training in the slice viewer.
    num_processes
        Number of processes.
    overwrite
        Whether a folder that is no report is replaced, with all that it holds.
    export
        File in which all results are kept as well
        (:mod:`nnunet_sparse.report.grid.kept_results`); it is replaced.

    Raises
    ------
    SparseError
        If nothing has been scored, a summary is damaged, or the folder or ``export`` cannot be
        replaced.
    """
    if export is not None:
        check_free_for_results(export)
    results, asked = read_results(grid), asked_trainings(grid)
    if not results:
        raise SparseError(
            f"no training of {grid.file} has been scored: "
            f"{command_line('nnsparse_grid', 'run', grid.file)}"
        )
    folder = (folder or grid.folder / DEFAULT).resolve()
    facts = {"newest_result": _newest_result(grid), "software": software()}
    with new_report(grid, folder, facts, overwrite=overwrite) as fresh:
        targets = target_results(results)
        shown = panels(targets, asked, left_out_cells(grid))
        with_collapsed = grid.experiment.collapsed == INCLUDE
        rounds = round_lines(shown)
        figures = _figures(shown, deviations_of_trainings, with_collapsed)
        figures += _figures_of_rounds(rounds)
        tables = _tables(grid, shown, panels(results, asked), rounds, num_processes)
        if cost is not None:
            hours = annotation_hours(grid, targets, cost, num_processes)
            figures += _figures_of_hours(shown, hours)
            tables.append(grid_tables.hours_table(shown, hours))
        _write_figures(fresh, figures, formats)
        _write_tables(fresh, tables)
        write_results(results, fresh)
        num_done, num_trainings = len({r.key for r in results}), len(_score_jobs(grid))
        num_collapsed = sum(result.is_collapsed for result in targets)
        sentences = tuple(_sentences(tables))
        report = Report(folder, num_done, num_trainings, sentences, num_collapsed)
        origin = _origin(grid, results)
        document = _document(grid, report, origin, figures, tables, formats)
        write_text(fresh / DOCUMENT, document)
        page = render_page(
            title=_title(grid),
            summary=_summary(report),
            sentences=report.sentences,
            figures=figures,
            tables=tables,
            volumes=viewed_volumes(grid, shown, num_cases),
            tasks=list(dict.fromkeys(panel.task for panel in shown)),
            configurations=list(dict.fromkeys(panel.configuration for panel in shown)),
            origin=origin,
        )
        write_text(fresh / PAGE, page)
    if export is not None:
        write_kept_results(results, asked, export)
    return report


def _title(grid: Grid) -> str:
    return f"Which slices should be annotated? {grid.name}"


def _summary(report: Report) -> str:
    summary = f"{report.num_done} of {report.num_trainings} trainings have been scored."
    if report.num_collapsed:
        summary += f" {report.num_collapsed} of them collapsed: {COLLAPSE}."
    return summary


def _origin(grid: Grid, results: Sequence[Result]) -> str:
    """What the report was made of, and with which software."""
    trained = sorted({r.versions for r in results} - {""})
    return " ".join(
        [
            f"Newest result: {_newest_result(grid)}.",
            *(f"Trained with {versions}." for versions in trained),
            f"Report by {software()}.",
        ]
    )


def _score_jobs(grid: Grid) -> list[ScoreJob]:
    return jobs_of(job_graph(grid), ScoreJob)


def _newest_result(grid: Grid) -> str:
    """Moment at which the last training was scored, UTC."""
    files = [GridFolder(grid.folder).record(job.name) for job in _score_jobs(grid)]
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    return datetime.fromtimestamp(newest, UTC).isoformat(sep=" ", timespec="seconds")


def _write_figures(folder: Path, figures: Sequence[ShownFigure], formats: Sequence[str]) -> None:
    (folder / "figures").mkdir()
    for shown in figures:
        names = [folder / "figures" / f"{shown.name}.{form}" for form in formats]
        save_figure(shown.figure, *names)


def _write_tables(folder: Path, tables: Sequence[Table]) -> None:
    (folder / "tables").mkdir()
    for table in tables:
        file = folder / "tables" / table.name
        write_text(file.with_suffix(".md"), table.to_markdown())
        write_text(file.with_suffix(".csv"), table.to_csv())
        write_text(file.with_suffix(".tex"), table.to_latex())


def _figures(
    shown: Sequence[Panel], deviations_of_trainings: bool, with_collapsed: bool
) -> list[ShownFigure]:
    asked = trainings_of_kind(shown, SPARSE)
    over = pooled_over(asked, *CHOICE, "seed")
    drop = (
        f"Batched IoU minus that of dense annotation for each {_amount(asked)} and volume "
        f"fraction: mean over tasks, in each of them over {over}"
    )
    drop = ". ".join([drop, *map(_capital, drop_notes(shown, with_collapsed))])
    found = [ShownFigure("figure1", drop, drop_plots(shown, with_collapsed))]
    by_dimensions = _by_dimensions(shown).items()
    for dimensions, chosen in by_dimensions:
        title = (
            f"{dimensions}: batched IoU against the number of annotated slices, and over the "
            f"{_amount(asked)} with a line for each budget ({_amount(asked)} times volume fraction "
            f"s), mean over {over}. Against the number of slices: {_markers(chosen)}"
        )
        title = ". ".join([title, *_left_out_note(chosen, SPARSE)])
        found.append(ShownFigure(f"figure{dimensions[0]}", title, budget_plots(chosen)))
    title = "Batched IoU with and without mask interpolation: mean and standard deviation"
    title = ". ".join([title, *_left_out_note(shown, INTERPOLATED)])
    found.append(ShownFigure("figure4", title, interpolation_plots(shown)))
    plots = selector_plots(shown, of_trainings=deviations_of_trainings)
    title = _OF_TRAININGS if deviations_of_trainings else _OF_SELECTORS
    found.append(ShownFigure("figure5", title, plots))
    for dimensions, chosen in by_dimensions:
        title = (
            f"{dimensions}: batched IoU of each cell, with lines of equal budget, mean over {over}"
        )
        found.append(ShownFigure(f"cells{dimensions[0]}", title, cell_plots(chosen)))
    return [figure for figure in found if figure.plots]


def _left_out_note(shown: Sequence[Panel], kind: str) -> list[str]:
    """A sentence that names what the experiment excludes, if it does."""
    cells = [
        f"{panel.title}, {points_in_words(points)}"
        for panel in shown
        if (points := panel.left_out_points(kind))
    ]
    return [f"{NOT_APPLICABLE} ({EXCLUDED}): {'; '.join(cells)}"] if cells else []


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _figures_of_hours(shown: Sequence[Panel], hours: Mapping[str, float]) -> list[ShownFigure]:
    found = []
    for dimensions, chosen in _by_dimensions(shown).items():
        plots = cost_plots(chosen, lambda r: hours.get(r.dataset), "hours of annotation")
        title = f"{dimensions}: batched IoU against the hours of annotation: {_markers(chosen)}"
        found.append(ShownFigure(f"hours{dimensions[0]}", title, plots))
    return [figure for figure in found if figure.plots]


def _figures_of_rounds(rounds: Sequence[RoundLines]) -> list[ShownFigure]:
    found = []
    for dimensions in ("2D", "3D"):
        chosen = [lines for lines in rounds if lines.panel.dimensions == dimensions]
        title = (
            f"{dimensions}, rounds of annotation: batched IoU against the number of annotated "
            "slices, a line for each selector (mean over seeds and repeats; lines are set beside "
            "each other), and the paired difference from the selector that the file names first"
        )
        found.append(ShownFigure(f"rounds{dimensions[0]}", title, round_plots(chosen)))
    title = (
        "Rounds of annotation: pairwise penalty matrix, share of settings and later rounds in "
        "which a selector is significantly better than another"
    )
    found.append(ShownFigure("rounds_penalty", title, penalty_plots(rounds)))
    return [figure for figure in found if figure.plots]


def _by_dimensions(shown: Sequence[Panel]) -> dict[str, list[Panel]]:
    """Panels of 2D and of 3D, those that there are; figures 2 and 3 are numbered after them."""
    found = {name: [p for p in shown if p.dimensions == name] for name in ("2D", "3D")}
    return {name: chosen for name, chosen in found.items() if chosen}


def _markers(shown: Sequence[Panel]) -> str:
    """What markers and lines against a budget are."""
    asked = trainings_of_kind(shown, SPARSE)
    factors = varying(asked, *CHOICE, "seed")
    several = "densities" if _amount(asked) == "density" else "amounts"
    *first, last = (_amount(asked), "volume fraction", *map(title_of, factors))
    return (
        f"a marker is the mean over repeats of one {', '.join(first)} and {last}; a line joins the "
        f"{several} of one volume fraction s, mean over {pooled_over(asked, *factors)}"
    )


def _amount(asked: pd.DataFrame) -> str:
    return "density" if set(amounts(asked)) <= {"rho"} else "amount"


def _tables(
    grid: Grid,
    shown: Sequence[Panel],
    of_labels: Sequence[Panel],
    rounds: Sequence[RoundLines],
    num_processes: int,
) -> list[Table]:
    filling = grid.experiment.interpolation is not None
    tables = result_tables(shown, rounds, interpolated=filling)
    if filling:
        tables.append(grid_tables.quality_table(mask_qualities(grid, num_processes)))
    if rounds:
        # there may be nothing else
        tables = [table for table in tables if table.rows or table.name == "findings"]
        tables += round_tables(rounds, foreground_shares(grid, rounds, num_processes))
    return [*tables, grid_tables.metric_table(of_labels)]


def _sentences(tables: Sequence[Table]) -> list[str]:
    """Findings over all tasks in words."""
    findings = next(table for table in tables if table.name == "findings")
    return [_sentence(row) for row in findings.rows if row[1] == "all"]


def _sentence(row: Sequence[str]) -> str:
    claim, _, verdict, mean, interval, cells, won = row
    if not mean:
        return f"{claim}: {verdict}."
    return (
        f"{claim}: {verdict} on these data. Mean difference of batched IoU {mean} (95 % interval "
        f"{interval}), {won} of {cells} pairs of cells above 0."
    )


def _document(
    grid: Grid,
    report: Report,
    origin: str,
    figures: Sequence[ShownFigure],
    tables: Sequence[Table],
    formats: Sequence[str],
) -> str:
    """The report in Markdown, with links to the figures."""
    lines = [f"# {markdown_text(_title(grid))}", "", markdown_text(_summary(report)), ""]
    lines += [*(f"- {markdown_text(sentence)}" for sentence in report.sentences), ""]
    form = next((form for form in ("svg", "png", "pdf") if form in formats), None)
    for shown in figures:
        if form is not None:
            title = markdown_text(shown.title)
            lines += [f"![{title}](figures/{shown.name}.{form})", "", f"*{title}*", ""]
    lines += [table.to_markdown() for table in tables]
    lines.append(markdown_text(origin))
    return "\n".join(lines) + "\n"
