"""On which voxels of an image those of another file lie, by what both headers say.

Two headers can agree in one reading and not in another (:mod:`nnunet_sparse.data.nifti_readings`).
A program sees all files by its own reading, so that readings are compared with themselves: a label
that was saved with the image's affine as nibabel gives it lies on the image by that reading,
wherever ITK sees the two.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.data.affines import is_valid
from nnunet_sparse.data.geometry import MAX_SHIFT_VOXELS, Geometry
from nnunet_sparse.data.nifti_readings import ITK, NIBABEL, PROGRAMS, READINGS
from nnunet_sparse.system.errors import SparseError

_ANATOMY = ("left-right", "front-back", "head-foot")


class AmbiguousPlacementError(SparseError):
    """Readings of one header contradict each other, and none is the likely one."""


@dataclass(frozen=True)
class Placement:
    """Where the voxels of an array lie in an image; all indices are (z, y, x).

    Attributes
    ----------
    steps
        Signed permutation matrix: which axis of the image (row) each axis of the array (column)
        runs along, 1 in the same direction, -1 in the other.
    low
        Index of the image's voxel on which the array's lowest corner lies, once its axes run as the
        image's do; may lie outside.
    shape
        Of the array, once its axes run as the image's do.
    """

    steps: np.ndarray
    low: np.ndarray
    shape: tuple[int, ...]

    @property
    def keeps_order(self) -> bool:
        """Whether the axes of both run alike."""
        return bool((self.steps == np.eye(3)).all())

    def covers(self, image: Geometry) -> bool:
        """Whether the array's voxels are all of the image's and no others."""
        return self.shape == image.shape and not self.low.any()

    def equals(self, other: "Placement") -> bool:
        """Whether both put every voxel on the same one."""
        return bool((self.steps == other.steps).all() and (self.low == other.low).all())

    def turn(self, array: np.ndarray) -> np.ndarray:
        """Array with axes that run as the image's do, a view."""
        axes = np.abs(self.steps).argmax(axis=1)
        return array.transpose(axes)[tuple(slice(None, None, s) for s in self.steps.sum(axis=1))]


def place(geometry: Geometry, image: Geometry, valid: Callable[[Placement], bool]) -> Placement:
    """Find where a file's voxels lie in an image.

    Readings that put the voxels beside those of the image, or not as they have to lie, do not
    count. If others contradict each other, the one counts that ITK or nibabel has, that the program
    may have that wrote the file, and by which its axes run as the image's do: hardly any program
    changes the order of voxels, and a mirrored label looks like one whose axes run backwards.

    Parameters
    ----------
    geometry
        Where the file's voxels lie.
    image
        Where the image's voxels lie; they are continued beyond its edges.
    valid
        Whether the voxels may lie so.

    Returns
    -------
    Placement
        If none is valid the first one.

    Raises
    ------
    SparseError
        If a corner lies more than a tenth of a voxel beside each voxel of the image by all
        readings, with the reason by the first one. The message names no file.
    AmbiguousPlacementError
        If it cannot be told which reading is right.
    """
    found = _placements(geometry, image)
    first = next(iter(found.values()))
    found = {name: p for name, p in found.items() if valid(p)} or {"": first}
    first = next(iter(found.values()))
    if all(other.equals(first) for other in found.values()):
        return first
    likely = [
        found[name]
        for name in (ITK, NIBABEL)
        if name in found and name in geometry.readings.written_by and found[name].keeps_order
    ]
    if likely and likely[0].equals(likely[-1]):
        return likely[0]
    distinct = {_order(p): name for name, p in reversed(found.items())}
    ways = "; ".join(f"to {PROGRAMS[name]} {order}" for order, name in distinct.items())
    raise AmbiguousPlacementError(
        f"qform and sform disagree, and it cannot be told how the voxels are meant: {ways}; save "
        "it with the header of the image"
    )


def disagreement(geometry: Geometry) -> str | None:
    """Say how the positions differ that programs take from one header; None if they do not."""
    known = [name for name in READINGS if name in geometry.readings.affines]
    found = (
        _difference(geometry.as_read_by(one), geometry.as_read_by(other))
        for one, other in itertools.combinations(known, 2)
    )
    return next((text for text in found if text is not None), None)


def _difference(geometry: Geometry, other: Geometry) -> str | None:
    """Say how two positions of one volume differ; None if by less than a tenth of a voxel."""
    shift = other.shift_voxels(geometry)
    if geometry.affine is None or other.affine is None or shift <= MAX_SHIFT_VOXELS:
        return None
    one, two = geometry.affine, other.affine
    steps = _steps(one, two)
    if np.linalg.det(one[:3, :3]) * np.linalg.det(two[:3, :3]) < 0:
        reason = f"mirrored{_along(steps, two)}"
    elif not (steps == np.eye(3)).all():
        reason = f"reversed{_along(steps, two)}" if steps.diagonal().all() else "of other axes"
    else:
        texts = {
            "spacing": f"voxels of {_mm(_spacing(one))} and of {_mm(_spacing(two))}",
            "direction": f"turned by {_angle(one, two):.3g} degrees",
            "origin": "shifted",
        }
        moved = _moved_by(one, two, np.array(geometry.shape))
        least = min(MAX_SHIFT_VOXELS * _spacing(two).min(), max(moved.values()))
        reason = ", ".join(texts[kind] for kind in texts if moved[kind] >= least)
    return f"{reason}, up to {shift:.2g} voxels apart"


def _placements(geometry: Geometry, image: Geometry) -> dict[str, Placement]:
    """Find at least one placement, by the name of its reading."""
    known = {*geometry.readings.affines, *image.readings.affines}
    found, reasons = {}, []
    for name in [name for name in READINGS if name in known] or [""]:
        try:
            found[name] = _placement(geometry.as_read_by(name), image.as_read_by(name))
        except SparseError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    return found


def _order(placement: Placement) -> str:
    """Say how the order of an array's voxels differs from that of the image."""
    if placement.keeps_order:
        low = tuple(placement.low.tolist())
        return "they are in the order of the image's" + (f", from {low} on" if any(low) else "")
    signs = placement.steps.diagonal()
    if signs.all():
        names = (name for name, sign in zip("zyx", signs, strict=True) if sign < 0)
        return f"they run backwards along {' and '.join(names)}"
    return "their axes are in another order"


def _along(steps: np.ndarray, affine: np.ndarray) -> str:
    """Name the anatomical axes along which only the direction differs."""
    signs = steps.diagonal()
    if not signs.all():
        return ""
    rows = np.abs(affine[:3, :3]).argmax(axis=0)[signs < 0]
    return f" ({' and '.join(_ANATOMY[row] for row in sorted(rows))})"


def _placement(geometry: Geometry, image: Geometry) -> Placement:
    steps = _steps(_affine(geometry), _affine(image))
    first = _nearest_voxel(geometry, image)
    _check_on_voxels(geometry, image, steps, first)
    last = first + steps @ (np.array(geometry.shape) - 1)
    z, y, x = (geometry.shape[axis] for axis in np.abs(steps).argmax(axis=1))
    return Placement(steps, np.minimum(first, last), (z, y, x))


def _affine(geometry: Geometry) -> np.ndarray:
    affine = geometry.affine
    if affine is None or not is_valid(affine):
        raise SparseError("its header gives no valid position")
    return affine


def _steps(affine: np.ndarray, image_affine: np.ndarray) -> np.ndarray:
    """Signed permutation matrix that comes closest to the cosines between the axes."""
    cosines = np.linalg.solve(_directions(image_affine), _directions(affine))
    columns = range(3)
    rows = max(
        itertools.permutations(columns), key=lambda rows: np.abs(cosines[rows, columns]).sum()
    )
    steps = np.zeros((3, 3), int)
    steps[rows, columns] = np.where(cosines[rows, columns] < 0, -1, 1)
    return steps


def _nearest_voxel(geometry: Geometry, image: Geometry) -> np.ndarray:
    """Voxel of the image on which the array's first one lies; may lie outside."""
    position = np.linalg.solve(_affine(image), _affine(geometry)[:, 3])[:3]
    return np.rint(position).astype(int)


def _check_on_voxels(
    geometry: Geometry, image: Geometry, steps: np.ndarray, first: np.ndarray
) -> None:
    """Refuse arrays that differ by more than the order of axes, flips and a shift by voxels."""
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = steps, first
    affine, wanted = _affine(geometry), _affine(image) @ move
    shift = Geometry(geometry.shape, wanted).shift_voxels(geometry)
    if shift > MAX_SHIFT_VOXELS:
        texts = {
            "spacing": f"its spacing is {_mm(_spacing(affine))}, the image's "
            f"{_mm(_spacing(wanted))}",
            "direction": f"its axes are turned by "
            f"{_angle(affine, wanted, np.array(geometry.shape) > 1):.3g} degrees",
            "origin": "its origin lies between the voxels of the image",
        }
        moved = _moved_by(affine, wanted, np.array(geometry.shape))
        reason = max(texts, key=lambda kind: moved[kind])
        raise SparseError(f"{texts[reason]}; it is up to {shift:.2g} voxels off")


def _moved_by(affine: np.ndarray, wanted: np.ndarray, shape: np.ndarray) -> dict[str, float]:
    """How far in mm voxels are moved by ``spacing``, ``direction`` and ``origin``, each alone."""
    spacing, wanted_spacing = _spacing(affine), _spacing(wanted)
    turned = _directions(affine) - _directions(wanted)
    return {
        "spacing": float(np.abs((shape - 1) * (spacing - wanted_spacing)).max()),
        "direction": float(((shape - 1) * wanted_spacing * np.linalg.norm(turned, axis=0)).max()),
        "origin": float(np.linalg.norm((affine - wanted)[:3, 3])),
    }


def _angle(one: np.ndarray, other: np.ndarray, axes: np.ndarray | slice = slice(None)) -> float:
    """Largest angle between equal axes, in degrees; 0 without axes."""
    cosines = (_directions(one) * _directions(other)).sum(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1)))[axes].max(initial=0))


def _spacing(affine: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def _directions(affine: np.ndarray) -> np.ndarray:
    return np.asarray(affine[:3, :3] / _spacing(affine))


def _mm(spacing: np.ndarray) -> str:
    return " x ".join(f"{mm:.4g}" for mm in spacing) + " mm"
