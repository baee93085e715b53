"""What annotators hand back for the cases of a campaign, as labels on the voxels of the images.

A case is annotated by one of four kinds of files in a folder::

    CASE.nii.gz            volume: a label; also .nii, .nrrd, .mha, .mhd, .gipl
    CASE_slice012.png      slices: the mask of one slice each, counted from 0 along the campaign's
                           axis; also .tif, .tiff, .bmp, and the formats of volumes
    CASE.seg.nrrd          slicer: a segmentation of 3D Slicer
    CASE.dcm, CASE/*.dcm   dicom: a DICOM segmentation; under any other name it belongs to the one
                           image on whose voxels it lies

Endings may be in capital letters. Volumes say for each voxel whether it is annotated. Masks decide
on their slices; asked slices without one are background, as they were handed out. Segmentations
decide on the slices that were asked for, and on others in which they mark a label. ``CASE.nii.gz``
as it was handed out gives way to another kind beside it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nnunet_sparse.campaign.annotation_target import AnnotationTarget
from nnunet_sparse.campaign.campaign import FILE_ENDING, Campaign
from nnunet_sparse.campaign.dicom_segmentation import (
    DICOM_ENDING,
    find_case,
    read_dicom_segmentation,
)
from nnunet_sparse.campaign.label_volume import VOLUME_ENDINGS, is_untouched, read_label_volume
from nnunet_sparse.campaign.slice_masks import PICTURE_ENDINGS, read_slice_masks
from nnunet_sparse.campaign.slicer_segmentation import SLICER_ENDING, read_slicer_segmentation
from nnunet_sparse.errors import SparseError

Kind = Literal["volume", "slices", "slicer", "dicom"]

# .seg.nrrd before .nrrd
_ENDINGS = (SLICER_ENDING, DICOM_ENDING, *VOLUME_ENDINGS, *PICTURE_ENDINGS)
_VOXELS_OF_MHD = {".raw", ".zraw"}
_NO_ANNOTATION = {".txt", ".csv", ".html", ".json"}
_SLICE = re.compile(r"(.+)_slice(\d+)")
_READERS: dict[Kind, Callable[[AnnotationTarget, Path], np.ndarray]] = {
    "volume": read_label_volume,
    "slicer": read_slicer_segmentation,
    "dicom": read_dicom_segmentation,
}


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
    named after a case are opened, and labels beside which another kind of annotation lies.

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
    cases = {
        case_id: _one_annotation(_without_untouched(matches[case_id], campaign))
        for case_id in sorted(matches)
    }
    return FoundAnnotations(cases, unknown)


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
    target, files = AnnotationTarget(campaign, case_id), annotation.files
    if annotation.kind == "slices":
        return read_slice_masks(target, dict(zip(annotation.slices, files, strict=True)))
    (file,) = files
    return _READERS[annotation.kind](target, file)


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
    ending = path.suffix.lower()
    if path.name.startswith(".") or ending in _NO_ANNOTATION:
        return True
    if ending not in _VOXELS_OF_MHD:
        return False
    return any(f.stem == path.stem and f.suffix.lower() == ".mhd" for f in path.parent.iterdir())


def _match(path: Path, campaign: Campaign) -> _Match | None:
    if path.is_dir():
        file = _only_dicom(path) if path.name in campaign.volumes else None
        return _Match(path.name, file, "dicom") if file else None
    stem, ending = _stem_and_ending(path)
    if ending == DICOM_ENDING:
        return _Match(
            stem if stem in campaign.volumes else find_case(path, campaign), path, "dicom"
        )
    if stem in campaign.volumes and ending == SLICER_ENDING:
        return _Match(stem, path, "slicer")
    if stem in campaign.volumes and ending in VOLUME_ENDINGS:
        return _Match(stem, path, "volume")
    found = _SLICE.fullmatch(stem)
    if found and found[1] in campaign.volumes and ending in {*VOLUME_ENDINGS, *PICTURE_ENDINGS}:
        return _Match(found[1], path, "slices", int(found[2]))
    return None


def _stem_and_ending(path: Path) -> tuple[str, str]:
    """Name without its ending, and the ending in small letters; empty if it is an unknown one."""
    ending = next((e for e in _ENDINGS if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(ending)], ending


def _only_dicom(folder: Path) -> Path | None:
    files = sorted(
        f for f in folder.iterdir() if f.suffix.lower() == DICOM_ENDING and not _passed_over(f)
    )
    if len(files) > 1:
        raise SparseError(
            f"{folder} holds {len(files)} DICOM files ({files[0].name}, {files[1].name} ...), "
            "expected one segmentation"
        )
    return files[0] if files else None


def _without_untouched(matches: list[_Match], campaign: Campaign) -> list[_Match]:
    """Leave out a label as it was handed out, if there is one other kind of annotation."""
    labels = [match for match in matches if match.kind == "volume"]
    others = [match for match in matches if match.kind != "volume"]
    if len(labels) != 1 or len({match.kind for match in others}) != 1:
        return matches
    (label,) = labels
    if _stem_and_ending(label.file)[1] != FILE_ENDING:
        return matches
    untouched = is_untouched(AnnotationTarget(campaign, label.case_id), label.file)
    return others if untouched else matches


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
