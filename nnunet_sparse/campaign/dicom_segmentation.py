"""DICOM segmentations, ``CASE.dcm`` or under any other name, whose segments are called like labels.

The only module that needs highdicom.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase, first_few
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.same_grid import part_of
from nnunet_sparse.campaign.segment_canvas import SegmentCanvas
from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.dicom_header import DICOM_ENDING
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

_GENERIC_NAME = re.compile(r"(?:segment[ _]?)?(\d+)", re.IGNORECASE)


def read_dicom_segmentation(case: AnnotatedCase, file: Path) -> np.ndarray:
    """Read the segments as the annotation of the slices asked for, and of others they reach into.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        On the voxels of the image.

    Raises
    ------
    SparseError
        If the file cannot be read or lies elsewhere than its image, or a segment with
        voxels is called like no label or overlaps one of another label.
    """
    segmentation = _open_dicom(file)
    values = {
        int(number): _dicom_value(
            case, number, segmentation.get_segment_description(number).segment_label, file
        )
        for number in segmentation.segment_numbers
    }
    canvas = SegmentCanvas(case, file)
    for frame in _frames(segmentation, file):
        canvas.paint(frame.segments, values, frame.geometry)
    return canvas.label()


def find_case(file: Path, campaign: Campaign) -> str:
    """Find the case on the voxels of whose image a segmentation lies.

    Raises
    ------
    SparseError
        If the file cannot be read, or there is no such case or more than one.
    """
    segmentation = _open_dicom(file)
    fitting = [
        case_id
        for case_id in sorted(campaign.volumes)
        if _lies_on(segmentation, file, AnnotatedCase(campaign, case_id).geometry)
    ]
    if len(fitting) == 1:
        return fitting[0]
    where = f"the images of {first_few(fitting)}" if fitting else "no image"
    raise SparseError(
        f"{file} lies on the voxels of {where}; call it CASE{DICOM_ENDING} after the case that it "
        "belongs to"
    )


def _dicom_value(case: AnnotatedCase, number: int, name: str, file: Path) -> int | SparseError:
    """Label of a segment's name, or its number if the name says no more than that."""
    generic = _GENERIC_NAME.fullmatch(name.strip())
    numbered = generic and int(generic[1]) == number and number in case.foreground
    if numbered and case.find_value(name) is None:
        return number
    return case.value_of(name, file)


def _open_dicom(file: Path) -> "Segmentation":
    """Open a segmentation of any type."""
    seg = _highdicom().seg
    with explained(
        lambda error: f"{file} cannot be read as a DICOM segmentation: {first_line(error)}"
    ):
        segmentation: Segmentation = seg.segread(file)
        kind = segmentation.segmentation_type.value
    if kind not in {"BINARY", "FRACTIONAL", "LABELMAP"}:
        raise SparseError(f"{file} is a {kind} segmentation, which is not known")
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
    """A stored plane: numbers of segments, (1, row, column), 0 for none, and where it lies."""

    segments: np.ndarray
    geometry: Geometry


def _frames(segmentation: "Segmentation", file: Path) -> Iterator[_Frame]:
    """Read the planes that are stored, each with the position in its own header.

    Files of sparse annotation store a few planes only, between which no spacing can be measured.
    """
    for index in range(segmentation.number_of_frames):
        yield _frame(segmentation, index, file)


def _frame(segmentation: "Segmentation", index: int, file: Path) -> _Frame:
    transformer = _highdicom().spatial.PixelToReferenceTransformer
    with explained(lambda error: f"{file}: frame {index + 1} is damaged: {first_line(error)}"):
        segments = segmentation.get_stored_frame(index, as_index=True)[None]
        affine = transformer.for_image(segmentation, frame_number=index + 1).affine
        if segmentation.segmentation_type.value != "LABELMAP":  # a mask of one segment
            _check_whole(segmentation, segments, file)
            segments = np.where(segments != 0, _segment_number(segmentation, index), 0)
    # highdicom's indices are column, row and slice
    return _Frame(segments, Geometry(segments.shape, affine[:, [2, 1, 0, 3]]))


def _check_whole(segmentation: "Segmentation", segments: np.ndarray, file: Path) -> None:
    """Refuse shares of voxels; programs also write whole voxels as shares (FRACTIONAL)."""
    if segmentation.segmentation_type.value != "FRACTIONAL":
        return
    full = int(segmentation.MaximumFractionalValue)
    parts = segments[(segments != 0) & (segments != full)]
    if parts.size:
        raise SparseError(
            f"{file} is a FRACTIONAL segmentation with shares of voxels ({parts[0]} of {full}); "
            "save it as BINARY or LABELMAP"
        )


def _segment_number(segmentation: "Segmentation", index: int) -> int:
    groups = segmentation.PerFrameFunctionalGroupsSequence[index]
    if "SegmentIdentificationSequence" not in groups:
        groups = segmentation.SharedFunctionalGroupsSequence[0]
    return int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _lies_on(segmentation: "Segmentation", file: Path, geometry: Geometry) -> bool:
    for frame in _frames(segmentation, file):
        try:
            part_of(frame.segments, frame.geometry, geometry)
        except SparseError:
            return False
    return True
