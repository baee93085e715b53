"""Segments of a segmentation that 3D Slicer has written (``.seg.nrrd``).

Each segment has a name, a label value and, where segments overlap, a layer: one of the values of
each voxel. The header says which is which (``Segment0_Name``, ``Segment0_LabelValue``,
``Segment0_Layer``), and it differs from file to file. Up to version 4.10 each segment had a layer
of its own, with the value 1, and the header named neither.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.data.itk_volumes import read_itk_volume, to_label
from nnunet_sparse.system.errors import SparseError

_KEY = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")


@dataclass(frozen=True)
class Segment:
    """A segment; its layer counts from 0."""

    name: str
    value: int
    layer: int


def read_segment(path: Path, pattern: str) -> sitk.Image:
    """Read one segment as a mask.

    Parameters
    ----------
    path
        File of 3D Slicer.
    pattern
        Regular expression that the segment's name matches, in part and in any case.

    Returns
    -------
    sitk.Image
        uint8, 1 in the segment, 0 elsewhere.

    Raises
    ------
    SparseError
        If the file cannot be read, or no segment or several have such a name.
    """
    image = read_itk_volume(path)
    segments = read_segments(image, path)
    named = [s for s in segments if re.search(pattern, s.name, re.IGNORECASE)]
    if len(named) != 1:
        names = ", ".join(repr(segment.name) for segment in segments) or "none"
        raise SparseError(
            f"{path} must have one segment named {pattern.replace('|', ' or ')}, it has {names}"
        )
    segment, layers = named[0], image.GetNumberOfComponentsPerPixel()
    if segment.layer >= layers:
        raise SparseError(
            f"{path}: segment {segment.name!r} is in layer {segment.layer} of {layers}"
        )
    if layers > 1:
        image = sitk.VectorIndexSelectionCast(image, segment.layer)
    return sitk.Cast(sitk.Equal(to_label(image, path), segment.value), sitk.sitkUInt8)


def read_segments(image: sitk.Image, path: Path) -> list[Segment]:
    """Read from the header which segments there are.

    Parameters
    ----------
    image
        The file's content.
    path
        The file, for messages.

    Raises
    ------
    SparseError
        If a segment lacks a name, or it is not known which of several segments is which.
    """
    found: dict[int, dict[str, str]] = {}
    for key in image.GetMetaDataKeys():
        if match := _KEY.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = str(image.GetMetaData(key)).strip()
    segments = [segment for _, segment in sorted(found.items())]
    if not any("LabelValue" in s or "Layer" in s for s in segments):
        layers = image.GetNumberOfComponentsPerPixel()
        if len(segments) != layers:
            raise SparseError(
                f"{path}: the header gives no label values, and there are {layers} layers for "
                f"{len(segments)} segments"
            )
        segments = [{"LabelValue": "1", "Layer": str(i), **s} for i, s in enumerate(segments)]
    try:
        return [Segment(s["Name"], int(s["LabelValue"]), int(s.get("Layer", 0))) for s in segments]
    except (KeyError, ValueError) as error:
        raise SparseError(f"{path}: the header's segments lack a name or a label value") from error


def read_union(path: Path) -> sitk.Image:
    """Read all that a segmentation of one layer marks, whatever its segments are called.

    Raises
    ------
    SparseError
        If the file cannot be read or has several layers.
    """
    mask = sitk.NotEqual(to_label(read_itk_volume(path), path), 0)
    return sitk.Cast(mask, sitk.sitkUInt8)
