"""Chest MR: two breasts, large and soft, with the same fat around the chest beside them."""

import numpy as np

from nnunet_sparse.phantoms.appearance import (
    bias_field,
    blur,
    rician_noise,
    texture,
    to_scanner_units,
)
from nnunet_sparse.phantoms.shapes import Points, VoxelGrid, ellipsoid, smooth_field, warp

BREAST = 1


def draw_organ(grid: VoxelGrid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw image (arbitrary units, int16) and label (1 breast, uint8) of one case."""
    points = warp(grid, rng, 0.035, (2, 3, 3))
    # fat suppression turns the contrast round, as it does between protocols
    suppressed = rng.random() < 0.5
    fat = rng.uniform(0.25, 0.45) if suppressed else rng.uniform(0.85, 1.05)
    muscle = rng.uniform(0.3, 0.5)
    gland = rng.uniform(0.6, 0.9) if suppressed else rng.uniform(0.35, 0.6)
    skin = rng.uniform(0.5, 0.8)

    chest_y = rng.uniform(0.62, 0.8)
    width, depth = rng.uniform(0.78, 0.95), rng.uniform(0.6, 0.75)
    image = np.full(grid.shape, 0.02, dtype=np.float32)
    torso = ellipsoid(points, (0, chest_y, 0), (np.inf, depth, width))
    rim = rng.uniform(0.05, 0.16)
    wall = ellipsoid(points, (0, chest_y + 0.02, 0), (np.inf, depth - rim, width - 1.2 * rim))
    wall += 0.02 * smooth_field(rng, grid.shape, (4, 8, 8))
    breasts = _breasts(points, rng, chest_y - depth)
    outline = np.maximum(torso, breasts)
    image[outline > 0] = skin
    image[outline > 0.05] = fat

    _draw_glands(image, grid, rng, breasts, gland)
    image[wall > 0] = muscle
    _draw_ribs(image, points, rng, wall, fat)
    _draw_thorax(image, points, rng, wall, chest_y)
    if rng.random() < 0.6:
        _draw_arms(image, points, rng, outline <= 0, (fat, muscle))
    if rng.random() < 0.5:
        _draw_belly(image, points, rng, outline <= 0, front_y=chest_y - depth, fat=fat)

    label = ((breasts > 0) & (wall <= 0)).astype(np.uint8)
    image *= 1 + 0.06 * texture(rng, grid.shape, 3)
    image = blur(image, (0.4, 0.8, 0.8)) * bias_field(rng, grid.shape, rng.uniform(0.1, 0.3))
    # the coil lies in front: signal falls off backwards
    image *= np.exp(-rng.uniform(0.1, 0.7) * (grid.points.y + 0.4))
    image = rician_noise(rng, image, rng.uniform(0.03, 0.08))
    return to_scanner_units(rng, image), label


def _breasts(points: Points, rng: np.random.Generator, front_y: float) -> np.ndarray:
    """Implicit shape of both breasts, of similar but not equal size."""
    z, height = rng.uniform(-0.3, 0.3), rng.uniform(0.34, 0.52)
    # from flat, lying on the back, to pendulous, lying on the front
    reach, width = rng.uniform(0.25, 0.7), rng.uniform(0.26, 0.42)
    sides = []
    for side in (-1, 1):
        scale = rng.uniform(0.85, 1.15)
        centre = (
            z + rng.normal(0, 0.05),
            front_y + rng.uniform(0.1, 0.22),
            side * rng.uniform(0.4, 0.5),
        )
        radii = (height * scale, reach * scale, width * scale)
        sides.append(ellipsoid(points, centre, radii, -side * rng.uniform(-0.1, 0.4)))
    both: np.ndarray = np.maximum(sides[0], sides[1])
    return both


def _draw_glands(
    image: np.ndarray, grid: VoxelGrid, rng: np.random.Generator, breasts: np.ndarray, value: float
) -> None:
    """Patches of glandular tissue, from hardly any to dense breasts."""
    patches = smooth_field(rng, grid.shape, (8, 14, 14)) + smooth_field(rng, grid.shape, (3, 4, 4))
    image[(breasts > 0.25) & (patches > rng.uniform(-1.2, 1.8))] = value


def _draw_ribs(
    image: np.ndarray, points: Points, rng: np.random.Generator, wall: np.ndarray, fat: float
) -> None:
    hoops = np.sin(20 * (points.z + 0.4 * points.y) + rng.uniform(0, 6))
    image[(np.abs(wall - 0.17) < 0.05) & (hoops > 0.4)] = 0.6 * fat


def _draw_thorax(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    wall: np.ndarray,
    chest_y: float,
) -> None:
    """Dark lungs, and a heart that may be as bright as fat."""
    image[wall > rng.uniform(0.26, 0.34)] = 0.08
    centre = (rng.uniform(-0.4, 0.2), chest_y - 0.15, rng.uniform(0.05, 0.2))
    heart = ellipsoid(points, centre, (0.7, rng.uniform(0.2, 0.32), rng.uniform(0.22, 0.32)), 0.4)
    image[(heart > 0) & (wall > 0.22)] = rng.uniform(0.3, 1.0)


def _draw_belly(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    outside: np.ndarray,
    *,
    front_y: float,
    fat: float,
) -> None:
    """A belly that bulges below the breasts, of the same fat."""
    centre = (-1.05, front_y + 0.2, rng.uniform(-0.2, 0.2))
    radii = (rng.uniform(0.35, 0.7), rng.uniform(0.35, 0.55), rng.uniform(0.35, 0.7))
    bulge = ellipsoid(points, centre, radii)
    image[(bulge > 0) & outside] = fat


def _draw_arms(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    outside: np.ndarray,
    intensities: tuple[float, float],
) -> None:
    """Raised or lowered arms at the edge of the field of view, round and fatty like a breast."""
    fat, muscle = intensities
    y, radius = rng.uniform(-0.3, 0.4), rng.uniform(0.16, 0.26)
    for side in (-1, 1):
        centre = (0, y + rng.normal(0, 0.05), side * rng.uniform(0.95, 1.08))
        arm = ellipsoid(points, centre, (np.inf, radius * 1.3, radius))
        image[(arm > 0) & outside] = fat
        image[(arm > 0.3) & outside] = muscle
