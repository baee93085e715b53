"""One phantom case, and the table of tasks."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_sparse.phantoms.lesion import draw_lesion
from nnunet_sparse.phantoms.organ import draw_organ
from nnunet_sparse.phantoms.shapes import VoxelGrid
from nnunet_sparse.phantoms.subtle import draw_subtle
from nnunet_sparse.phantoms.thick_slices import thick_slices
from nnunet_sparse.phantoms.tree import draw_tree
from nnunet_sparse.phantoms.variation import MAX_STRENGTH, draw_variation
from nnunet_sparse.system.errors import SparseError

DEFAULT_SHAPE = (48, 96, 96)
DEFAULT_SPACING_MM = (5.0, 3.75, 3.75)
MIN_SHAPE = (8, 32, 32)
MAX_NUM_VOXELS = 2**27

# of the generator of what tells volumes apart besides their anatomy
_OF_VARIATION = zlib.crc32(b"variation")

Drawing = Callable[[VoxelGrid, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class PhantomTask:
    """One kind of phantom.

    Attributes
    ----------
    name
        Key in :data:`PHANTOM_TASKS`.
    description
        What it shows, in one sentence.
    channel_name
        Channel as nnU-Net's ``dataset.json`` names it: ``CT`` switches CT normalisation on.
    labels
        Label names and values, as in ``dataset.json``.
    generate
        Draws image (z, y, x), int16, and label (z, y, x), uint8.
    context
        Labels that surround the target, for training recipes.
    """

    name: str
    description: str
    channel_name: str
    labels: dict[str, int]
    generate: Drawing
    context: tuple[str, ...] = ()

    @property
    def roles(self) -> dict[str, Any]:
        """What ``dataset.json`` says of the roles of the labels; nothing if all are targets."""
        return {"nnsparse": {"roles": {"context": list(self.context)}}} if self.context else {}


PHANTOM_TASKS = {
    task.name: task
    for task in (
        PhantomTask(
            "lesion",
            "abdominal CT in Hounsfield units with tumours inside the liver",
            "CT",
            {"background": 0, "liver": 1, "tumour": 2},
            draw_lesion,
            context=("liver",),
        ),
        PhantomTask(
            "organ",
            "chest MR with the breasts, large and smooth, among look-alike fat",
            "MR",
            {"background": 0, "breast": 1},
            draw_organ,
        ),
        PhantomTask(
            "tree",
            "MR of one breast with thin branching tissue",
            "MR",
            {"background": 0, "tissue": 1},
            draw_tree,
        ),
        PhantomTask(
            "subtle",
            "brain MR with faint lesions, many slices without any",
            "MR",
            {"background": 0, "lesion": 1},
            draw_subtle,
        ),
    )
}


@dataclass(frozen=True)
class PhantomCase:
    """One volume with its label.

    Attributes
    ----------
    image
        (z, y, x), int16; Hounsfield units for ``lesion``, arbitrary units otherwise.
    label
        (z, y, x), uint8.
    spacing_mm
        Of the axes (z, y, x).
    """

    image: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, float, float]


def check_parameters(
    task: str,
    seed: int,
    shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    variation: float = 0.0,
    drawn_slices: int | None = None,
) -> None:
    """Refuse parameters from which no phantom can be drawn.

    Raises
    ------
    SparseError
        If the task is unknown, the seed negative, the shape too small or too large, a spacing not
        positive, the variation out of range, or the drawn slices no multiple of those of the shape.
    """
    if task not in PHANTOM_TASKS:
        raise SparseError(f"unknown phantom task {task!r} (there are: {', '.join(PHANTOM_TASKS)})")
    if seed < 0:
        raise SparseError(f"seed must be at least 0, got {seed}")
    if len(shape) != 3 or any(n < least for n, least in zip(shape, MIN_SHAPE, strict=False)):
        raise SparseError(
            f"shape must be three numbers of at least {_times(MIN_SHAPE)} (z, y, x), "
            f"got {_times(shape)}"
        )
    if drawn_slices is not None and (drawn_slices < 1 or drawn_slices % shape[0]):
        raise SparseError(
            f"drawn_slices must be a multiple of the {shape[0]} slices of the shape, "
            f"got {drawn_slices}"
        )
    if math.prod((drawn_slices or shape[0], *shape[1:])) > MAX_NUM_VOXELS:
        drawn = _times((drawn_slices or shape[0], *shape[1:]))
        raise SparseError(
            f"shape must have at most {MAX_NUM_VOXELS} voxels (512 cubed), got {drawn}"
        )
    if len(spacing_mm) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise SparseError(
            f"spacing must be three positive numbers of mm (z, y, x), got {_times(spacing_mm)}"
        )
    if not 0 <= variation <= MAX_STRENGTH:
        raise SparseError(f"variation must lie in [0, {MAX_STRENGTH:g}], got {variation:g}")


def make_case(
    task: str,
    seed: int,
    case: int,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing_mm: tuple[float, float, float] = DEFAULT_SPACING_MM,
    *,
    variation: float = 0.0,
    drawn_slices: int | None = None,
) -> PhantomCase:
    """Draw one case, from a generator of its own: it depends on these arguments only.

    Parameters
    ----------
    task
        Key of :data:`PHANTOM_TASKS`.
    seed
        Seed of the data set, at least 0.
    case
        Number of the case, at least 0.
    shape
        Voxels (z, y, x), at least :data:`MIN_SHAPE`. The anatomy fills the field of view.
    spacing_mm
        Voxel size (z, y, x); lesions are round in mm.
    variation
        How much cases differ in field of view, position, shape and contrast, besides their anatomy:
        0 not at all, 1 as patients and scanners do (:mod:`nnunet_sparse.phantoms.variation`).
    drawn_slices
        Number of slices that are drawn, a multiple of those of ``shape``, which are joined to
        thicker ones (:mod:`nnunet_sparse.phantoms.thick_slices`). The anatomy is the same for every
        shape with the same field of view. By default those of ``shape``.

    Raises
    ------
    SparseError
        See :func:`check_parameters`.
    """
    check_parameters(task, seed, shape, spacing_mm, variation, drawn_slices)
    kind = PHANTOM_TASKS[task]
    entropy = [seed, zlib.crc32(task.encode()), case]
    drawn, drawn_mm = shape, spacing_mm
    if drawn_slices is not None:
        drawn = (drawn_slices, *shape[1:])
        drawn_mm = (spacing_mm[0] * shape[0] / drawn_slices, *spacing_mm[1:])
    varied = None
    if variation:
        varied = draw_variation(np.random.default_rng([*entropy, _OF_VARIATION]), variation)
    grid = VoxelGrid(drawn, drawn_mm) if varied is None else varied.grid(drawn, drawn_mm)
    image, label = kind.generate(grid, np.random.default_rng(entropy))
    if varied is not None:
        image = varied.changed(image, is_ct=kind.channel_name == "CT")
    if drawn != shape:
        image, label = thick_slices(image, label, shape[0])
    return PhantomCase(image, label, spacing_mm)


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(str(n) for n in numbers)
