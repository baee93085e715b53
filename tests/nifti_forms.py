"""NIfTI files whose qform and sform disagree, and labels as programs save them for such images."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

SHAPE = (5, 6, 7)  # (x, y, z)
PLACE = np.array([[-0.8, 0, 0, 20], [0, -0.8, 0, 30], [0, 0, 3, -7], [0, 0, 0, 1]])  # RAS


def _turn(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _flip(*axes: int) -> np.ndarray:
    """Indices of the same voxels, counted backwards along some axes."""
    flip = np.eye(4)
    for axis in axes:
        flip[axis, axis], flip[axis, 3] = -1, SHAPE[axis] - 1
    return flip


OTHER_PLACES = {
    "same": PLACE,
    "mirrored": PLACE @ _flip(0),
    "mirrored about the origin": np.diag([-1, 1, 1, 1]) @ PLACE,
    "upside down": PLACE @ _flip(1, 2),
    "turned": _turn(12) @ PLACE,
    "by right angles": _turn(90) @ PLACE,
    "shifted by a voxel": PLACE + np.pad([[0.8]], ((0, 3), (3, 0))),
    "shifted by half a voxel": PLACE + np.pad([[0.4]], ((0, 3), (3, 0))),
    "scaled": PLACE @ np.diag([1.25, 1.25, 0.5, 1]),
}


def save_forms(
    file: Path, voxels: np.ndarray, qform: np.ndarray, sform: np.ndarray, codes: tuple[int, int]
) -> Path:
    """Write voxels (x, y, z) with two forms and their codes, the qform's first."""
    image = nibabel.Nifti1Image(voxels, None)
    image.set_sform(sform, codes[1])
    image.set_qform(qform, codes[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, file)
    return file


def _by_nibabel(image: Path, voxels: np.ndarray) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image(voxels, nibabel.load(image).affine)


def _with_header(image: Path, voxels: np.ndarray) -> nibabel.Nifti1Image:
    found = nibabel.load(image)
    return nibabel.Nifti1Image(voxels, found.affine, found.header)


def _with_both_forms(image: Path, voxels: np.ndarray) -> nibabel.Nifti1Image:
    label = _by_nibabel(image, voxels)
    label.set_qform(label.affine, 2)
    label.set_sform(label.affine, 2)
    return label


def _by_itk(image: Path, voxels: np.ndarray) -> sitk.Image:
    label = sitk.GetImageFromArray(voxels.T)
    label.CopyInformation(sitk.ReadImage(str(image)))
    return label


Label = nibabel.Nifti1Image | sitk.Image
IN_ORDER: dict[str, Callable[[Path, np.ndarray], Label]] = {
    "nibabel": _by_nibabel,
    "nibabel, with the image's header": _with_header,
    "SPM": _with_both_forms,
    "ITK": _by_itk,
}
"""Programs that store a label in the order of the image's voxels."""
REORDERING: dict[str, Callable[[Path, np.ndarray], Label]] = {
    "nibabel, canonical": lambda *a: nibabel.as_closest_canonical(_by_nibabel(*a)),
    "nibabel, canonical, with header": lambda *a: nibabel.as_closest_canonical(_with_header(*a)),
    **{
        f"ITK, {axes}": lambda *a, axes=axes: sitk.DICOMOrient(_by_itk(*a), axes)
        for axes in ("RAS", "LPS", "LAS", "SAR")
    },
}
"""Programs that store its axes in another order or backwards, and say so in the header."""


def save_label(file: Path, label: Label) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(label, sitk.Image):
        sitk.WriteImage(label, str(file))
    else:
        nibabel.save(label, file)
    return file
