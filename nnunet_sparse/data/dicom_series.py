"""DICOM series as volumes, and those of a folder that are none.

A series is named by its folder, if the folder holds no other one, or by any of its files.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.dicom_header import DicomHeader, Slice, dicom_files, read_header
from nnunet_sparse.data.dicom_pixels import read_values
from nnunet_sparse.data.dicom_stack import Stack, stacked, why_no_volume
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.data.itk_volumes import plain_type
from nnunet_sparse.system.errors import SparseError

_Key = tuple[str, str, str]
_MOST_DAMAGED = 3


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

    A file of another ImageType without a position is no slice of a series whose slices have one.

    Raises
    ------
    SparseError
        If some are damaged; the first of them are named.
    """
    series: dict[_Key, list[DicomHeader]] = {}
    others = []
    damaged: list[str] = []
    for file in sorted(files):
        try:
            header = read_header(file)
        except SparseError as error:
            damaged.append(str(error))
            continue
        if header.no_slices:
            others.append(header)
        else:
            series.setdefault(_key(header), []).append(header)
    if damaged:
        more = len(damaged) - _MOST_DAMAGED
        raise SparseError(
            "; ".join(damaged[:_MOST_DAMAGED]) + (f"; {more} more files" if more > 0 else "")
        )
    found = []
    for headers in series.values():
        placed, pages = _without_pages(headers)
        found.append(ImageSeries(_name(placed), tuple(placed)))
        others += pages
    return DicomContent(tuple(found), tuple(others))


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


def _key(header: DicomHeader) -> _Key:
    """What the files of one series share."""
    return header.series_uid, header.kind, header.stack_uid


def _without_pages(
    headers: list[DicomHeader],
) -> tuple[list[DicomHeader], list[DicomHeader]]:
    """Headers of a series without pictures that were made of it, and those, with the reason."""
    kinds = {header.image_type for header in headers if header.has_position}
    if not kinds:
        return headers, []
    is_page = [not h.has_position and h.image_type not in kinds for h in headers]
    placed = [h for h, page in zip(headers, is_page, strict=True) if not page]
    why = f"no position, in a series of {len(placed)} files that have one"
    pages = [
        replace(h, slices=(), no_slices=why)
        for h, page in zip(headers, is_page, strict=True)
        if page
    ]
    return placed, pages


def _series_of(file: Path) -> ImageSeries:
    header = read_header(file)
    if header.no_slices:
        raise SparseError(f"{file} is no volume: {header.no_slices}")
    files = _files_by_series(file.parent, file.parent.stat().st_mtime_ns).get(_key(header), ())
    content = read_content(files if file in files else dicom_files(file.parent))
    for series in content.series:
        if any(header.file == file for header in series.headers):
            return series
    reasons = [header.no_slices for header in content.others if header.file == file]
    raise SparseError(f"{file} is {'no volume: ' + reasons[0] if reasons else 'hidden'}")


@lru_cache(maxsize=4)
def _files_by_series(folder: Path, _changed_ns: int) -> dict[_Key, tuple[Path, ...]]:
    """Files of each series of a folder, in which there may be hundreds of series."""
    found: dict[_Key, list[Path]] = {}
    for file in dicom_files(folder):
        header = read_header(file)
        if not header.no_slices:
            found.setdefault(_key(header), []).append(file)
    return {key: tuple(files) for key, files in found.items()}


def _voxels(series: ImageSeries, slices: tuple[Slice, ...]) -> np.ndarray:
    """Values of a stack, (z, y, x); of a type that holds those of all slices."""
    varies = len({one.rescale for one in slices}) > 1
    if varies and any(one.rescale[0] == 0 for one in slices):
        raise SparseError(f"{series.name} cannot be read: it has slices of RescaleSlope 0")
    frames = {header.file: read_values(header) for header in series.headers}
    # not the type of the first slice, which may be too small for others
    voxels = np.stack([frames[one.file][one.frame] for one in slices])
    return voxels.astype(np.float32) if varies else voxels
