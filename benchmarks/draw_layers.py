"""Draw which package may import which, from the contracts that are checked: docs/images/layers.svg.

python benchmarks/draw_layers.py docs/images/layers.svg
"""

import ast
import sys
import textwrap
import tomllib
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from nnunet_sparse.system.figures import save_figure

REPOSITORY = Path(__file__).parents[1]
TOP_LEVEL = {"dataset_tools", "planners", "trainers"}
WIDTH = 12.0
HEIGHT = 0.78


def read_layers() -> list[list[str]]:
    """Packages of each layer, from the top."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def what_for(package: str) -> str:
    """First sentence of a package's docstring."""
    folder = REPOSITORY if package in TOP_LEVEL else REPOSITORY / "nnunet_sparse"
    file = folder / package / "__init__.py"
    if not file.is_file():
        file = folder / f"{package}.py"
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].replace("``", "").removesuffix(".")


def draw(output: Path) -> None:
    """Draw a row per layer, a box per package; a box may import those in rows below it."""
    layers = read_layers()
    figure = Figure(figsize=(WIDTH, HEIGHT * len(layers)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, WIDTH), ylim=(0, len(layers)))
    axes.axis("off")
    for row, packages in enumerate(reversed(layers)):
        width = WIDTH / len(packages)
        for column, package in enumerate(packages):
            left = column * width + 0.06
            color = "#fde9cf" if package in TOP_LEVEL else "#e3eef9"
            axes.add_patch(
                FancyBboxPatch(
                    (left, row + 0.08),
                    width - 0.12,
                    0.84,
                    boxstyle="round,pad=0,rounding_size=0.08",
                    facecolor=color,
                    edgecolor="#7f8c99",
                )
            )
            axes.text(left + 0.1, row + 0.72, package, va="center", weight="bold", fontsize=10)
            lines = textwrap.wrap(what_for(package), int(width * 13.5))[:3]
            axes.text(left + 0.1, row + 0.55, "\n".join(lines), va="top", fontsize=7.5)
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        save_figure(figure, output)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
