"""Files in which annotators deliver their work, found by name and read as labels of the images.

A case is annotated by one of four kinds of files in a folder::

    CASE.nii.gz            volume: a label; also .nii, .nrrd, .nhdr, .mha, .mhd, .gipl, .gipl.gz,
                           and .tif or .tiff as large as the image
    CASE_slice012.png      slices: the mask of one slice each, counted from 0 along the campaign's
                           axis; also .tif, .tiff, .bmp, and the formats of volumes
    CASE.seg.nrrd          slicer: a segmentation of 3D Slicer
    CASE.dcm, CASE/*.dcm   dicom: a DICOM segmentation; under any other name it belongs to the one
                           image on whose voxels it lies

Endings may be in capital letters. In a volume the ignore label marks what is not annotated. A mask
is the annotation of its whole slice; slices that were asked for and have no mask are background, as
prefilled. A segmentation annotates all slices that were asked for, and others on which it marks a
label. If ``CASE.nii.gz`` is still as prefilled and there is another annotation of the case, the
other one counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.annotation_names import (
    AnnotationNames,
    Kind,
    Match,
    documents,
    visible_files,
)
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.dicom_segmentation import read_dicom_segmentation
from nnunet_sparse.campaign.label_volume import is_untouched, read_label_volume, voxel_files
from nnunet_sparse.campaign.slice_masks import read_slice_masks
from nnunet_sparse.campaign.slicer_segmentation import read_slicer_segmentation
from nnunet_sparse.system.errors import SparseError

_READERS: dict[Kind, Callable[[AnnotatedCase, Path], np.ndarray]] = {
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

    @property
    def all_files(self) -> tuple[Path, ...]:
        """All files that are read: the files, and separate files with the voxels of some."""
        return tuple(part for file in self.files for part in (file, *voxel_files(file)))


@dataclass(frozen=True)
class FoundAnnotations:
    """Annotations in a folder.

    Attributes
    ----------
    cases
        By case ID, sorted; without those that have a problem.
    unknown
        Files and folders that belong to no case of the campaign.
    problems
        Cases with several annotations, or with one that cannot be taken, by ID, sorted, with a text
        that names the files.
    unusable
        DICOM files of which it cannot be told to which case they belong, with the reason.
    """

    cases: dict[str, AnnotationFiles]
    unknown: list[Path] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    unusable: dict[Path, str] = field(default_factory=dict)


def find_annotations(campaign: Campaign, folder: Path | None = None) -> FoundAnnotations:
    """Find the files that annotate the cases of a campaign.

    Hidden files are skipped, and texts and tables, but for those that are called after a case
    without annotation. Files are told by their names; opened are only DICOM
    segmentations with other names, headers with separate voxels, and labels of cases with another
    annotation.

    Parameters
    ----------
    campaign
        The campaign.
    folder
        Where to look; by default the campaign's ``labels``.

    Raises
    ------
    SparseError
        If there is no such folder.
    """
    folder = folder or campaign.label_folder
    if not folder.is_dir():
        raise SparseError(f"{folder} is no folder; annotations are looked for in one")
    matches: dict[str, list[Match]] = {}
    found, names = FoundAnnotations({}), AnnotationNames(campaign)
    for path in visible_files(folder):
        try:
            of_path = names.matches(path)
        except SparseError as error:
            found.unusable[path] = str(error)
            continue
        for match in of_path:
            matches.setdefault(match.case_id, []).append(match)
        if not of_path:
            found.unknown.append(path)
    texts: dict[str, Match] = {}
    for path in documents(folder):
        if (text := names.called_after_case(path)) is not None:
            texts.setdefault(text.case_id, text)
    for case_id in sorted(matches.keys() | texts.keys()):
        try:
            of_case = _without_untouched(matches.get(case_id, []), campaign)
            if case_id in texts and not _is_annotated(of_case, campaign):
                raise SparseError(texts[case_id].problem)
            found.cases[case_id] = _one_annotation(of_case)
        except SparseError as error:
            found.problems[case_id] = str(error)
    return found


def read_annotation(campaign: Campaign, case_id: str, annotation: AnnotationFiles) -> np.ndarray:
    """Read the annotation of a case as a label.

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
        On the voxels of the case's image; the campaign's ignore label where nothing is annotated.

    Raises
    ------
    SparseError
        If a file cannot be read, lies elsewhere than its image, or holds a label that the campaign
        does not have; with the file and the reason.
    """
    case, files = AnnotatedCase(campaign, case_id), annotation.files
    if annotation.kind == "slices":
        return read_slice_masks(case, dict(zip(annotation.slices, files, strict=True)))
    (file,) = files
    return _READERS[annotation.kind](case, file)


def _without_untouched(matches: list[Match], campaign: Campaign) -> list[Match]:
    """Leave out the prefilled label if nobody has changed it and there is another annotation."""
    labels = [match for match in matches if match.is_handed_out]
    if len(labels) != 1 or len(matches) == 1:
        return matches
    (label,) = labels
    return matches if _is_annotated(labels, campaign) else [m for m in matches if m is not label]


def _is_annotated(matches: list[Match], campaign: Campaign) -> bool:
    """Whether there is any file but a prefilled label that nobody has changed."""
    return any(
        not match.is_handed_out
        or not is_untouched(AnnotatedCase(campaign, match.case_id), match.file)
        for match in matches
    )


def _one_annotation(matches: list[Match]) -> AnnotationFiles:
    """Put the files of a case together; two kinds, or two files of one slice, are refused."""
    first = matches[0]
    masks: dict[int | None, Match] = {}
    for match in matches:
        if match.kind is None:
            raise SparseError(match.problem)
        other = masks.setdefault(match.number, match) if match.kind == first.kind else first
        if other is not match:
            place = match.place if match.kind == first.kind else match.case_id
            raise SparseError(f"{other.file} and {match.file} both annotate {place}; keep one")
    assert first.kind is not None
    ordered = sorted(matches, key=lambda match: match.number or 0)
    numbers = tuple(match.number for match in ordered if match.number is not None)
    return AnnotationFiles(first.kind, tuple(match.file for match in ordered), numbers)
