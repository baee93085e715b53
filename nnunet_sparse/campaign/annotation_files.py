"""What annotators hand back for the cases of a campaign, as labels on the voxels of the images.

A case is annotated by one of four kinds of files in a folder::

    CASE.nii.gz            volume: a label; also .nii, .nrrd, .mha, .mhd, .gipl
    CASE_slice012.png      slices: the mask of one slice each, counted from 0 along the campaign's
                           axis; also .tif, .tiff, .bmp, and the formats of volumes
    CASE.seg.nrrd          slicer: a segmentation of 3D Slicer
    CASE.dcm, CASE/*.dcm   dicom: a DICOM segmentation; under any other name it belongs to the one
                           image on whose voxels it lies

Volumes say for each voxel whether it is annotated. Masks decide on their slices; asked slices
without one are background, as they were handed out. Segmentations decide on the slices that were
asked for, and on others in which they mark a label.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.same_grid import Region, part_of
from nnunet_sparse.errors import SparseError
from nnunet_sparse.geometry import Geometry, first_line, read_geometry
from nnunet_sparse.label_io import _to_integers, check_complete, is_nifti, label_dtype, read_label

Kind = Literal["volume", "slices", "slicer", "dicom"]

_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".gipl")
_PICTURES = (".png", ".tif", ".tiff", ".bmp")
_SLICER, _DICOM = ".seg.nrrd", ".dcm"
_ENDINGS = (_SLICER, _DICOM, *_VOLUMES, *_PICTURES)  # .seg.nrrd before .nrrd
_VOXELS_OF_MHD = {".raw", ".zraw"}
_NO_ANNOTATION = {".txt", ".csv", ".html", ".json"}
_SLICE = re.compile(r"(.+)_slice(\d+)")
_GENERIC_NAME = re.compile(r"(?:segment[ _]?)?(\d+)", re.IGNORECASE)
# what Pillow multiplies grey values of 2 and 4 bits by
_GREY_FACTORS = {"L;2": 85, "L;4": 17}
_WHITE = 255
_GIPL_HEADER = 256
_MAX_NAMED = 5


@dataclass(frozen=True)
class AnnotationFiles:
    """Files that annotate one case.

    Attributes
    ----------
    kind
        How they are read.
    files
        One file, or one for each slice.
    slices
        Index of the slice that each file is the mask of; empty for other kinds.
    """

    kind: Kind
    files: tuple[Path, ...]
    slices: tuple[int, ...] = ()


@dataclass(frozen=True)
class FoundAnnotations:
    """Annotations in a folder.

    Attributes
    ----------
    cases
        By case ID, sorted.
    unknown
        Files and folders that belong to no case of the campaign.
    """

    cases: dict[str, AnnotationFiles]
    unknown: list[Path]


def find_annotations(campaign: Campaign, folder: Path | None = None) -> FoundAnnotations:
    """Find the files that annotate the cases of a campaign.

    Hidden files, texts, tables and pages are passed over. Only DICOM segmentations that are not
    named after a case are opened.

    Parameters
    ----------
    campaign
        The campaign.
    folder
        Where to look; by default the campaign's ``labels``.

    Raises
    ------
    SparseError
        If there is no such folder, a case or a slice has several annotations, or a DICOM
        segmentation belongs to no image or to several.
    """
    folder = folder or campaign.folder / "labels"
    if not folder.is_dir():
        raise SparseError(f"{folder} is no folder; annotations are looked for in one")
    matches: dict[str, list[_Match]] = {}
    unknown = []
    for path in sorted(folder.iterdir()):
        if _passed_over(path):
            continue
        if match := _match(path, campaign):
            matches.setdefault(match.case_id, []).append(match)
        else:
            unknown.append(path)
    return FoundAnnotations({c: _one_annotation(matches[c]) for c in sorted(matches)}, unknown)


def read_annotation(campaign: Campaign, case_id: str, annotation: AnnotationFiles) -> np.ndarray:
    """Read what a case's annotators say.

    Parameters
    ----------
    campaign
        The campaign.
    case_id
        A case of the campaign.
    annotation
        Its files, from :func:`find_annotations`.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        Labels on the voxels of the case's image, the campaign's ignore label where nothing is said.

    Raises
    ------
    SparseError
        If a file cannot be read, lies elsewhere than its image, or holds a label that the campaign
        does not have; with the file and the reason.
    """
    return _READERS[annotation.kind](_Target(campaign, case_id), annotation)


@dataclass(frozen=True)
class _Match:
    """A file, the case that it belongs to, and the slice of which it is the mask."""

    case_id: str
    file: Path
    kind: Kind
    number: int | None = None

    @property
    def place(self) -> str:
        return self.case_id if self.number is None else f"slice {self.number} of {self.case_id}"


def _passed_over(path: Path) -> bool:
    if path.name.startswith(".") or path.suffix.lower() in _NO_ANNOTATION:
        return True
    return path.suffix in _VOXELS_OF_MHD and path.with_suffix(".mhd").exists()


def _match(path: Path, campaign: Campaign) -> _Match | None:
    if path.is_dir():
        file = _only_dicom(path) if path.name in campaign.volumes else None
        return _Match(path.name, file, "dicom") if file else None
    ending = next((e for e in _ENDINGS if path.name.endswith(e)), "")
    stem = path.name.removesuffix(ending)
    if ending == _DICOM:
        return _Match(stem if stem in campaign.volumes else _case_of(path, campaign), path, "dicom")
    if stem in campaign.volumes and ending == _SLICER:
        return _Match(stem, path, "slicer")
    if stem in campaign.volumes and ending in _VOLUMES:
        return _Match(stem, path, "volume")
    found = _SLICE.fullmatch(stem)
    if found and found[1] in campaign.volumes and ending in {*_VOLUMES, *_PICTURES}:
        return _Match(found[1], path, "slices", int(found[2]))
    return None


def _only_dicom(folder: Path) -> Path | None:
    files = sorted(f for f in folder.iterdir() if f.suffix == _DICOM and not _passed_over(f))
    if len(files) > 1:
        raise SparseError(
            f"{folder} holds {len(files)} DICOM files ({files[0].name}, {files[1].name} ...), "
            "expected one segmentation"
        )
    return files[0] if files else None


def _one_annotation(matches: list[_Match]) -> AnnotationFiles:
    """Refuse two kinds of files, and two files that say something of the same voxels."""
    first = matches[0]
    masks: dict[int | None, _Match] = {}
    for match in matches:
        other = masks.setdefault(match.number, match) if match.kind == first.kind else first
        if other is not match:
            place = match.place if match.kind == first.kind else match.case_id
            raise SparseError(f"{other.file} and {match.file} both annotate {place}; keep one")
    ordered = sorted(matches, key=lambda match: match.number or 0)
    numbers = tuple(match.number for match in ordered if match.number is not None)
    return AnnotationFiles(first.kind, tuple(match.file for match in ordered), numbers)


@dataclass(frozen=True)
class _Target:
    """The image of a case, and what may be said of it."""

    campaign: Campaign
    case_id: str

    @property
    def image(self) -> Path:
        return self.campaign.image_files(self.case_id)[0]

    @cached_property
    def geometry(self) -> Geometry:
        return read_geometry(self.image, self.reader)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.geometry.shape

    @property
    def reader(self) -> str:
        return self.campaign.images.reader()

    @property
    def axis(self) -> int:
        return self.campaign.axis

    @property
    def ignore(self) -> int:
        return self.campaign.ignore_label

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of every value that an annotation may hold."""
        labels = self.campaign.dataset["labels"]
        background = next((name for name, value in labels.items() if value == 0), "background")
        return {0: background, **self.campaign.label_names, self.ignore: "ignore"}

    @property
    def foreground(self) -> list[int]:
        """All values but background and ignore."""
        return list(self.campaign.label_names)

    @property
    def asked(self) -> list[int]:
        return list(self.campaign.asked(self.case_id))

    @property
    def dtype(self) -> np.dtype[Any]:
        return label_dtype(np.dtype(np.uint8), self.ignore)

    def prefilled(self) -> np.ndarray:
        """Background on the slices that were asked for, ignore elsewhere."""
        label = np.full(self.shape, self.ignore, self.dtype)
        np.moveaxis(label, self.axis, 0)[self.asked] = 0
        return label

    def place(self, array: np.ndarray, geometry: Geometry, file: Path) -> tuple[Region, np.ndarray]:
        """Find the part of the image that a file's voxels cover."""
        try:
            return part_of(array, geometry, self.geometry)
        except SparseError as error:
            raise self.elsewhere(file, str(error)) from error

    def elsewhere(self, file: Path, reason: str) -> SparseError:
        return SparseError(f"{file} lies elsewhere than its image {self.image}: {reason}")

    def check_values(self, label: np.ndarray, file: Path) -> None:
        """Refuse values that mean nothing."""
        unknown = np.unique(label[~np.isin(label, list(self.names))])
        if len(unknown):
            values = ", ".join(map(str, unknown[:_MAX_NAMED]))
            more = " ..." if len(unknown) > _MAX_NAMED else ""
            allowed = ", ".join(f"{value} ({name})" for value, name in self.names.items())
            raise SparseError(f"{file} holds the values {values}{more}; allowed are {allowed}")


def _read_whole(target: _Target, annotation: AnnotationFiles) -> np.ndarray:
    (file,) = annotation.files
    array, geometry = _read_volume(file, target.reader)
    if sorted(array.shape) != sorted(target.shape):
        raise SparseError(
            f"{file} has shape {array.shape} (z, y, x), its image {target.image} {target.shape}"
        )
    target.check_values(array, file)
    _, label = target.place(array, geometry, file)
    if label.shape != target.shape:
        raise target.elsewhere(file, f"it covers {label.size} of {array.size} voxels")
    return np.ascontiguousarray(label, target.dtype)


def _read_volume(file: Path, reader: str) -> tuple[np.ndarray, Geometry]:
    """Whole numbers and where they lie."""
    from nnunet_sparse.dataset_tools.convert.volumes import geometry_of, read_volume

    if is_nifti(file):
        check_complete(file)
        return read_label(file, reader), read_geometry(file, reader)
    image = read_volume(file)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SparseError(f"{file} holds several values per voxel, a label has one")
    array = _voxels(image)
    if file.suffix == ".gipl" and file.stat().st_size < _GIPL_HEADER + array.nbytes:
        raise SparseError(f"{file} is truncated")  # ITK reads it all the same
    return _integers(array, file), geometry_of(image)


def _read_slices(target: _Target, annotation: AnnotationFiles) -> np.ndarray:
    label = target.prefilled()
    slices = np.moveaxis(label, target.axis, 0)
    for file, number in zip(annotation.files, annotation.slices, strict=True):
        if number >= len(slices):
            raise SparseError(f"{file}: the slices of {target.image} are 0 to {len(slices) - 1}")
        read = _read_picture if file.suffix in _PICTURES else _read_single_slice
        mask = _with_white(target, read(target, file, number))
        target.check_values(mask, file)
        slices[number] = mask
    return label


def _with_white(target: _Target, mask: np.ndarray) -> np.ndarray:
    """White is the label if there is but one and nothing else is drawn."""
    values = set(np.unique(mask).tolist())
    if _WHITE in values <= {0, _WHITE} and len(target.foreground) == 1:
        return np.where(mask == _WHITE, target.foreground[0], 0)
    return mask


def _read_single_slice(target: _Target, file: Path, number: int) -> np.ndarray:
    """Slice of a file that says itself where it lies, which must be where its name says."""
    array, geometry = _read_volume(file, target.reader)
    if min(array.shape) != 1:
        raise SparseError(f"{file} has shape {array.shape} (z, y, x), expected a single slice")
    region, part = target.place(array, geometry, file)
    wanted = [slice(0, n) for n in target.shape]
    wanted[target.axis] = slice(number, number + 1)
    if part.size and region[target.axis] != wanted[target.axis]:
        place = f"slice {region[target.axis].start} of axis {target.axis}"
        raise SparseError(f"{file}: the header says that it is {place}, the name {number}")
    if list(region) != wanted:
        raise target.elsewhere(file, f"it covers {part.size} voxels of slice {number}")
    return part.squeeze(target.axis)


def _read_picture(target: _Target, file: Path, _: int) -> np.ndarray:
    """Values of a picture, (rows, columns); of a palette the indices."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            count, factor = getattr(picture, "n_frames", 1), _grey_factor(picture)
            opaque = not picture.mode.endswith("A")
            pixels = np.asarray(picture)
    except Exception as error:
        raise SparseError(f"{file} cannot be read as a picture: {first_line(error)}") from error
    if count != 1:
        raise SparseError(f"{file} holds {count} pictures, a mask is one")
    if pixels.ndim == 3:
        pixels = _grey(pixels, opaque, file)
    rows, columns = (n for axis, n in enumerate(target.shape) if axis != target.axis)
    if pixels.shape != (rows, columns):
        turned = "; it is transposed" if pixels.shape == (columns, rows) else ""
        raise SparseError(
            f"{file} has {pixels.shape[0]} rows and {pixels.shape[1]} columns, a slice of "
            f"{target.image} has {rows} and {columns}{turned}"
        )
    return _integers(pixels, file) // factor


def _grey_factor(picture: Any) -> int:
    mode = picture.tile[0][3] if picture.tile else ""
    return _GREY_FACTORS.get(mode if isinstance(mode, str) else mode[0], 1)


def _grey(pixels: np.ndarray, opaque: bool, file: Path) -> np.ndarray:
    """One of several equal channels."""
    channels = pixels if opaque else pixels[..., :-1]
    if (channels != channels[..., :1]).any():
        raise SparseError(
            f"{file} is coloured; the values of a mask are labels: save it in grey or with a "
            "palette"
        )
    if not opaque and (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
        raise SparseError(f"{file} is transparent in places; the values of a mask are labels")
    return channels[..., 0]


class _Canvas:
    """Labels that segments give to the voxels of an image; 0 is nothing, n + 1 the label n."""

    def __init__(self, target: _Target, file: Path) -> None:
        self._target, self._file = target, file
        self._codes = np.zeros(target.shape, label_dtype(np.dtype(np.uint8), target.ignore + 1))
        self._num_conflicts = 0

    def paint(self, segments: np.ndarray, values: dict[int, int], geometry: Geometry) -> None:
        """Add an array of numbers of segments; ``values`` has the label of each."""
        codes = np.zeros(segments.shape, self._codes.dtype)
        for number, value in values.items():
            codes[segments == number] = value + 1
        nameless = segments[(codes == 0) & (segments != 0)]
        if nameless.size:
            raise SparseError(f"{self._file} holds {nameless[0]}, a segment without a name")
        region, part = self._target.place(codes, geometry, self._file)
        before = self._codes[region]
        conflicts = (before != 0) & (part != 0) & (before != part)
        self._num_conflicts += int(np.count_nonzero(conflicts))
        np.copyto(before, part, where=part != 0)

    def label(self) -> np.ndarray:
        """Labels on slices that were asked for or have one, ignore elsewhere."""
        target = self._target
        if self._num_conflicts:
            raise SparseError(
                f"{self._file}: segments of different labels overlap on {self._num_conflicts} "
                "voxels; a voxel has one label"
            )
        other_axes = tuple(axis for axis in range(3) if axis != target.axis)
        foreground = np.isin(self._codes, [value + 1 for value in target.foreground])
        marked = np.asarray(foreground.any(axis=other_axes))
        marked[target.asked] = True
        label = target.prefilled()
        said = np.where(self._codes == 0, 0, self._codes - 1).astype(label.dtype)
        np.moveaxis(label, target.axis, 0)[marked] = np.moveaxis(said, target.axis, 0)[marked]
        return label


def _read_slicer(target: _Target, annotation: AnnotationFiles) -> np.ndarray:
    from nnunet_sparse.dataset_tools.convert.segments import _segments
    from nnunet_sparse.dataset_tools.convert.volumes import geometry_of, read_volume

    (file,) = annotation.files
    image = read_volume(file)
    layers = _voxels(image).reshape(*reversed(image.GetSize()), -1)  # [z, y, x, layer]
    values: list[dict[int, int]] = [{} for _ in range(layers.shape[-1])]
    for segment in _segments(image, file):
        value = _named_value(target, segment.name, file)
        if not 0 <= segment.layer < len(values):
            raise SparseError(f"{file}: segment {segment.name!r} lies in a missing layer")
        if values[segment.layer].setdefault(segment.value, value) != value or segment.value == 0:
            raise SparseError(f"{file}: segment {segment.name!r} has no value of its own")
        values[segment.layer][segment.value] = value
    canvas = _Canvas(target, file)
    for layer, numbers in enumerate(values):
        canvas.paint(_integers(layers[..., layer], file), numbers, geometry_of(image))
    return canvas.label()


def _named_value(target: _Target, name: str, file: Path) -> int:
    """Label of a segment's name."""
    value = _find_name(target, name)
    if value is None:
        raise SparseError(
            f"{file}: segment {name!r} is none of the labels; they are called "
            f"{', '.join(map(repr, target.names.values()))}"
        )
    return value


def _find_name(target: _Target, name: str) -> int | None:
    """Label of a name, in other letters only if no label has the very same; None if unclear."""
    equal = [value for value, other in target.names.items() if other == name]
    similar = [value for value, other in target.names.items() if _fold(other) == _fold(name)]
    found = equal or similar
    return found[0] if len(found) == 1 else None


def _fold(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def _read_dicom(target: _Target, annotation: AnnotationFiles) -> np.ndarray:
    (file,) = annotation.files
    segmentation = _open_dicom(file)
    values = {
        int(number): _dicom_value(
            target, number, segmentation.get_segment_description(number).segment_label, file
        )
        for number in segmentation.segment_numbers
    }
    canvas = _Canvas(target, file)
    for frame in _frames(segmentation, file):
        if frame.segment is None:
            canvas.paint(frame.array, values, frame.geometry)
        elif frame.segment in values:
            canvas.paint(frame.array, {1: values[frame.segment]}, frame.geometry)
        else:
            raise SparseError(f"{file} holds {frame.segment}, a segment without a name")
    return canvas.label()


def _dicom_value(target: _Target, number: int, name: str, file: Path) -> int:
    """Label of a segment's name, or its number if the name says no more than that."""
    generic = _GENERIC_NAME.fullmatch(name.strip())
    numbered = generic and int(generic[1]) == number and number in target.foreground
    if numbered and _find_name(target, name) is None:
        return number
    return _named_value(target, name, file)


def _open_dicom(file: Path) -> Any:
    """A ``highdicom.seg.Segmentation`` whose voxels are in a segment or not."""
    seg = _highdicom().seg
    try:
        segmentation = seg.segread(file)
        kind = segmentation.segmentation_type.value
    except Exception as error:
        raise SparseError(
            f"{file} cannot be read as a DICOM segmentation: {first_line(error)}"
        ) from error
    if kind not in {"BINARY", "LABELMAP"}:
        raise SparseError(f"{file} is a {kind} segmentation, expected BINARY or LABELMAP")
    return segmentation


def _highdicom() -> ModuleType:
    try:
        import highdicom
    except ImportError as error:
        raise SparseError(
            'DICOM segmentations need highdicom: pip install "nnunet-sparse[dicom]"'
        ) from error
    return highdicom


@dataclass(frozen=True)
class _Frame:
    """A stored plane, (1, row, column): a mask of a segment, or numbers of segments (None)."""

    array: np.ndarray
    geometry: Geometry
    segment: int | None


def _frames(segmentation: Any, file: Path) -> Iterator[_Frame]:
    """Read the planes that are stored, each with its own place.

    Of a sparse annotation all but a few planes are left out, so that the distance of the slices
    cannot be told from those that are there.
    """
    place = _highdicom().spatial.PixelToReferenceTransformer
    binary = segmentation.segmentation_type.value == "BINARY"
    for index in range(segmentation.number_of_frames):
        try:
            array = segmentation.get_stored_frame(index, as_index=True)[None]
            affine = place.for_image(segmentation, frame_number=index + 1).affine
            number = _segment_number(segmentation, index) if binary else None
        except Exception as error:
            reason = first_line(error)
            raise SparseError(f"{file}: frame {index + 1} is damaged: {reason}") from error
        # highdicom's indices are column, row and slice
        yield _Frame(array, Geometry(array.shape, affine[:, [2, 1, 0, 3]]), number)


def _segment_number(segmentation: Any, index: int) -> int:
    groups = segmentation.PerFrameFunctionalGroupsSequence[index]
    if "SegmentIdentificationSequence" not in groups:
        groups = segmentation.SharedFunctionalGroupsSequence[0]
    return int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _case_of(file: Path, campaign: Campaign) -> str:
    """The one case on the voxels of whose image a DICOM segmentation lies."""
    segmentation = _open_dicom(file)
    fitting = [
        case_id
        for case_id in sorted(campaign.volumes)
        if _lies_on(segmentation, file, _Target(campaign, case_id).geometry)
    ]
    if len(fitting) == 1:
        return fitting[0]
    where = f"the images of {', '.join(fitting[:_MAX_NAMED])}" if fitting else "no image"
    raise SparseError(
        f"{file} lies on the voxels of {where}{' ...' if len(fitting) > _MAX_NAMED else ''}; "
        f"call it CASE{_DICOM} after the case that it belongs to"
    )


def _lies_on(segmentation: Any, file: Path, geometry: Geometry) -> bool:
    for frame in _frames(segmentation, file):
        try:
            part_of(frame.array, frame.geometry, geometry)
        except SparseError:
            return False
    return True


def _voxels(image: Any) -> np.ndarray:
    import SimpleITK as sitk

    return np.asarray(sitk.GetArrayFromImage(image))


def _integers(array: np.ndarray, file: Path) -> np.ndarray:
    return array if array.dtype.kind in "iu" else _to_integers(array, file)


_READERS: dict[Kind, Callable[[_Target, AnnotationFiles], np.ndarray]] = {
    "volume": _read_whole,
    "slices": _read_slices,
    "slicer": _read_slicer,
    "dicom": _read_dicom,
}
