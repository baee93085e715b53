"""What a converter has found in a published data set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.system.errors import SparseError


@dataclass(frozen=True)
class SourceCase:
    """Files of one volume.

    Attributes
    ----------
    case_id
        ID of the case in the converted data set.
    patient
        Whose volume it is; a patient is never divided between training and test.
    image
        One NIfTI file, or the folder of a DICOM series.
    labels
        Label files, in the order that the reader of the task expects.
    """

    case_id: str
    patient: str
    image: Path
    labels: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """Cases of a published data set, sorted by ID, and why others are left out."""

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
        uint8; the voxels that are not 0 must lie in the converted volume. The label, or more.
    placement
        How the label came onto the image's voxels: ``same``, ``by voxels`` or ``resampled``.
    stored_axes
        Where the axes x, y, z of the image lead as it is stored, as in ``RAS``.
    """

    image: sitk.Image
    label: sitk.Image
    keep: sitk.Image
    placement: str
    stored_axes: str


def pair(
    images: Mapping[str, Path],
    labels: Mapping[str, Path],
    kind: str,
    skip_incomplete: bool,
    exclude: Iterable[str],
) -> tuple[list[str], dict[str, str]]:
    """Names that have an image and a label, and why the others are left out.

    Parameters
    ----------
    images, labels
        Files by the name that they share.
    kind
        What a label is called, for messages.
    skip_incomplete
        Leave out what has only one of the two, instead of refusing it.
    exclude
        Names to be left out anyway.

    Raises
    ------
    SparseError
        If one is missing, an excluded name does not exist, or nothing is left.
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
    return names, excluded | missing


def by_name(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Files by name.

    Raises
    ------
    SparseError
        If two files have the same one.
    """
    found: dict[str, Path] = {}
    for name, file in files:
        if name in found:
            raise SparseError(f"{found[name]} and {file} are the same case; keep one of them")
        found[name] = file
    return found


def exclusions(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Cases that the user wants to be left out, and that as the reason.

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
