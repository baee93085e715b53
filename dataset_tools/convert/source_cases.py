"""What a converter has found in a published data set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.data.itk_volumes import check_file
from nnunet_sparse.dataset_tools.convert.target_grid import Triple
from nnunet_sparse.system.errors import SparseError


@dataclass(frozen=True)
class SourceCase:
    """Files of one volume.

    Attributes
    ----------
    case_id
        ID of the case in the converted data set.
    patient
        ID of the patient; all cases of a patient are in the same part of the split.
    image
        One NIfTI file, or the folder of a DICOM series.
    labels
        Label files, in the order that the reader of the task expects.
    spacing_mm
        Voxel size (z, y, x) that takes the place of the header's; None to believe the header.
    """

    case_id: str
    patient: str
    image: Path
    labels: tuple[Path, ...]
    spacing_mm: Triple | None = None


@dataclass(frozen=True)
class FoundCases:
    """What a published data set holds.

    Attributes
    ----------
    cases
        Cases with image and label, by ID, sorted.
    left_out
        Why others are left out, by ID.
    """

    cases: dict[str, SourceCase]
    left_out: dict[str, str]


@dataclass(frozen=True)
class LabelledVolume:
    """An image and its label on the same voxels, whose axes lead to left, posterior, superior.

    Attributes
    ----------
    image
        Intensities.
    label
        uint8 values of the task's labels.
    keep
        uint8; voxels that are not 0 must not be cut off: those of the label, or more.
    placement
        How the label came onto the image's voxels: ``same``, ``by voxels`` or ``resampled``.
    stored_axes
        Where the axes x, y, z of the image lead as it is stored, as in ``RAS``.
    spacing_from
        Where the voxel size comes from: the header, or what else.
    """

    image: sitk.Image
    label: sitk.Image
    keep: sitk.Image
    placement: str
    stored_axes: str
    spacing_from: str = "header"


def pair(
    images: Mapping[str, Path],
    labels: Mapping[str, Path],
    kind: str,
    skip_incomplete: bool,
    exclude: Iterable[str],
    patients: Mapping[str, str] | None = None,
) -> FoundCases:
    """Find the cases that have an image and a label.

    Parameters
    ----------
    images, labels
        Files by the ID of their case.
    kind
        What a label is called, for messages.
    skip_incomplete
        Leave out cases that have only one of the two, instead of refusing them.
    exclude
        Cases to leave out anyway.
    patients
        Patient of each case; None where each case is of another one.

    Raises
    ------
    SparseError
        If one is missing, an excluded case does not exist, or nothing is left.
    """
    excluded = exclusions(exclude, images.keys() | labels.keys())
    missing = {name: f"{images[name]} has no {kind}" for name in images.keys() - labels.keys()}
    missing |= {name: f"{labels[name]} has no image" for name in labels.keys() - images.keys()}
    missing = {name: why for name, why in missing.items() if name not in excluded}
    if missing and not skip_incomplete:
        first = missing[min(missing)]
        more = f" ({len(missing)} such cases)" if len(missing) > 1 else ""
        raise SparseError(f"{first}{more}; --skip_incomplete leaves such cases out")
    names = sorted((images.keys() & labels.keys()) - excluded.keys())
    if not names:
        raise SparseError("no case with image and label is left")
    cases = {
        name: SourceCase(
            name, name if patients is None else patients[name], images[name], (labels[name],)
        )
        for name in names
    }
    return FoundCases(cases, excluded | missing)


def check_files(case: SourceCase) -> None:
    """Refuse image and label files that are damaged, without reading voxels.

    Raises
    ------
    SparseError
        With the first such file.
    """
    for file in (case.image, *case.labels):
        check_file(file)


def by_name(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Put files into a dictionary by the ID of their case.

    Raises
    ------
    SparseError
        If two files are of the same case.
    """
    found: dict[str, Path] = {}
    for name, file in files:
        if name in found:
            raise SparseError(f"{found[name]} and {file} are the same case; keep one of them")
        found[name] = file
    return found


def exclusions(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Reason for which each excluded case is left out, by ID.

    Raises
    ------
    SparseError
        If there is no such case.
    """
    known = sorted(known)
    for name in (names := sorted(set(names))):
        if name not in known:
            raise SparseError(
                f"--exclude: there is no case {name!r} (there are {', '.join(known[:3])}, ...)"
            )
    return dict.fromkeys(names, "excluded (--exclude)")
