"""Slices of DICOM as one volume: their order and place, and what keeps them from being one.

ITK and nnU-Net know volumes whose axes are at right angles and whose slices are at equal distances.
A stack is one if its slices are parallel, of one size, and lie on the line along their normal, one
step after the other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.data.dicom_header import Slice
from nnunet_sparse.data.geometry import MAX_SHIFT_VOXELS, Geometry
from nnunet_sparse.system.errors import SparseError

# largest difference of two distances between slices, as a share of their mean
_MAX_UNEVENNESS = 0.01
# what rounding of stored positions may explain, as a share of a step: less than a missing slice
_MAX_ROUNDING = 0.1
# largest difference of directions, as components of unit vectors, within a volume
_MAX_TURN = 1e-3
# and of normals that look into one direction, where a series may be no volume at all
_PARALLEL = 0.05
# directions with fewer digits, such as 1 or 0.8, are taken for exact
_ROUNDED_DIGITS = 3
# a series of which no direction has such a share of the slices is no damaged volume
_MAIN_SHARE = 0.75
# a larger distance by which a slice may be missing, as a share of the others
_LEAST_GAP = 1.5
_CONVERTER = "dcm2niix"


@dataclass(frozen=True)
class Stack:
    """Slices in their order along the normal, and where they lie.

    Attributes
    ----------
    slices
        As :class:`Slice`, ascending along the normal.
    geometry
        Place of the volume's voxels, (z, y, x).
    """

    slices: tuple[Slice, ...]
    geometry: Geometry


def why_no_volume(kind: str, slices: Sequence[Slice]) -> str:
    """Say why the slices of a series are no volume, as in localizers; empty if they may be one.

    A volume that is damaged or incomplete still is one, which :func:`stacked` refuses.

    Parameters
    ----------
    kind
        What the files are called, as in ``CT Image``.
    slices
        Of the series.
    """
    frames = slices[-1].frame + 1
    what = f"{kind} of {frames} frames: " if frames > 1 else ""
    if not any(s.position and s.orientation for s in slices):
        return (
            f"{what}no positions ({_CONVERTER} converts some)" if what else f"{kind}: no position"
        )
    if len(slices) == 1:
        return "1 slice, not a volume"
    if not all(s.position and s.orientation for s in slices):
        return ""
    directions = _count_directions(slices)
    if max(directions) < _MAIN_SHARE * len(slices):
        return f"{what}slices in {len(directions)} directions (localizer?)"
    counts = list(_count_positions(slices).values())
    if sum(count > 1 for count in counts) < _MAIN_SHARE * len(counts):
        return ""
    least, most = min(counts), max(counts)
    if least == most:
        many, why = f"{most} slices at each position", "time points, echoes, a doubled series?"
    else:
        many = f"{len(slices)} slices at {len(counts)} positions, {least} to {most} at each"
        why = "time points or echoes, of which one is not complete?"
    return f"{what}{many} ({why}); {_CONVERTER} sorts them"


def stacked(name: str, slices: Sequence[Slice], size: tuple[int, int]) -> Stack:
    """Put slices in their order.

    Parameters
    ----------
    name
        Folder or file of the series, for messages.
    slices
        In any order.
    size
        Their rows and columns.

    Raises
    ------
    SparseError
        If there are fewer than two, they are turned against each other, shifted beside the line
        along their normal (gantry tilt), doubled or missing, or their pixels differ in size.
    """
    if len(slices) < 2:
        raise SparseError(f"{name} holds {len(slices)} slice, not a volume")
    rows, columns = _directions(name, slices)
    spacing = _pixel_spacing(name, slices)
    normal = np.cross(rows, columns)
    # LPS positions, mm, in the order of the files at first
    positions = np.array([s.position for s in slices])
    order = np.argsort(positions @ normal, kind="stable")
    positions, ordered = positions[order], tuple(slices[k] for k in order)
    digit = _last_digit(slices)
    step = _step(name, ordered, positions @ normal, digit * float(np.abs(normal).sum()))
    _check_shifts(name, ordered, positions, normal, min(step, *spacing))
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([normal * step, columns * spacing[0], rows * spacing[1]])
    affine[:3, 3] = positions[0]
    return Stack(ordered, Geometry((len(slices), *size), affine))


def _count_directions(slices: Sequence[Slice]) -> list[int]:
    """Numbers of slices that are parallel to each other."""
    orientations = np.array([s.orientation for s in slices])
    normals = np.cross(orientations[:, :3], orientations[:, 3:])
    counts = []
    while len(normals):
        parallel = np.abs(normals - normals[0]).max(axis=1) < _PARALLEL
        counts.append(int(parallel.sum()))
        normals = normals[~parallel]
    return counts


def _count_positions(slices: Sequence[Slice]) -> Counter[tuple[float, ...]]:
    """Numbers of slices at each position."""
    return Counter(tuple((np.round(s.position, 3) + 0.0).tolist()) for s in slices)


def _directions(name: str, slices: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along a row and along a column, at right angles."""
    for s in slices:
        for tag, values in (("0020,0032", s.position), ("0020,0037", s.orientation)):
            if not values:
                raise SparseError(f"{s.file} has no valid DICOM tag ({tag})")
    found = np.array([s.orientation for s in slices])
    rows, columns = found[0, :3], found[0, 3:]
    lengths = np.linalg.norm([rows, columns], axis=1)
    if np.abs([*(lengths - 1), rows @ columns]).max() > 2 * _MAX_TURN:
        raise SparseError(f"{slices[0].file} has no valid DICOM tag (0020,0037)")
    turns = np.abs(found - np.median(found, axis=0)).max(axis=1)
    if np.abs(found - found[0]).max() > _MAX_TURN:
        odd = slices[int(turns.argmax())]
        raise SparseError(f"{name}: its slices are turned against each other, as {_called(odd)} is")
    rows = rows / lengths[0]
    columns = columns - (columns @ rows) * rows
    return rows, columns / np.linalg.norm(columns)


def _pixel_spacing(name: str, slices: Sequence[Slice]) -> tuple[float, float]:
    """Distance of rows, and of columns, mm."""
    first = slices[0].spacing_mm
    for s in slices:
        if not s.spacing_mm or min(s.spacing_mm) <= 0:
            raise SparseError(f"{s.file} has no valid DICOM tag (0028,0030)")
        if not np.allclose(s.spacing_mm, first, rtol=1e-3, atol=0):
            raise SparseError(
                f"{name} cannot be read: pixels of {_called(s)} have {s.spacing_mm} mm, those of "
                f"{_called(slices[0])} {first} mm"
            )
    return first[0], first[1]


def _step(name: str, slices: Sequence[Slice], along: np.ndarray, digit: float) -> float:
    """Distance between slices, mm; ``digit`` is what the last digit of their positions may move."""
    steps = np.diff(along)
    mean = float(along[-1] - along[0]) / len(steps)
    if steps.min() <= _MAX_UNEVENNESS * mean:
        raise SparseError(f"{name}: {_doubled(slices, int(steps.argmin()))}")
    rounding = min(digit, _MAX_ROUNDING * mean)
    beside = np.abs(along - along[0] - np.arange(len(along)) * mean).max()
    if (
        steps.max() - steps.min() > _MAX_UNEVENNESS * mean + 2 * rounding
        or beside > MAX_SHIFT_VOXELS * mean + rounding
    ):
        raise SparseError(
            f"{name}: distances between slices vary from {steps.min():.4g} to {steps.max():.4g} "
            f"mm{_where_they_vary(slices, steps, _MAX_UNEVENNESS * mean + 2 * rounding)}"
        )
    return mean


def _doubled(slices: Sequence[Slice], k: int) -> str:
    """Say how many slices share positions, as slices k and k + 1 do."""
    counts = list(_count_positions(slices).values())
    several = [count for count in counts if count > 1]
    example = f"{_called(slices[k])} and {_called(slices[k + 1])}"
    if len(several) <= 1:
        return f"two slices lie at the same position, {example}; is a file there twice?"
    return (
        f"{len(slices)} slices lie at {len(counts)} positions, several at the same position at "
        f"{len(several)} of them, as {example}; was a time point broken off, or are files there "
        "twice?"
    )


def _where_they_vary(slices: Sequence[Slice], steps: np.ndarray, allowed_mm: float) -> str:
    """Say where distances between slices are others than most, and what that may mean."""
    near = np.abs(steps[:, None] - steps) <= allowed_mm
    # of equally frequent distances the smallest one
    usual = min(range(len(steps)), key=lambda k: (-int(near[k].sum()), steps[k]))
    odd = np.flatnonzero(~near[usual])
    if not len(odd):
        return ", and add up to a shift"
    step = float(np.median(steps[near[usual]]))
    shares = steps[odd] / step
    whole = np.rint(shares)
    beside = np.abs(steps[odd] - whole * step)
    are_whole = bool((beside <= max(2 * allowed_mm, _MAX_ROUNDING * step)).all())
    k = int(odd[steps[odd].argmax()])
    if shares.min() >= _LEAST_GAP and (are_whole or len(odd) <= len(steps) / 4):
        lost = f" (by {int((whole - 1).sum())} steps in all)" if are_whole else ""
        return (
            f": {len(odd)} of {len(steps)} are larger than {step:.4g} mm{lost}, as between "
            f"{_called(slices[k])} and {_called(slices[k + 1])}; is a slice missing, or are these "
            "several stacks?"
        )
    first, others = int(odd[0]), f"{steps[odd].min():.4g} to {steps[odd].max():.4g} mm"
    return (
        f": {len(steps) - len(odd)} of {len(steps)} are {step:.4g} mm, others {others}, as between "
        f"{_called(slices[first])} and {_called(slices[first + 1])}; does the distance change "
        "within the series, or is a slice missing?"
    )


def _check_shifts(
    name: str, slices: Sequence[Slice], positions: np.ndarray, normal: np.ndarray, voxel_mm: float
) -> None:
    """Refuse slices that do not lie above each other, by more than what is stored can explain."""
    offsets = positions - positions[0]
    heights = offsets @ normal
    beside = np.linalg.norm(offsets - heights[:, None] * normal, axis=1)
    worst = int(beside.argmax())
    allowed = MAX_SHIFT_VOXELS * voxel_mm + min(_last_digit(slices), _MAX_ROUNDING * voxel_mm)
    digits = max(s.orientation_digits for s in slices)
    turned = 10.0**-digits * heights[-1] if digits >= _ROUNDED_DIGITS else 0.0
    if beside[worst] <= allowed + turned:
        return
    shift = f"{beside[worst]:.3g} mm ({beside[worst] / voxel_mm:.3g} voxels)"
    line = positions[0] + np.linspace(0, 1, len(slices))[:, None] * offsets[-1]
    if np.linalg.norm(positions - line, axis=1).max() > allowed:
        raise SparseError(
            f"{name}: its slices do not lie above each other: {_called(slices[worst])} is shifted "
            f"by {shift} against {_called(slices[0])}"
        )
    angle = np.degrees(np.arctan2(beside[-1], heights[-1]))
    raise SparseError(
        f"{name}: its slices are shifted against each other, the last one by {shift}: the stack is "
        f"tilted by {angle:.3g} degrees (gantry tilt?), which nnU-Net's images cannot express; "
        f"resample it first, as {_CONVERTER} does with CT"
    )


def _last_digit(slices: Sequence[Slice]) -> float:
    """What the last stored digit of the positions stands for, mm; whole numbers count as exact."""
    digits = max(s.position_digits for s in slices)
    return 10.0**-digits if digits else 0.0


def _called(one: Slice) -> str:
    return f"frame {one.frame + 1}" if one.frame else one.file.name
