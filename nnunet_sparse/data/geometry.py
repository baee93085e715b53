"""Where the voxels of a volume lie, and which array axis its slices are stacked along.

All shapes, spacings and axes refer to the array as nnU-Net's reader returns it: (z, y, x) for
files that SimpleITK or nibabel read, whose first array axis is the file's last one. Positions are
in mm, in the LPS frame of ITK and DICOM (x to the left, y to posterior, z to superior).
"""

import itertools
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.data.affines import (
    RAS_TO_LPS,
    is_valid,
    itk_affine,
    reverse_columns,
    straightened,
)
from nnunet_sparse.data.claimed_size import check_claim
from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.data.label_files import IMAGE_READER, TIFF_READER, is_nifti, spacing_file
from nnunet_sparse.data.nifti_files import open_nifti
from nnunet_sparse.data.nifti_readings import ITK, NIBABEL, NiftiReadings, read_readings
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json

if TYPE_CHECKING:
    import SimpleITK as sitk

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # row of the LPS frame the slices stack along
AXIS_CHOICES = ("auto", "0", "1", "2", *sorted(PLANES))
MAX_SHIFT_VOXELS = 0.1


class FlatImageError(SparseError):
    """An image of two dimensions, of which nnU-Net reads no position."""


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
    readings
        What other programs than nnU-Net may take for the affine.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None
    num_channels: int = 1
    readings: NiftiReadings = field(default_factory=NiftiReadings, compare=False)

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Distance between voxels along the array axes; None if the format has none."""
        if self.affine is None:
            return None
        z, y, x = (float(mm) for mm in np.linalg.norm(self.affine[:3, :3], axis=0))
        return z, y, x

    @property
    def is_sheared(self) -> bool:
        """Whether axes are not at right angles, by more than a tenth of a voxel at a corner."""
        if self.affine is None:
            return False
        straight = replace(self, affine=straightened(self.affine))
        return self.shift_voxels(straight) > MAX_SHIFT_VOXELS

    def as_read_by(self, reading: str) -> "Geometry":
        """The same voxels where a program with another reading of NIfTI headers sees them."""
        return replace(self, affine=self.readings.affines.get(reading, self.affine))

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
        if self.affine is None or other.affine is None or self.spacing_mm is None:
            return 0.0
        corners = np.array([[*c, 1] for c in itertools.product(*((0, n - 1) for n in self.shape))])
        distance = np.linalg.norm(corners @ (self.affine - other.affine)[:3].T, axis=1).max()
        return float(distance / min(self.spacing_mm))


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
    check_claim(path)
    with reading(f"{path} cannot be read as an image"):
        geometry = _read_header(path, reader)
        affine = geometry.affine
        if affine is not None and not is_valid(affine):
            raise SparseError(f"{path} has no valid position in its header: {affine.tolist()}")
        return _with_readings(geometry, path, reader) if is_nifti(path) else geometry


def read_spacing(image: Path, reader: str) -> tuple[float, float, float]:
    """Distance in mm between an image's voxels along the array axes, as nnU-Net's reader gives it.

    Raises
    ------
    SparseError
        If the file cannot be read.
    """
    return spacing_of(read_geometry(image, reader), spacing_file(image))


def spacing_of(geometry: Geometry, beside: Path) -> tuple[float, float, float]:
    """Distance in mm between voxels along the array axes.

    Parameters
    ----------
    geometry
        What the image or label file says itself.
    beside
        JSON file in which nnU-Net looks for the spacing of formats that cannot hold it; without it
        the spacing is 1.

    Raises
    ------
    SparseError
        If the JSON file is needed and does not name a spacing.
    """
    if (spacing := geometry.spacing_mm) is not None:
        return spacing
    if not beside.is_file():
        return 1.0, 1.0, 1.0
    try:
        z, y, x = (float(mm) for mm in load_json(beside)["spacing"])
        if not all(map(math.isfinite, (z, y, x))):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise SparseError(f'{beside} must name the "spacing" along three axes') from error
    return z, y, x


def _read_header(path: Path, reader: str) -> Geometry:
    if reader in {"SimpleITKIO", "SimpleITKIOWithReorient"}:
        return _itk_geometry(path, reorient=reader.endswith("WithReorient"))
    if reader in {"NibabelIO", "NibabelIOWithReorient"}:
        return _nibabel_geometry(path, reorient=reader.endswith("WithReorient"))
    if reader == TIFF_READER:
        return _tiff_geometry(path)
    if reader == IMAGE_READER:
        raise FlatImageError(f"{path} is a 2D image; slices are chosen from 3D volumes")
    raise SparseError(f"images of nnU-Net's reader {reader} cannot be handled ({path})")


def _with_readings(geometry: Geometry, path: Path, reader: str) -> Geometry:
    """Geometry with all readings, brought to the order in which the reader gives the voxels."""
    readings = read_readings(path, geometry.affine if reader == "SimpleITKIO" else None)
    name = ITK if reader.startswith("SimpleITK") else NIBABEL
    if geometry.affine is None or name not in readings.affines:
        return geometry
    turn = np.linalg.solve(readings.affines[name], geometry.affine)
    affines = {other: affine @ turn for other, affine in readings.affines.items()}
    return replace(geometry, readings=replace(readings, affines={**affines, name: geometry.affine}))


def _itk_geometry(path: Path, reorient: bool) -> Geometry:
    import SimpleITK as sitk

    from nnunet_sparse.data.itk_files import itk_reader

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    header = itk_reader(path)
    header.ReadImageInformation()
    dim = header.GetDimension()
    if dim < 3:
        raise FlatImageError(f"{path} is a {dim}D image; slices are chosen from 3D volumes")
    if header.GetPixelID() in {sitk.sitkComplexFloat32, sitk.sitkComplexFloat64}:
        raise SparseError(f"{path} does not hold numbers but complex ones")
    if (num_values := header.GetNumberOfComponents()) != 1:
        raise SparseError(
            f"{path} holds several values per voxel ({num_values}), not the intensities of a volume"
        )
    if not reorient:
        return geometry_of(header)
    return geometry_of(sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS"))


def geometry_of(image: "sitk.Image | sitk.ImageFileReader") -> Geometry:
    """Geometry of an image of ITK with at least three dimensions, or of a header it has read."""
    shape, num_channels = tuple(reversed(image.GetSize()[:3])), math.prod(image.GetSize()[3:])
    return Geometry(shape, reverse_columns(itk_affine(image)), num_channels)


def _nibabel_geometry(path: Path, reorient: bool) -> Geometry:
    import nibabel

    image = open_nifti(path)
    if len(image.shape) < 3:
        raise FlatImageError(
            f"{path} is a {len(image.shape)}D image; slices are chosen from volumes"
        )
    if reorient:
        image = image.as_reoriented(nibabel.io_orientation(image.affine))
    shape = tuple(int(n) for n in reversed(image.shape[:3]))
    affine = reverse_columns(RAS_TO_LPS @ image.affine)
    return Geometry(shape, affine, math.prod(image.shape[3:]))


def _tiff_geometry(path: Path) -> Geometry:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            shape = tuple(int(n) for n in file.series[0].shape)
    except TypeError as error:  # tags of another type
        raise ValueError(f"damaged tags: {error}") from error
    if len(shape) != 3:
        raise FlatImageError(f"{path} is a {len(shape)}D image; slices are chosen from 3D volumes")
    return Geometry(shape, None)


def check_axis(axis: str) -> None:
    """Refuse an unknown slice axis.

    Raises
    ------
    SparseError
        Naming the choices.
    """
    if axis not in AXIS_CHOICES:
        raise SparseError(f"unknown axis {axis!r}, choose from {', '.join(AXIS_CHOICES)}")


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
