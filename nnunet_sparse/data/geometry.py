"""Where the voxels of a volume lie, and which array axis its slices are stacked along.

All shapes, spacings and axes refer to the array as nnU-Net's reader returns it: (z, y, x) for
files that SimpleITK or nibabel read, whose first array axis is the file's last one. Positions are
in mm, in the LPS frame of ITK and DICOM (x to the left, y to posterior, z to superior).
"""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.system.errors import SparseError

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # row of the LPS frame the slices stack along
AXIS_CHOICES = ("auto", "0", "1", "2", *sorted(PLANES))
MAX_SHIFT_VOXELS = 0.1
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # and back


@dataclass(frozen=True)
class Geometry:
    """Shape of a volume and the affine that takes its array indices to positions.

    Attributes
    ----------
    shape
        Number of voxels along the three array axes.
    affine
        (4, 4) matrix from array indices to LPS positions in mm; None if the format has none.
    num_channels
        Number of volumes in the file, which nnU-Net takes for image channels.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None
    num_channels: int = 1

    def axis_of(self, plane: str) -> int:
        """Array axis closest to the normal of ``axial``, ``coronal`` or ``sagittal`` slices.

        Formats without directions (TIFF) count as axial stacks: axes 0, 1 and 2 are taken for
        superior, posterior and left.
        """
        row = PLANES[plane]
        if self.affine is None:
            return 2 - row
        directions = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return int(np.argmax(np.abs(directions[row])))

    def shift_voxels(self, other: "Geometry") -> float:
        """Largest distance between equal corners of two volumes of equal shape.

        The unit is the smallest spacing of this volume. Without an affine the distance is 0.
        """
        if self.affine is None or other.affine is None:
            return 0.0
        corners = np.array([[*c, 1] for c in itertools.product(*((0, n - 1) for n in self.shape))])
        distance = np.linalg.norm(corners @ (self.affine - other.affine)[:3].T, axis=1).max()
        return float(distance / np.linalg.norm(self.affine[:3, :3], axis=0).min())


def check_same_voxels(
    file: Path, geometry: Geometry, other: Path, other_geometry: Geometry, relation: str
) -> None:
    """Refuse two files that do not lie on the same voxels.

    Parameters
    ----------
    file, geometry
        One file, named first in the message.
    other, other_geometry
        The file that it belongs to.
    relation
        What the other file is to the first, for the message, as in ``its image``.

    Raises
    ------
    SparseError
        If the shapes differ, or any corner lies more than a tenth of a voxel elsewhere.
    """
    if geometry.shape != other_geometry.shape:
        raise SparseError(
            f"{file} has shape {geometry.shape} (z, y, x), {relation} {other} "
            f"{other_geometry.shape}"
        )
    if (shift := geometry.shift_voxels(other_geometry)) > MAX_SHIFT_VOXELS:
        raise SparseError(
            f"{file} lies elsewhere than {relation} {other}: origin, spacing or direction differ, "
            f"by up to {shift:.2g} voxels"
        )


def read_geometry(path: Path, reader: str) -> Geometry:
    """Geometry of an image or label file, from its header where the format has one.

    Parameters
    ----------
    path
        File in a format that nnU-Net reads.
    reader
        Class name of nnU-Net's reader, which decides on the array's axes.

    Raises
    ------
    SparseError
        If the file cannot be read or does not hold one volume.
    """
    try:
        geometry = _read_header(path, reader)
    except SparseError:
        raise
    except Exception as error:
        raise SparseError(f"{path} cannot be read as an image: {first_line(error)}") from error
    affine = geometry.affine
    if affine is not None and not (np.isfinite(affine).all() and np.linalg.det(affine)):
        raise SparseError(f"{path} has no valid position in its header: {affine.tolist()}")
    return geometry


def read_spacing(path: Path, reader: str) -> tuple[float, float, float]:
    """Distance in mm between voxels along the array axes, as nnU-Net's reader gives it.

    Raises
    ------
    SparseError
        If the file cannot be read.
    """
    affine = read_geometry(path, reader).affine
    if affine is not None:
        z, y, x = (float(mm) for mm in np.linalg.norm(affine[:3, :3], axis=0))
        return z, y, x
    from nnunet_sparse.data.label_files import spacing_file

    file = spacing_file(path)
    if not file.is_file():
        return 1.0, 1.0, 1.0
    try:
        z, y, x = (float(mm) for mm in json.loads(file.read_text(encoding="utf-8"))["spacing"])
    except (ValueError, KeyError, TypeError) as error:
        raise SparseError(f'{file} must name the "spacing" along three axes') from error
    return z, y, x


def _read_header(path: Path, reader: str) -> Geometry:
    if reader in {"SimpleITKIO", "SimpleITKIOWithReorient"}:
        return _itk_geometry(path, reorient=reader.endswith("WithReorient"))
    if reader in {"NibabelIO", "NibabelIOWithReorient"}:
        return _nibabel_geometry(path, reorient=reader.endswith("WithReorient"))
    if reader == "Tiff3DIO":
        return _tiff_geometry(path)
    raise SparseError(f"images of nnU-Net's reader {reader} cannot be handled ({path})")


def first_line(error: BaseException) -> str:
    """Say what went wrong in at most one line, for messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # SimpleITK's first line names its source file, the reason comes last
    return (lines[-1] if lines else type(error).__name__)[:200]


def _itk_geometry(path: Path, reorient: bool) -> Geometry:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if reorient:
        image: Any = sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS")
    else:
        image = sitk.ImageFileReader()
        image.SetFileName(str(path))
        image.ReadImageInformation()
    dim = image.GetDimension()
    if dim < 3:
        raise SparseError(f"{path} is a {dim}D image; slices are chosen from 3D volumes")
    direction = np.reshape(image.GetDirection(), (dim, dim))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    shape, num_channels = tuple(reversed(image.GetSize()[:3])), math.prod(image.GetSize()[3:])
    return Geometry(shape, _reverse_columns(affine), num_channels)


def _nibabel_geometry(path: Path, reorient: bool) -> Geometry:
    import nibabel

    image: Any = nibabel.load(path)
    if len(image.shape) < 3:
        raise SparseError(f"{path} is a {len(image.shape)}D image; slices are chosen from volumes")
    if reorient:
        image = image.as_reoriented(nibabel.io_orientation(image.affine))
    shape = tuple(int(n) for n in reversed(image.shape[:3]))
    affine = _reverse_columns(RAS_TO_LPS @ image.affine)
    return Geometry(shape, affine, math.prod(image.shape[3:]))


def _tiff_geometry(path: Path) -> Geometry:
    import tifffile

    with tifffile.TiffFile(path) as file:
        shape = tuple(int(n) for n in file.series[0].shape)
    if len(shape) != 3:
        raise SparseError(f"{path} is a {len(shape)}D image; slices are chosen from 3D volumes")
    return Geometry(shape, None)


def _reverse_columns(affine: np.ndarray) -> np.ndarray:
    """Let a matrix that takes (x, y, z) indices take (z, y, x) indices."""
    return affine[:, [2, 1, 0, 3]]


def resolve_axis(axis: str, geometries: dict[str, Geometry]) -> int:
    """Slice axis of a data set, one for all its cases.

    Parameters
    ----------
    axis
        One of :data:`AXIS_CHOICES`. ``auto`` means ``axial``, that is the array axis whose
        direction is closest to superior-inferior.
    geometries
        Geometry of every case, by its ID; at least one.

    Raises
    ------
    SparseError
        If an anatomical plane means different axes in different cases.
    """
    if axis.isdigit():
        return int(axis)
    plane = "axial" if axis == "auto" else axis
    found: dict[int, str] = {}
    for case_id, geometry in geometries.items():
        found.setdefault(geometry.axis_of(plane), case_id)
    if len(found) > 1:
        cases = ", ".join(f"axis {a} in {case_id}" for a, case_id in sorted(found.items()))
        raise SparseError(
            f"{plane} slices lie along different array axes: {cases}; "
            "reorient the volumes alike, or choose one with --axis 0, 1 or 2"
        )
    return next(iter(found))
