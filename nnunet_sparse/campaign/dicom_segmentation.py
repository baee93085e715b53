"""DICOM segmentations, ``CASE.dcm`` or under any other name, whose segments are called like labels.

The only module that needs highdicom.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nnunet_sparse.campaign.annotation_target import AnnotationTarget
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.same_grid import part_of
from nnunet_sparse.campaign.segment_canvas import SegmentCanvas
from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError

DICOM_ENDING = ".dcm"
_GENERIC_NAME = re.compile(r"(?:segment[ _]?)?(\d+)", re.IGNORECASE)
_MAX_NAMED = 5


def read_dicom_segmentation(target: AnnotationTarget, file: Path) -> np.ndarray:
    """Read what the segments say of slices that were asked for, and of others that they mark.

    Returns
    -------
    np.ndarray, shape (z, y, x), unsigned integers
        On the voxels of the image.

    Raises
    ------
    SparseError
        If the file cannot be read or lies elsewhere than its image, or a segment is called like no
        label or overlaps one of another label.
    """
    segmentation = _open_dicom(file)
    values = {
        int(number): _dicom_value(
            target, number, segmentation.get_segment_description(number).segment_label, file
        )
        for number in segmentation.segment_numbers
    }
    canvas = SegmentCanvas(target, file)
    for frame in _frames(segmentation, file):
        if frame.segment is None:
            canvas.paint(frame.array, values, frame.geometry)
        elif frame.segment in values:
            canvas.paint(frame.array, {1: values[frame.segment]}, frame.geometry)
        else:
            raise SparseError(f"{file} holds {frame.segment}, a segment without a name")
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
        if _lies_on(segmentation, file, AnnotationTarget(campaign, case_id).geometry)
    ]
    if len(fitting) == 1:
        return fitting[0]
    where = f"the images of {', '.join(fitting[:_MAX_NAMED])}" if fitting else "no image"
    raise SparseError(
        f"{file} lies on the voxels of {where}{' ...' if len(fitting) > _MAX_NAMED else ''}; "
        f"call it CASE{DICOM_ENDING} after the case that it belongs to"
    )


def _dicom_value(target: AnnotationTarget, number: int, name: str, file: Path) -> int:
    """Label of a segment's name, or its number if the name says no more than that."""
    generic = _GENERIC_NAME.fullmatch(name.strip())
    numbered = generic and int(generic[1]) == number and number in target.foreground
    if numbered and target.find_value(name) is None:
        return number
    return target.value_of(name, file)


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


def _lies_on(segmentation: Any, file: Path, geometry: Geometry) -> bool:
    for frame in _frames(segmentation, file):
        try:
            part_of(frame.array, frame.geometry, geometry)
        except SparseError:
            return False
    return True
