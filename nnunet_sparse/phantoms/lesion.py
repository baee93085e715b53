"""Abdominal CT: body, neighbours of similar density, the liver and tumours inside it."""

import numpy as np

from nnunet_sparse.phantoms.appearance import bias_field, blur, correlated_noise, texture
from nnunet_sparse.phantoms.shapes import (
    Points,
    VoxelGrid,
    blob,
    ellipsoid,
    random_voxel,
    smooth_field,
    warp,
)

LIVER, TUMOUR = 1, 2
_AIR, _LUNG, _FAT, _MUSCLE, _FLUID = -1000, -840, -100, 48, 8
_NUM_TUMOURS = (0, 1, 2, 3, 4, 6)


def draw_lesion(grid: VoxelGrid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw image (HU, int16) and label (1 liver, 2 tumour, uint8) of one case."""
    points = warp(grid, rng, 0.035, (3, 3, 3))
    liver_z = rng.uniform(-0.2, 0.2)
    liver_height = rng.uniform(0.38, 0.58)
    enhancement = rng.uniform(0.0, 1.0)  # from unenhanced to portal venous phase
    liver_hu = 75 + 45 * enhancement + rng.normal(0, 6)

    image = np.full(grid.shape, _AIR, dtype=np.float32)
    _draw_couch(image, grid.points, rng)
    cavity = _draw_body(image, points, rng)
    _draw_bowel(image, grid, rng, cavity)
    _draw_chest(image, points, rng, cavity, dome_z=liver_z + liver_height, enhancement=enhancement)
    _draw_organs(image, points, rng, cavity, liver_z=liver_z, enhancement=enhancement)
    spine = _draw_spine(image, points, rng)
    _draw_great_vessels(image, points, rng, 45 + 110 * enhancement)

    liver = _liver(grid, points, rng, liver_z, liver_height)
    liver[(cavity < 0.03) | (spine > -0.15)] = -1
    inside = liver > 0
    image[inside] = liver_hu
    _draw_liver_vessels(image, grid, rng, inside, liver_hu + 45 * enhancement - 12)
    _draw_gallbladder(image, grid, rng, liver)
    label = inside.astype(np.uint8)
    # deep enough that a tumour does not end up as a sliver at the surface
    seats = liver > 0.2
    for _ in range(rng.choice(_NUM_TUMOURS, p=(0.08, 0.25, 0.25, 0.2, 0.14, 0.08))):
        _draw_tumour(image, label, grid, rng, seats=seats, liver_hu=liver_hu)
    label[~inside] = 0

    image += np.where(image > -300, 6, 25) * texture(rng, grid.shape, 3)
    image = blur(image, (0.3, 0.6, 0.6))
    image = (image + 1000) * bias_field(rng, grid.shape, 0.008) - 1000
    image += correlated_noise(rng, grid.shape, rng.uniform(12, 18), rng.uniform(0.3, 0.6))
    return np.clip(np.rint(image), -1024, 2000).astype(np.int16), label


def _draw_couch(image: np.ndarray, points: Points, rng: np.random.Generator) -> None:
    """Thin curved table top behind the body."""
    depth = points.y - 0.88 + 0.12 * points.x**2 + rng.uniform(-0.02, 0.02)
    image[np.broadcast_to((np.abs(depth) < 0.02) & (np.abs(points.x) < 0.75), image.shape)] = -250


def _draw_body(image: np.ndarray, points: Points, rng: np.random.Generator) -> np.ndarray:
    """Skin, fat, muscle wall and the fatty cavity, whose implicit shape is returned."""
    width, depth = rng.uniform(0.74, 0.94), rng.uniform(0.54, 0.72)
    fat, wall = rng.uniform(0.03, 0.14), rng.uniform(0.05, 0.09)
    centre = (0, rng.uniform(0.0, 0.08), rng.uniform(-0.04, 0.04))
    image[ellipsoid(points, centre, (np.inf, depth, width)) > 0] = 20
    image[ellipsoid(points, centre, (np.inf, depth - 0.02, width - 0.02)) > 0] = _FAT
    muscle = ellipsoid(points, centre, (np.inf, depth - fat, width - fat))
    image[muscle > 0] = _MUSCLE
    cavity = ellipsoid(points, centre, (np.inf, depth - fat - wall, width - fat - wall))
    image[cavity > 0] = _FAT
    # ribs: oblique hoops that cross an axial slice as bright spots in the wall
    hoops = np.sin(24 * (points.z + 0.5 * points.y) + 5 * np.abs(points.x) + rng.uniform(0, 6))
    ribs = (np.abs(muscle - 0.07) < 0.025) & (hoops > 0.55) & (points.z > rng.uniform(-0.5, -0.1))
    image[ribs] = 260
    return cavity


def _draw_bowel(
    image: np.ndarray, grid: VoxelGrid, rng: np.random.Generator, cavity: np.ndarray
) -> None:
    """Loops in the lower part of the cavity, some with contrast agent, some with gas."""
    loops = smooth_field(rng, grid.shape, (6, 10, 10))
    filling = smooth_field(rng, grid.shape, (5, 5, 5))
    lower = (cavity > 0.04) & (grid.points.z < rng.uniform(-0.1, 0.3) - 0.3 * grid.points.x)
    image[lower & (loops > 0.1)] = rng.uniform(15, 50)
    image[lower & (loops > 0.5) & (filling > 1.3)] = -700
    image[lower & (loops > 0.5) & (filling < -1.2)] = rng.uniform(120, 250)


def _draw_chest(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    cavity: np.ndarray,
    *,
    dome_z: float,
    enhancement: float,
) -> None:
    """Lungs above the domed diaphragm, and the heart between them."""
    dome = dome_z - rng.uniform(0.02, 0.12) - 1.1 * (np.abs(points.x) - 0.4) ** 2 - 0.5 * points.y
    image[(points.z > dome) & (cavity > 0)] = _LUNG
    heart = ellipsoid(points, (dome_z + 0.3, -0.12, 0.12), (0.42, 0.3, rng.uniform(0.28, 0.4)), 0.4)
    image[(heart > 0) & (cavity > 0)] = 40 + 130 * enhancement


def _draw_organs(
    image: np.ndarray,
    points: Points,
    rng: np.random.Generator,
    cavity: np.ndarray,
    *,
    liver_z: float,
    enhancement: float,
) -> None:
    """Spleen, stomach and kidneys: as bright as liver, or nearly so."""

    def near(z: float, y: float, x: float) -> tuple[float, float, float]:
        """A place close to that one, which is given relative to the liver."""
        moved_z, moved_y, moved_x = rng.normal((z, y, x), (0.08, 0.03, 0.03))
        return moved_z + liver_z, moved_y, moved_x

    size = rng.uniform(0.85, 1.2)
    inside = cavity > 0.03
    stomach = ellipsoid(points, near(0.05, -0.2, 0.32), (0.4, 0.2 * size, 0.25 * size), 0.5)
    image[(stomach > 0) & inside] = rng.uniform(35, 60)
    image[(stomach > 0.08) & inside] = rng.choice([5.0, 20.0, 45.0, 180.0])
    image[(stomach > 0.1) & (points.y < -0.28) & inside] = -900
    spleen = ellipsoid(points, near(0.08, 0.2, 0.52), (0.33 * size, 0.22, 0.13 * size), 0.35)
    image[(spleen > 0) & inside] = 50 + 85 * enhancement + rng.normal(0, 6)
    for side in (-1, 1):
        centre, tilt = near(-0.32, 0.28, 0.32 * side), 0.4 * side
        kidney = ellipsoid(points, centre, (0.36, 0.14 * size, 0.11 * size), tilt)
        image[(kidney > 0) & inside] = 35 + 130 * enhancement
        image[(kidney > 0.55) & inside] = rng.uniform(-40, 60)


def _draw_spine(image: np.ndarray, points: Points, rng: np.random.Generator) -> np.ndarray:
    """Vertebrae and discs; returns the implicit shape of the column."""
    centre_y = rng.uniform(0.3, 0.38)
    column = ellipsoid(points, (0, centre_y, 0), (np.inf, 0.12, 0.15))
    discs = np.sin(18 * points.z + rng.uniform(0, 6)) > 0.8
    image[column > 0] = rng.uniform(220, 350)
    image[column > 0.18] = rng.uniform(130, 200)
    image[(column > 0) & discs] = 85
    arch = ellipsoid(points, (0, centre_y + 0.2, 0), (np.inf, 0.13, 0.1))
    image[(arch > 0) & (np.sin(18 * points.z) > -0.6)] = 280
    image[arch > 0.45] = 25
    for side in (-1, 1):
        muscle = ellipsoid(points, (0, centre_y + 0.13, 0.22 * side), (np.inf, 0.12, 0.12))
        image[(muscle > 0) & (column < 0)] = _MUSCLE
    return column


def _draw_great_vessels(
    image: np.ndarray, points: Points, rng: np.random.Generator, blood_hu: float
) -> None:
    for x in (0.09, -0.11):
        centre = (0, rng.uniform(0.1, 0.17), x + rng.normal(0, 0.02))
        radius = rng.uniform(0.045, 0.07)
        image[ellipsoid(points, centre, (np.inf, radius, radius)) > 0] = blood_hu


def _liver(
    grid: VoxelGrid, points: Points, rng: np.random.Generator, z: float, height: float
) -> np.ndarray:
    """Implicit liver: a right lobe, and a flatter left lobe that reaches across the midline."""
    right = ellipsoid(
        points,
        (z, rng.uniform(-0.05, 0.08), rng.uniform(-0.46, -0.36)),
        (height, rng.uniform(0.34, 0.5), rng.uniform(0.28, 0.42)),
        rng.uniform(-0.4, 0.4),
    )
    left = ellipsoid(
        points,
        (z + rng.uniform(0, 0.2), rng.uniform(-0.3, -0.2), rng.uniform(-0.15, 0.12)),
        (height * rng.uniform(0.45, 0.75), rng.uniform(0.12, 0.22), rng.uniform(0.25, 0.48)),
        rng.uniform(-0.3, 0.1),
    )
    lobes: np.ndarray = np.maximum(right, left)
    return lobes + 0.06 * smooth_field(rng, grid.shape, (4, 5, 5))


def _draw_liver_vessels(
    image: np.ndarray,
    grid: VoxelGrid,
    rng: np.random.Generator,
    inside: np.ndarray,
    blood_hu: float,
) -> None:
    """Curves where two random fields are both zero."""
    fields = [smooth_field(rng, grid.shape, (4, 5, 5)) for _ in range(2)]
    image[inside & (fields[0] ** 2 + fields[1] ** 2 < 0.05)] = blood_hu


def _draw_gallbladder(
    image: np.ndarray, grid: VoxelGrid, rng: np.random.Generator, liver: np.ndarray
) -> None:
    """A pear of fluid at the lower surface of the liver, easily taken for a tumour."""
    bed = (np.abs(liver) < 0.1) & (grid.points.y < 0.05) & (grid.points.x < -0.1)
    lowest = np.flatnonzero(bed.any(axis=(1, 2)))[:1]
    if lowest.size == 0:
        return
    bed[int(lowest[0]) + grid.shape[0] // 5 :] = False
    seat = random_voxel(rng, bed)
    if seat is None:
        return
    pear = blob(grid, rng, seat, rng.uniform(0.07, 0.13), 0.08)
    image[pear > 0] = _FLUID + rng.normal(0, 5)
    liver[pear > 0] = -1


def _draw_tumour(
    image: np.ndarray,
    label: np.ndarray,
    grid: VoxelGrid,
    rng: np.random.Generator,
    *,
    seats: np.ndarray,
    liver_hu: float,
) -> None:
    """One tumour, mostly darker than the liver; large ones may have a dark core or bright rim."""
    seat = random_voxel(rng, seats)
    if seat is None:
        return
    radius = float(np.exp(rng.uniform(np.log(0.09), np.log(0.22))))
    tumour = blob(grid, rng, seat, radius, 0.12)
    tumour[label == 0] = -1
    contrast = rng.uniform(40, 70) * (-1 if rng.random() < 0.85 else 1)
    image[tumour > 0] = liver_hu + contrast
    if radius > 0.1 and rng.random() < 0.4:
        image[tumour > 0.55] = liver_hu + contrast - 20
    if rng.random() < 0.25:
        image[(tumour > 0) & (tumour < 0.2)] = liver_hu + 25
    label[tumour > 0] = TUMOUR
