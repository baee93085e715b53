"""The report of an experiment: one folder with tables, figures and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.atomic import write_text
from nnunet_sparse.errors import SparseError
from nnunet_sparse.figures import save_figure
from nnunet_sparse.grid.experiment import Grid
from nnunet_sparse.grid.jobs import job_graph
from nnunet_sparse.grid.results import (
    MEAN,
    Result,
    read_results,
    software,
    target_results,
    write_results,
)
from nnunet_sparse.pictures import label_color
from nnunet_sparse.raw_dataset import RawDataset
from nnunet_sparse.report import grid_tables
from nnunet_sparse.report.annotation_cost import AnnotationCost, annotation_hours
from nnunet_sparse.report.grid_figures import (
    dimensions,
    figure_budget,
    figure_drop,
    figure_interpolation,
    figure_selectors,
)
from nnunet_sparse.report.grid_page import ShownFigure, render_page
from nnunet_sparse.report.mask_quality import mask_qualities
from nnunet_sparse.report.slice_viewer import viewed_volumes
from nnunet_sparse.report.tables import Table

PAGE = "report.html"
DOCUMENT = "report.md"


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
    """

    folder: Path
    num_done: int
    num_trainings: int
    sentences: tuple[str, ...]


def write_report(
    grid: Grid,
    folder: Path | None = None,
    *,
    cost: AnnotationCost | None = None,
    formats: Sequence[str] = ("svg", "pdf", "png"),
    num_cases: int = 2,
    num_processes: int = 1,
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
    num_cases
        Test cases of each task and way of training in the slice viewer.
    num_processes
        Number of processes.

    Raises
    ------
    SparseError
        If nothing has been scored, or a summary is damaged.
    """
    results = read_results(grid)
    if not results:
        raise SparseError(
            f"no training of {grid.file} has been scored: nnsparse_grid run {grid.file}"
        )
    folder = folder or grid.folder / "report"
    for part in (folder, folder / "figures", folder / "tables"):
        part.mkdir(parents=True, exist_ok=True)
    targets = target_results(results)
    figures = _figures(targets, grid.experiment.interpolation is not None)
    tables = _tables(grid, results, targets, num_processes)
    if cost is not None:
        hours = annotation_hours(grid, targets, cost, num_processes)
        figures += _figures_of_hours(targets, hours)
        tables.append(grid_tables.hours_table(targets, hours))
    for shown in figures:
        names = [folder / "figures" / f"{shown.name}.{form}" for form in formats]
        save_figure(shown.figure, *names)
    for table in tables:
        file = folder / "tables" / table.name
        write_text(file.with_suffix(".md"), table.to_markdown())
        write_text(file.with_suffix(".csv"), table.to_csv())
        write_text(file.with_suffix(".tex"), table.to_latex())
    write_results(results, folder)
    jobs = [job for job in job_graph(grid).values() if job.step == "score"]
    summary = f"{len(targets)} of {len(jobs)} trainings have been scored."
    findings = next(table for table in tables if table.name == "findings")
    sentences = tuple(_sentence(row) for row in findings.rows if row[1] == "all")
    title = f"Which slices should be annotated? {grid.name}"
    write_text(folder / DOCUMENT, _document(title, summary, sentences, figures, tables, formats))
    page = render_page(
        title=title,
        summary=summary,
        sentences=sentences,
        figures=figures,
        tables=tables,
        volumes=viewed_volumes(grid, targets, num_cases),
        legend=_legend(grid, targets),
        tasks=sorted({r.task for r in targets}),
        configurations=sorted({r.configuration for r in targets}),
        software=software(),
    )
    write_text(folder / PAGE, page)
    return Report(folder, len(targets), len(jobs), sentences)


def _figures(results: Sequence[Result], interpolated: bool) -> list[ShownFigure]:
    found = [
        ShownFigure(
            "figure1",
            "Batched IoU minus that of dense annotation, mean over tasks, for each density and "
            "volume fraction",
            figure_drop(results),
        )
    ]
    for number, kind in ((2, "2D"), (3, "3D")):
        shown = [r for r in results if dimensions(r) == kind]
        if shown:
            found.append(
                ShownFigure(
                    f"figure{number}",
                    f"{kind}: batched IoU against the number of annotated slices (left), and of "
                    "each cell, with lines of equal budget (right)",
                    figure_budget(shown),
                )
            )
    if interpolated:
        title = "Batched IoU with and without mask interpolation"
        found.append(ShownFigure("figure4", title, figure_interpolation(results)))
    title = "Deviation of each training from the mean of its cell, by selector"
    found.append(ShownFigure("figure5", title, figure_selectors(results)))
    return found


def _figures_of_hours(results: Sequence[Result], hours: Mapping[str, float]) -> list[ShownFigure]:
    found = []
    for kind in ("2D", "3D"):
        shown = [r for r in results if dimensions(r) == kind and r.dataset in hours]
        if shown:
            figure = figure_budget(shown, lambda r: hours[r.dataset], "hours of annotation")
            title = f"{kind}: batched IoU against the hours of annotation"
            found.append(ShownFigure(f"hours{kind[0]}", title, figure))
    return found


def _tables(
    grid: Grid, results: Sequence[Result], targets: Sequence[Result], num_processes: int
) -> list[Table]:
    tables = [
        grid_tables.findings_table(targets),
        *grid_tables.budget_tables(targets),
        grid_tables.selector_table(targets),
        grid_tables.area_table(targets),
    ]
    if grid.experiment.interpolation is not None:
        tables.append(grid_tables.interpolation_table(targets))
        tables.append(grid_tables.quality_table(mask_qualities(grid, num_processes)))
    tables.append(grid_tables.metric_table(results))
    return tables


def _sentence(row: Sequence[str]) -> str:
    claim, _, verdict, mean, interval, cells, won = row
    if not mean:
        return f"{claim}: {verdict}."
    return (
        f"{claim}: {verdict} on these data. Mean difference of batched IoU {mean} (95 % interval "
        f"{interval}), {won} of {cells} pairs of cells above 0."
    )


def _document(
    title: str,
    summary: str,
    sentences: Sequence[str],
    figures: Sequence[ShownFigure],
    tables: Sequence[Table],
    formats: Sequence[str],
) -> str:
    """The report in Markdown, with links to the figures."""
    lines = [f"# {title}", "", summary, "", *(f"- {sentence}" for sentence in sentences), ""]
    form = next((form for form in ("svg", "png", "pdf") if form in formats), None)
    for shown in figures:
        if form is not None:
            lines += [f"![{shown.title}](figures/{shown.name}.{form})", "", f"*{shown.title}*", ""]
    lines += [table.to_markdown() for table in tables]
    lines.append(software())
    return "\n".join(lines) + "\n"


def _legend(grid: Grid, results: Sequence[Result]) -> list[tuple[str, str]]:
    """Colours of the labels; those of tasks with other labels follow."""
    found: dict[str, str] = {}
    for dataset in {r.task: r.dataset for r in results}.values():
        labels = RawDataset.open(grid.paths.raw / dataset).dataset_json["labels"]
        for name, value in labels.items():
            if isinstance(value, int) and value > 0 and name not in ("ignore", MEAN):
                found.setdefault(name, label_color(value))
    return list(found.items())
