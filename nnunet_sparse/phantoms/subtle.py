"""Brain MR: folded cortex, ventricles, and faint lesions in a few of the slices."""

import numpy as np

from nnunet_sparse.phantoms.appearance import (
    bias_field,
    blur,
    rician_noise,
    texture,
    to_scanner_units,
)
from nnunet_sparse.phantoms.shapes import (
    Points,
    VoxelGrid,
    blob,
    ellipsoid,
    random_voxel,
    smooth_field,
    warp,
)

LESION = 1
_NUM_LESIONS = (0, 1, 2, 3, 5, 8)


def draw_subtle(grid: VoxelGrid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw image (arbitrary units, int16) and label (1 lesion, uint8) of one case."""
    points = warp(grid, rng, 0.03, (3, 3, 3))
    fluid = rng.uniform(0.15, 0.3)
    white = rng.uniform(0.9, 1.0)
    grey = white - rng.uniform(0.2, 0.32)

    centre = (rng.uniform(-0.15, 0.05), rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05))
    size = rng.uniform(0.88, 1.0)
    radii = (0.92 * size, 0.92 * size * rng.uniform(0.95, 1.05), 0.76 * size)
    head = ellipsoid(points, centre, radii)
    brain = ellipsoid(points, centre, (radii[0] - 0.1, radii[1] - 0.1, radii[2] - 0.1))

    image = np.full(grid.shape, 0.02, dtype=np.float32)
    image[head > 0] = rng.uniform(0.7, 1.0)  # scalp
    image[head > 0.05] = 0.1  # skull
    image[brain > -0.04] = fluid
    cortex = _draw_brain(image, grid, rng, brain, (fluid, grey, white))
    _draw_deep_nuclei(image, points, rng, centre, grey)
    ventricles = _draw_ventricles(image, points, rng, centre, fluid)
    image[(np.abs(points.x - centre[2]) < 0.018) & (brain > 0) & (brain < 0.4)] = fluid

    tissue = (brain > 0.08) & (image > fluid + 0.1) & ~ventricles
    label = np.zeros(grid.shape, dtype=np.uint8)
    for _ in range(rng.choice(_NUM_LESIONS, p=(0.1, 0.2, 0.25, 0.2, 0.15, 0.1))):
        _draw_lesion(image, label, grid, rng, tissue & ~cortex)
    label[~tissue] = 0

    image *= 1 + 0.03 * texture(rng, grid.shape, 3)
    image = blur(image, (0.3, 0.5, 0.5)) * bias_field(rng, grid.shape, rng.uniform(0.05, 0.15))
    image = rician_noise(rng, image, rng.uniform(0.02, 0.045))
    return to_scanner_units(rng, image), label


def _draw_brain(
    image: np.ndarray,
    grid: VoxelGrid,
    rng: np.random.Generator,
    brain: np.ndarray,
    intensities: tuple[float, float, float],
) -> np.ndarray:
    """Grey and white matter; returns the cortex: a ribbon along the surface and the sulci."""
    fluid, grey, white = intensities
    # sulci are sheets where a field is zero, deeper where another one is high
    folds = np.abs(smooth_field(rng, grid.shape, (8, 13, 12)))
    depth = rng.uniform(0.16, 0.26) + 0.06 * smooth_field(rng, grid.shape, (4, 5, 5))
    opening = folds + 4 * np.clip(brain - np.maximum(depth, 0), 0, None)
    cortex: np.ndarray = (brain > 0) & ((opening < 0.7) | (brain < 0.07))
    image[brain > 0] = white
    image[cortex] = grey
    image[(brain > 0) & (opening < 0.17)] = fluid
    return cortex


def _draw_deep_nuclei(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    centre: tuple[float, float, float],
    grey: float,
) -> None:
    for side in (-1, 1):
        for y, x, radius in ((-0.1, 0.17, 0.09), (0.08, 0.12, 0.1)):
            seat = (centre[0] - 0.02, centre[1] + y, centre[2] + side * x)
            nucleus = ellipsoid(
                points, seat, (0.2, radius * rng.uniform(1, 1.4), radius * 0.8), -0.4 * side
            )
            image[nucleus > 0] = grey + 0.06


def _draw_ventricles(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    centre: tuple[float, float, float],
    fluid: float,
) -> np.ndarray:
    """Two horns of fluid, narrow to wide; returns their mask."""
    width = rng.uniform(0.03, 0.08)
    mask = np.zeros(image.shape, dtype=bool)
    for side in (-1, 1):
        for y, length, tilt in ((-0.17, 0.17, 0.35), (0.2, 0.22, -0.35)):
            seat = (centre[0] + 0.14, centre[1] + y, centre[2] + side * (0.07 + width / 2))
            radii = (0.22, length, width * rng.uniform(0.8, 1.2))
            mask |= ellipsoid(points, seat, radii, side * tilt) > 0
    image[mask] = fluid
    return mask


def _draw_lesion(
    image: np.ndarray,
    label: np.ndarray,
    grid: VoxelGrid,
    rng: np.random.Generator,
    seats: np.ndarray,
) -> None:
    """One irregular lesion, a little darker than the tissue it lies in."""
    seat = random_voxel(rng, seats)
    if seat is None:
        return
    radius = float(np.exp(rng.uniform(np.log(0.08), np.log(0.22))))
    lesion = blob(grid, rng, seat, radius, 0.2)
    image[lesion > 0] *= 1 - rng.uniform(0.22, 0.38)
    label[lesion > 0] = LESION
