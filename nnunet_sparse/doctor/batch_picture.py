"""Picture of one batch as the network sees it, nnU-Net's beside ours.

Labels are drawn in the colours of :mod:`nnunet_sparse.data.label_colors`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch as LegendPatch

from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.doctor.batches import BatchSource
from nnunet_sparse.doctor.patch import IGNORED, Patch
from nnunet_sparse.system.atomic import atomic_path

_PADDING = "#7A4B9A"
_COARSE_BACKGROUND = "#C9C9C9"
_COARSE_IGNORED = "#3A3A3A"
_OPACITY = 0.6
_DIMMED = 0.5
_HATCH = "#8C8C8C"
_NUM_SAMPLES = 3
_DPI = 110
_PANEL_INCHES = 1.9
_LEGEND_INCHES = 2.6
_LEGEND_ROW_INCHES = 0.19
_ROW_TEXT_INCHES = 0.6
_LETTERS_PER_INCH = 9
_TINTS = ("#FFFFFF", "#F1F1F1")
# pixels are drawn as blocks of this size, so that hatching has the same width in all panels
_PIXELS_PER_PANEL = 400
_HATCH_PERIOD, _HATCH_WIDTH = 14, 2


@dataclass(frozen=True)
class _Panel:
    """A 2D view: gray image or None, target, and which pixels are padding."""

    title: str
    image: np.ndarray | None
    target: np.ndarray
    is_outside: np.ndarray


def draw_batches(
    sources: Mapping[str, BatchSource],
    classes: Mapping[str, Sequence[int]],
    output: Path,
    title: str,
) -> None:
    """Draw some patches of each trainer's first batch.

    In 3d, every patch is shown in a cut across its planes, so that annotated planes are lines, in
    the plane with most annotation, and with the target of its half-resolution output; in 2d with
    its label and that target. Ignored voxels are dark and hatched, padding has a colour of its own.

    Parameters
    ----------
    sources
        Batches, by name of the trainer.
    classes
        Label values of every foreground class or region, by name.
    output
        PNG file to be written.
    title
        Stands above the picture.
    """
    columns = {name: _chosen(list(source.patches(1))) for name, source in sources.items()}
    panels = {name: [_panels(patch) for patch in patches] for name, patches in columns.items()}
    num_rows = max(len(rows) for rows in panels.values())
    widths = {name: max(map(len, rows)) for name, rows in panels.items()}
    width = _PANEL_INCHES * sum(widths.values()) + 0.6
    handles = _legend_handles(classes, next(iter(sources.values())).num_regions)
    legend_columns = max(1, min(len(handles), int(width / _LEGEND_INCHES)))
    legend_inches = _LEGEND_ROW_INCHES * -(-len(handles) // legend_columns)
    figure = Figure(
        figsize=(width, (_PANEL_INCHES + _ROW_TEXT_INCHES) * num_rows + legend_inches + 0.9),
        layout="constrained",
    )
    parts: Any = figure.subfigures(
        1, len(panels), width_ratios=list(widths.values()), squeeze=False
    )
    for number, (part, (name, rows)) in enumerate(zip(parts[0], panels.items(), strict=True)):
        part.set_facecolor(_TINTS[number % len(_TINTS)])
        part.suptitle(name, fontsize=11)
        grid = part.subplots(num_rows, widths[name], squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, shown, patch in zip(grid, rows, columns[name], strict=False):
            for axes, panel in zip(row, shown, strict=False):
                axes.imshow(_pixels(panel), interpolation="nearest")
                axes.set_title(panel.title, fontsize=8)
            _frame(row[0], patch)
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns, fontsize=8)
    figure.suptitle(f"{_wrapped(title, width)}\none batch as the network sees it", fontsize=12)
    with atomic_path(output) as temporary:
        figure.savefig(temporary, dpi=_DPI, metadata={"Software": None})


def _wrapped(title: str, width: float) -> str:
    """The title in lines that a figure of this width in inches has room for."""
    return "\n".join(textwrap.wrap(title, max(1, int(width * _LETTERS_PER_INCH))))


def _chosen(patches: Sequence[Patch]) -> list[Patch]:
    """Some patches of a batch, spread from its random ones to those drawn for foreground."""
    count = min(_NUM_SAMPLES, len(patches))
    return [patches[i] for i in np.linspace(0, len(patches) - 1, count).round().astype(int)]


def _panels(patch: Patch) -> list[_Panel]:
    gray = _gray(patch)
    target = patch.targets[0]
    coarse = next((t for t in patch.targets if min(_ratio(t, target)) <= 0.5), None)
    outside = patch.is_outside
    if target.ndim == 2:
        panels = [_Panel("patch and label", gray, target, outside)]
        if coarse is not None:
            panels.append(
                _Panel(
                    f"target at {_scale(coarse, target)}",
                    None,
                    coarse,
                    _shrunk(outside, coarse.shape),
                )
            )
        return panels
    annotated = patch.annotated(0)
    plane, column = (_best_cut(annotated, target, axis) for axis in (0, 1))
    panels = [
        _Panel("across the slices", gray[:, column], target[:, column], outside[:, column]),
        _Panel(f"plane {plane}", gray[plane], target[plane], outside[plane]),
    ]
    if coarse is not None:
        at = min(int((column + 0.5) * coarse.shape[1] / target.shape[1]), coarse.shape[1] - 1)
        shrunk = _shrunk(outside, coarse.shape)
        panels.append(
            _Panel(f"target at {_scale(coarse, target)}", None, coarse[:, at], shrunk[:, at])
        )
    return panels


def _ratio(target: np.ndarray, full: np.ndarray) -> list[float]:
    return [a / b for a, b in zip(target.shape, full.shape, strict=True)]


def _scale(coarse: np.ndarray, full: np.ndarray) -> str:
    """Resolution of an output, for a title."""
    return f"1/{round(1 / min(_ratio(coarse, full)))} of the resolution"


def _best_cut(annotated: np.ndarray, target: np.ndarray, axis: int) -> int:
    """The cut across an axis that shows most foreground or, without any, most annotation."""
    others = tuple(a for a in range(3) if a != axis)
    foreground = (annotated & (target > 0)).sum(axis=others)
    score = foreground if foreground.any() else annotated.sum(axis=others)
    if not score.any():
        return int(target.shape[axis]) // 2
    # the first of many equal ones is the border of an object
    best = np.flatnonzero(score == score.max())
    return int(best[len(best) // 2])


def _shrunk(outside: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    indices = [
        ((np.arange(n) + 0.5) * full / n).astype(int)
        for n, full in zip(shape, outside.shape, strict=True)
    ]
    return outside[np.ix_(*indices)]


def _gray(patch: Patch) -> np.ndarray:
    """First channel in 0..1; black and white are percentiles of what lies in the image."""
    image = patch.image[0]
    inside = image[~patch.is_outside]
    low, high = np.percentile(inside if inside.size else image, (1, 99))
    return np.asarray(np.clip((image - low) / max(high - low, 1e-6), 0, 1))


def _pixels(panel: _Panel) -> np.ndarray:
    """RGB of a panel, enlarged."""
    height, width = panel.target.shape
    factor = max(1, _PIXELS_PER_PANEL // max(height, width))

    def enlarged(values: np.ndarray) -> np.ndarray:
        return values.repeat(factor, axis=0).repeat(factor, axis=1)

    ignored = panel.target == IGNORED
    if panel.image is None:
        rgb = np.empty((height, width, 3))
        rgb[:] = mpl.colors.to_rgb(_COARSE_BACKGROUND)
        rgb[ignored] = mpl.colors.to_rgb(_COARSE_IGNORED)
    else:
        rgb = np.repeat(panel.image[..., None], 3, axis=-1)
        rgb[ignored] *= _DIMMED
    for value in np.unique(panel.target[panel.target > 0]):
        color = np.array(mpl.colors.to_rgb(label_color(int(value))))
        mask = panel.target == value
        opacity = _OPACITY if panel.image is not None else 1.0
        rgb[mask] = (1 - opacity) * rgb[mask] + opacity * color
    padding = panel.is_outside
    rgb[padding] = mpl.colors.to_rgb(_PADDING)
    rgb[padding & ignored] *= _DIMMED
    rgb = enlarged(rgb)
    rows, columns = np.indices(rgb.shape[:2])
    stripes = (rows + columns) % _HATCH_PERIOD < _HATCH_WIDTH
    rgb[stripes & enlarged(ignored)] = mpl.colors.to_rgb(_HATCH)
    return rgb


def _frame(axes: Any, patch: Patch) -> None:
    how = "" if patch.is_straight else ", rotated or scaled"
    axes.text(
        0, -0.02, f"{patch.case_id}{how}", fontsize=7, ha="left", va="top", transform=axes.transAxes
    )


def _legend_handles(classes: Mapping[str, Sequence[int]], num_regions: int) -> list[LegendPatch]:
    values = range(1, num_regions + 1) if num_regions else (v[0] for v in classes.values())
    handles = [
        LegendPatch(color=label_color(value), label=name)
        for name, value in zip(classes, values, strict=False)
    ]
    return [
        *handles,
        LegendPatch(color=_COARSE_BACKGROUND, label="annotated background"),
        LegendPatch(facecolor=_COARSE_IGNORED, edgecolor=_HATCH, hatch="////", label="ignored"),
        LegendPatch(color=_PADDING, label="outside the image, trained as background"),
        LegendPatch(
            facecolor=[_DIMMED * c for c in mpl.colors.to_rgb(_PADDING)],
            edgecolor=_HATCH,
            hatch="////",
            label="outside the image, ignored",
        ),
    ]
