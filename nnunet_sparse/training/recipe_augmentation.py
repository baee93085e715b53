"""Augmentation of the recipes: TorchIO's transforms with their default ranges, in nnU-Net's loader.

Each transform is applied to every patch, as in TorchIO, and differs from it in this:

- ``flip`` (``RandomFlip``): none. The x axis of the array (z, y, x), which is left-right in images
  that are stored as axial slices, is reversed with probability 1/2; in slices across that axis, the
  last one.
- ``bias_field`` (``RandomBiasField``): it multiplies the normalised image, and a patch rather than
  the volume has coordinates from -1 to 1. Slices get a field in their plane.
- ``affine`` (``RandomAffine``: scales 0.9 to 1.1 and rotations of -10 to 10 degrees for each axis,
  no translation): the patch is cut out of a larger one, so that it shows the image's surroundings
  rather than a constant; scaling and rotation are applied in the opposite order, and in voxels
  rather than mm, so that rotation shears where the spacing differs between axes; the zoom is 1/1.1
  to 1/0.9; labels are interpolated as the setting ``label_interpolation`` says, not by the nearest
  voxel.
- ``elastic`` (``RandomElasticDeformation``: cubic B-spline, 7 control points per axis, of which the
  outer two layers are fixed, up to 7.5 mm at a control point): batchgeneratorsv2 smooths noise with
  a Gaussian and scales it to a maximum, here of 1.7 to 3.7 mm (3d: 2.8 to 4.2 mm), the 5th and 95th
  percentile of TorchIO's largest displacement along an axis; the Gaussian has the width of the
  B-spline, 0.144 of the patch. The root mean square is the same within a tenth (1.1 mm), but the
  border moves as well.

The ignore label is not interpolated into anything: see :mod:`nnunet_sparse.training.augmentation`.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import (
    SpatialTransform,
    create_affine_matrix_2d,
    create_affine_matrix_3d,
)
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform

from nnunet_sparse.training.bias_field import BiasFieldTransform
from nnunet_sparse.training.recipe import Recipe

_ROTATION = math.radians(10)
_SCALING = (0.9, 1.1)
# by number of dimensions
_DISPLACEMENT_MM = {2: (1.7, 3.7), 3: (2.8, 4.2)}
# a cubic B-spline over a quarter of the patch is about a Gaussian of this standard deviation
_SMOOTHNESS = 0.144


def initial_patch_size(
    recipe: Recipe, patch_size: Sequence[int], spacing: Sequence[float]
) -> list[int]:
    """Size of the patch that is read, so that the augmented one is filled.

    Parameters
    ----------
    recipe
        Its augmentation.
    patch_size
        Of the network, in voxels.
    spacing
        In mm.
    """
    size = [int(side) for side in patch_size]
    if "affine" in recipe.augmentation:
        # nnU-Net's get_patch_size turns about one axis at a time and misses corners, which would be
        # trained as background
        size = [math.ceil(side) + 1 for side in _reach(size)]
    if "elastic" in recipe.augmentation:
        most = _DISPLACEMENT_MM[len(size)][1]
        size = [side + 2 * math.ceil(most / mm) for side, mm in zip(size, spacing, strict=True)]
    return size


def recipe_transforms(
    recipe: Recipe,
    patch_size: Sequence[int],
    spacing: Sequence[float],
    flip_axes: Sequence[int],
    masked_channels: Sequence[int],
) -> ComposeTransforms:
    """Augmentation of a recipe, as nnU-Net's trainer would have it.

    Parameters
    ----------
    recipe
        Its augmentation.
    patch_size
        Of the network, in voxels.
    spacing
        In mm.
    flip_axes
        Axes of the patch that ``flip`` reverses.
    masked_channels
        Channels that are normalised within the image's non-zero mask.

    Returns
    -------
    ComposeTransforms
        Takes labels in which -1 is background outside the mask.
    """
    chosen = recipe.augmentation
    affine, elastic = "affine" in chosen, "elastic" in chosen
    transforms: list[BasicTransform] = [
        SpatialTransform(
            tuple(int(side) for side in patch_size),
            patch_center_dist_from_border=0,
            random_crop=False,
            p_elastic_deform=float(elastic),
            elastic_deform_scale=_SMOOTHNESS,
            elastic_deform_magnitude=_Displacement(spacing),
            p_rotation=float(affine),
            rotation=(-_ROTATION, _ROTATION),
            p_scaling=float(affine),
            scaling=_SCALING,
            p_synchronize_scaling_across_axes=0,
            bg_style_seg_sampling=False,
            border_mode_seg="constant",
            padding_value_seg=-1,
        )
    ]
    if "bias_field" in chosen:
        transforms.append(BiasFieldTransform())
    if "flip" in chosen:
        transforms.append(MirrorTransform(allowed_axes=tuple(flip_axes)))
    if masked_channels:
        transforms.append(
            MaskImageTransform(list(masked_channels), channel_idx_in_seg=0, set_outside_to=0)
        )
    transforms.append(RemoveLabelTransform(-1, 0))
    return ComposeTransforms(transforms)


def _reach(size: Sequence[int]) -> np.ndarray:
    """Largest extent along each axis of a rotated and scaled box."""
    steps = np.linspace(-_ROTATION, _ROTATION, 5)
    largest = [_SCALING[1]] * len(size)
    if len(size) == 2:
        matrices = [create_affine_matrix_2d(angle, largest) for angle in steps]
    else:
        turns = itertools.product(steps, repeat=3)
        matrices = [create_affine_matrix_3d(angles, largest) for angles in turns]
    extents = np.abs(np.stack(matrices)) @ np.asarray(size)
    return np.asarray(extents.max(axis=0))


def flip_axes(transpose_forward: Sequence[int], dimensions: int) -> tuple[int, ...]:
    """Axis of a patch that runs from left to right, or the last one of slices across it.

    Parameters
    ----------
    transpose_forward
        Order of the axes of nnU-Net's arrays (z, y, x) after preprocessing.
    dimensions
        2 for slices across the first axis, or 3.
    """
    position = list(transpose_forward).index(2) - (3 - dimensions)
    return (position if position >= 0 else dimensions - 1,)


class _Displacement:
    """Largest displacement along an axis, in voxels, drawn anew for every patch and axis."""

    def __init__(self, spacing: Sequence[float]) -> None:
        self.spacing = tuple(float(mm) for mm in spacing)

    def __call__(self, dim: int, **_: Any) -> float:
        low, high = _DISPLACEMENT_MM[len(self.spacing)]
        return float(np.random.uniform(low, high)) / self.spacing[dim]  # noqa: NPY002
