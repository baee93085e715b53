"""MR of one breast: thin tissue that branches from the nipple backwards."""

import numpy as np

from nnunet_sparse.phantoms.appearance import (
    bias_field,
    blur,
    rician_noise,
    texture,
    to_scanner_units,
)
from nnunet_sparse.phantoms.shapes import (
    VoxelGrid,
    branching_curve,
    ellipsoid,
    smooth_field,
    stamp,
    warp,
)

TISSUE = 1


def draw_tree(grid: VoxelGrid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw image (arbitrary units, int16) and label (1 tissue, uint8) of one case."""
    points = warp(grid, rng, 0.04, (2, 3, 3))
    centre = (rng.uniform(-0.12, 0.12), rng.uniform(0.3, 0.45), rng.uniform(-0.1, 0.1))
    radii = (rng.uniform(0.6, 0.85), rng.uniform(0.75, 1.0), rng.uniform(0.6, 0.8))
    breast = ellipsoid(points, centre, radii)
    wall = points.y - rng.uniform(0.5, 0.7) + rng.uniform(0.0, 0.2) * points.x**2
    wall = wall + 0.02 * smooth_field(rng, grid.shape, (3, 6, 6))

    bright = rng.random() < 0.5  # tissue is bright where fat is suppressed
    fat = rng.uniform(0.25, 0.4) if bright else rng.uniform(0.85, 1.1)
    tissue = fat + rng.uniform(0.3, 0.5) * (1 if bright else -1)

    image = np.full(grid.shape, 0.02, dtype=np.float32)
    outline = np.maximum(breast, wall)
    image[outline > 0] = rng.uniform(0.5, 0.8)
    image[outline > 0.04] = fat * rng.uniform(0.95, 1.05)
    # septa: sheets where a random field is zero, fainter than the tissue
    septa = np.abs(smooth_field(rng, grid.shape, (6, 8, 8))) < 0.08
    image[septa & (breast > 0.04)] += rng.uniform(0.2, 0.45) * (tissue - fat)

    region = (breast > 0.1) & (wall < 0)
    mask = _tissue(grid, rng, centre, radii, region)
    image[mask] = tissue + 0.03 * rng.standard_normal()
    image[wall > 0] = rng.uniform(0.35, 0.55)
    image[wall > rng.uniform(0.2, 0.3)] = 0.08
    _draw_vessels(image, grid, rng, np.where(wall < 0, breast, -1), rng.uniform(0.9, 1.3) * tissue)

    image *= 1 + 0.05 * texture(rng, grid.shape, 3)
    image = blur(image, (0.3, 0.5, 0.5)) * bias_field(rng, grid.shape, rng.uniform(0.1, 0.3))
    image = rician_noise(rng, image, rng.uniform(0.025, 0.06))
    return to_scanner_units(rng, image), mask.astype(np.uint8)


def _tissue(
    grid: VoxelGrid,
    rng: np.random.Generator,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    region: np.ndarray,
) -> np.ndarray:
    """Voxels of a few trees that start behind the nipple, 1 to 3 voxels thick."""
    nipple = np.array([centre[0], centre[1] - 0.85 * radii[1], centre[2]])
    mask = np.zeros(grid.shape, dtype=bool)
    thickest = rng.uniform(2.8, 3.9)
    for _ in range(rng.integers(5, 10)):
        heading = np.array([0.6, 1.0, 0.6]) * [rng.normal(), 1.0, rng.normal()]
        branches = branching_curve(
            rng,
            nipple,
            heading,
            length=rng.uniform(0.25, 0.4),
            generations=int(rng.integers(4, 6)),
            spread=0.55,
        )
        for path, generation in branches:
            stamp(mask, grid.in_view(path), max(1.0, thickest - 0.45 * generation), region)
    return mask


def _draw_vessels(
    image: np.ndarray, grid: VoxelGrid, rng: np.random.Generator, breast: np.ndarray, value: float
) -> None:
    """A few long vessels just below the skin, which look like tissue but run along the surface."""
    for _ in range(rng.integers(1, 4)):
        field = smooth_field(rng, grid.shape, (2, 3, 3))
        image[(np.abs(breast - 0.09) < 0.03) & (np.abs(field) < 0.06)] = value
