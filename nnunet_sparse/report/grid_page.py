"""One page with everything, that needs no network and no other file."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from nnunet_sparse.figures import write_figure
from nnunet_sparse.report.slice_viewer import ViewedVolume
from nnunet_sparse.report.tables import Table


@dataclass(frozen=True)
class ShownFigure:
    """A figure of the report.

    Attributes
    ----------
    name
        Name of its files.
    title
        What it shows.
    figure
        The figure.
    """

    name: str
    title: str
    figure: Figure

    @property
    def address(self) -> str:
        """The figure as a data address."""
        stream = io.BytesIO()
        write_figure(self.figure, stream, "svg")
        return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()


def render_page(
    *,
    title: str,
    summary: str,
    sentences: Sequence[str],
    figures: Sequence[ShownFigure],
    tables: Sequence[Table],
    volumes: Sequence[ViewedVolume],
    legend: Sequence[tuple[str, str]],
    tasks: Sequence[str],
    configurations: Sequence[str],
    software: str,
) -> str:
    """HTML of the page.

    Parameters
    ----------
    title, summary, sentences
        What stands above everything.
    figures, tables, volumes
        What is shown.
    legend
        Names and colours of labels.
    tasks, configurations
        What can be filtered.
    software
        Versions.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(
        files("nnunet_sparse.report").joinpath("grid_page.html").read_text(encoding="utf-8")
    )
    content: Any = [volume.to_json() for volume in volumes]
    # inside of a script nothing is escaped but what would end it
    text = json.dumps(content).replace("<", "\\u003c")
    return template.render(
        title=title,
        summary=summary,
        sentences=sentences,
        figures=figures,
        tables=tables,
        volumes=volumes,
        volumes_json=Markup(text),
        legend=legend,
        tasks=tasks,
        configurations=configurations,
        software=software,
    )
