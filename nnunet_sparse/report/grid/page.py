"""One page with everything, that needs no network and no other file."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from matplotlib.figure import Figure

from nnunet_sparse.report.grid.plot import Plot, arranged
from nnunet_sparse.report.grid.slice_viewer import ViewedVolume
from nnunet_sparse.report.tables import Table
from nnunet_sparse.system.figures import write_figure


@dataclass(frozen=True)
class ShownFigure:
    """A figure of the report.

    Attributes
    ----------
    name
        Name of its files.
    title
        What it shows.
    plots
        Its parts, which the page shows one by one.
    """

    name: str
    title: str
    plots: Sequence[Plot]

    @property
    def figure(self) -> Figure:
        """All parts together, as in its files."""
        return arranged(self.plots)

    @property
    def images(self) -> list[tuple[Plot, str]]:
        """Each part with its picture as a data address."""
        return [(plot, _address(arranged([plot]))) for plot in self.plots]


def _address(figure: Figure) -> str:
    stream = io.BytesIO()
    write_figure(figure, stream, "svg")
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()


def render_page(
    *,
    title: str,
    summary: str,
    sentences: Sequence[str],
    figures: Sequence[ShownFigure],
    tables: Sequence[Table],
    volumes: Sequence[ViewedVolume],
    tasks: Sequence[str],
    configurations: Sequence[str],
    origin: str,
) -> str:
    """HTML of the page.

    Parameters
    ----------
    title, summary, sentences
        What stands above everything.
    figures, tables, volumes
        What is shown.
    tasks, configurations
        What can be filtered.
    origin
        What the report was made of, and with which software.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(
        files("nnunet_sparse.report.grid").joinpath("page.html").read_text(encoding="utf-8")
    )
    # inside of a script nothing is escaped but what would end it
    text = json.dumps([volume.to_json() for volume in volumes]).replace("<", "\\u003c")
    return template.render(
        title=title,
        summary=summary,
        sentences=sentences,
        figures=figures,
        tables=tables,
        volumes=volumes,
        volumes_json=Markup(text),
        tasks=tasks,
        configurations=configurations,
        origin=origin,
    )
