"""Affines of headers: conventions of ITK, nibabel and our arrays.

An affine is a (4, 4) matrix that takes indices to positions in mm. Indices of files run along
(x, y, z), those of our arrays along (z, y, x). Positions are LPS as in ITK and DICOM (x to the
left, y to posterior, z to superior), or RAS as in nibabel.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # and back


def itk_affine(image: "sitk.Image | sitk.ImageFileReader") -> np.ndarray:
    """(4, 4) matrix from ITK's indices (x, y, z) to LPS positions in mm."""
    dim = image.GetDimension()
    direction = np.reshape(image.GetDirection(), (dim, dim))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    return affine


def reverse_columns(affine: np.ndarray) -> np.ndarray:
    """Let a matrix that takes (x, y, z) indices take (z, y, x) indices."""
    return affine[:, [2, 1, 0, 3]]


def straightened(affine: np.ndarray) -> np.ndarray:
    """The nearest matrix whose axes are at right angles, with the same spacings and origin."""
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing_mm)
    result = affine.copy()
    result[:3, :3] = left @ right * spacing_mm
    return result


def is_valid(affine: np.ndarray) -> bool:
    """Whether the matrix is finite and no axis is lost."""
    return bool(np.isfinite(affine).all() and np.linalg.det(affine))
