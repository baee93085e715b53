"""DICOM series as volumes, and those of a folder that are none.

A series is named by its folder, if the folder holds no other one, or by any of its files. Headers
are read with pydicom, pixels with ITK, which knows all ways of compression.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.damaged_files import first_line, reading
from nnunet_sparse.data.dicom_header import DicomHeader, Slice, dicom_files, read_header
from nnunet_sparse.data.dicom_stack import Stack, stacked, why_no_volume
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.data.itk_volumes import plain_type
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained


@dataclass(frozen=True)
class Series:
    """A folder with the files of one DICOM series.

    Attributes
    ----------
    folder
        The folder.
    uid
        SeriesInstanceUID.
    description
        SeriesDescription, stripped; empty if there is none.
    """

    folder: Path
    uid: str
    description: str


@dataclass(frozen=True)
class ImageSeries:
    """Files of a series with their headers, sorted by name; a multi-frame file is one by itself.

    Attributes
    ----------
    name
        What names the series, for messages.
    headers
        Of its files.
    """

    name: str
    headers: tuple[DicomHeader, ...]

    @property
    def file(self) -> Path:
        """The first file, which stands for the series."""
        return self.headers[0].file

    @property
    def uid(self) -> str:
        """What all its slices share, wherever they lie; empty if headers do not tell."""
        return self.headers[0].stack_uid or self.headers[0].series_uid

    @property
    def is_multi_frame(self) -> bool:
        """Whether files hold several slices."""
        return any(len(header.slices) > 1 for header in self.headers)

    @property
    def slices(self) -> list[Slice]:
        """All slices, in the order of the files."""
        return [one for header in self.headers for one in header.slices]

    @property
    def why_no_volume(self) -> str:
        """Why it is no volume at all, as localizers are none; empty if it may be one."""
        return why_no_volume(self.headers[0].kind, self.slices)

    @cached_property
    def stack(self) -> Stack:
        """The slices in their order.

        Raises
        ------
        SparseError
            If they are no volume, or not a complete one.
        """
        if self.is_multi_frame and (why := self.why_no_volume):
            raise SparseError(f"{self.name} is no volume: {why}")
        first = self.headers[0]
        for header in self.headers:
            if header.size is None or header.size != first.size:
                raise SparseError(
                    f"{self.name} cannot be read: {header.file.name} has {header.size} pixels, "
                    f"{first.file.name} {first.size}"
                )
        return stacked(self.name, self.slices, first.size or (0, 0))


@dataclass(frozen=True)
class DicomContent:
    """What DICOM files hold.

    Attributes
    ----------
    series
        Series with slices, by the names of their first files.
    others
        Headers of files without slices, which say why.
    """

    series: tuple[ImageSeries, ...]
    others: tuple[DicomHeader, ...]


def read_content(files: Iterable[Path]) -> DicomContent:
    """Sort DICOM files by their series, and by what they are: screenshots lie beside slices.

    Raises
    ------
    SparseError
        If one is damaged.
    """
    series: dict[tuple[str, str, str], list[DicomHeader]] = {}
    others = []
    for header in map(read_header, sorted(files)):
        if header.no_slices:
            others.append(header)
        else:
            key = header.series_uid, header.kind, header.stack_uid
            series.setdefault(key, []).append(header)
    return DicomContent(
        tuple(ImageSeries(_name(headers), tuple(headers)) for headers in series.values()),
        tuple(others),
    )


def open_series(source: Path) -> ImageSeries:
    """Find the series of a folder, or of a file.

    Parameters
    ----------
    source
        A folder with the images of one series, or a file: all that belongs to its series in its
        folder is meant.

    Raises
    ------
    SparseError
        If a file is damaged, the folder holds no series or several, or the file no slices.
    """
    if not source.is_dir():
        return _series_of(source)
    content = read_content(dicom_files(source))
    if len(content.series) != 1:
        other = f": {content.others[0].no_slices}" if content.others else ""
        raise SparseError(
            f"{source} holds {len(content.series)} DICOM series, expected 1"
            f"{other if not content.series else ''}"
        )
    return ImageSeries(str(source), content.series[0].headers)


def series_geometry(source: Path) -> Geometry:
    """Place of the voxels of a series, by its headers; (z, y, x).

    Raises
    ------
    SparseError
        As :func:`open_series`, and if the slices are no volume: turned or shifted against each
        other, doubled, missing, or of several sizes.
    """
    return open_series(source).stack.geometry


def read_dicom(source: Path) -> sitk.Image:
    """Read a series, whose slices are sorted along their normal.

    Slopes and intercepts are applied to each slice; where they differ the values are float32.

    Raises
    ------
    SparseError
        As :func:`series_geometry`, and if pixels cannot be read.
    """
    series = open_series(source)
    stack = series.stack
    voxels = _voxels(series, stack.slices)
    image = sitk.GetImageFromArray(voxels)
    affine = stack.geometry.affine
    if affine is not None:  # for mypy: stacks have one
        axes = affine[:3, [2, 1, 0]]
        spacing_mm = np.linalg.norm(axes, axis=0)
        image.SetSpacing(spacing_mm.tolist())
        image.SetOrigin(affine[:3, 3].tolist())
        image.SetDirection((axes / spacing_mm).ravel().tolist())
    return plain_type(image)


def is_series_folder(folder: Path) -> bool:
    """Whether a folder holds DICOM files."""
    return bool(dicom_files(folder))


def read_series(folder: Path) -> Series:
    """What the first file of a folder says about its series.

    Of a file that is no image (damaged, or such as a DICOM segmentation) only the folder's name is
    known, which serves as description.
    """
    try:
        header = read_header(dicom_files(folder)[0])
    except SparseError:
        return Series(folder, "", folder.name)
    if header.no_slices:
        return Series(folder, "", folder.name)
    return Series(folder, header.series_uid, header.description)


def _name(headers: list[DicomHeader]) -> str:
    file = headers[0].file
    return str(file) if len(headers) == 1 else f"the series of {file}"


def _series_of(file: Path) -> ImageSeries:
    header = read_header(file)
    if header.no_slices:
        raise SparseError(f"{file} is no volume: {header.no_slices}")
    for series in read_content(dicom_files(file.parent)).series:
        if any(header.file == file for header in series.headers):
            return series
    raise SparseError(f"{file} is hidden")


def _voxels(series: ImageSeries, slices: tuple[Slice, ...]) -> np.ndarray:
    """Values of a stack, (z, y, x); of a type that holds those of all slices."""
    varies = len({one.rescale for one in slices}) > 1
    if varies and any(one.rescale[0] == 0 for one in slices):
        raise SparseError(f"{series.name} cannot be read: it has slices of RescaleSlope 0")
    read = _rescaled if varies and series.is_multi_frame else _pixels
    frames = {header.file: read(header) for header in series.headers}
    # not the type of the first slice, which may be too small for others
    voxels = np.stack([frames[one.file][one.frame] for one in slices])
    return voxels.astype(np.float32) if varies else voxels


def _pixels(header: DicomHeader) -> np.ndarray:
    """Values of a file (frame, row, column), with the slope and intercept of its first frame."""
    try:
        image = sitk.ReadImage(str(header.file), imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise SparseError(f"{header.file} cannot be read: {first_line(error)}") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{header.file} holds several values per voxel")
    with reading(f"{header.file} is damaged"):
        voxels: np.ndarray = sitk.GetArrayFromImage(image)
        return voxels.reshape(len(header.slices), *(header.size or ()))


def _rescaled(header: DicomHeader) -> np.ndarray:
    """Values of a file (frame, row, column), each frame with its own slope and intercept."""
    import pydicom

    with explained(
        lambda error: (
            f"{header.file} holds frames of several slopes, and cannot be read: "
            f"{first_line(error)}; decompress it first, or convert it with dcm2niix"
        )
    ):
        stored = pydicom.dcmread(header.file).pixel_array
        stored = stored.reshape(len(header.slices), *(header.size or ()))
    slopes, intercepts = np.array([one.rescale for one in header.slices]).T[:, :, None, None]
    return np.asarray(stored * slopes + intercepts)
