"""nnU-Net's rotation, scaling and deformation, on any device and in fewer passes.

Parameters are drawn as nnU-Net draws them, and sampling points differ from its by rounding alone.
What costs the time there is spared: the points of an affine map are sums of three short vectors
rather than a product of matrices; labels are those of :mod:`nnunet_sparse.training.point_labels`.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from batchgeneratorsv2.helpers.scalar_type import sample_scalar
from batchgeneratorsv2.transforms.spatial.spatial import (
    SpatialTransform,
    create_affine_matrix_2d,
    create_affine_matrix_3d,
)

from nnunet_sparse.training.point_labels import largest_share, resampled, shares_of


class LikeStock:
    """Of a transform that derives from one of nnU-Net's: how it takes its parameters over."""

    @classmethod
    def like(cls, stock: Any) -> Self:
        """Transform with the parameters of one of nnU-Net's."""
        new = cls.__new__(cls)
        new.__dict__.update(stock.__dict__)
        return new


class DeviceSpatialTransform(LikeStock, SpatialTransform):  # type: ignore[misc]
    """nnU-Net's spatial transform, where the tensors lie.

    Labels are decided by their linear shares, with ``padding_value_seg`` outside the patch; among
    equal ones that of the nearest voxel wins. As in nnU-Net, shares are compared with half
    precision.
    """

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draw the parameters of one sample, from the same generators and in nnU-Net's order.

        Returns
        -------
        dict
            ``grid``: sampling points (*patch, dimension) as ``torch.nn.functional.grid_sample``
            takes them, or None where nothing moves; ``bounds``: first and last coordinate of the
            points along each axis, in voxels, or beyond; ``center_location_in_pixels``.
        """
        image = data_dict["image"]
        shape, dimensions = image.shape[1:], image.ndim - 1
        # numpy's global generator, as in all of nnU-Net's transforms
        rotate, scale, deform = (
            np.random.uniform() < probability  # noqa: NPY002
            for probability in (self.p_rotation, self.p_scaling, self.p_elastic_deform)
        )
        angles = self._angles(image, dimensions) if rotate else [0.0] * dimensions
        scales = self._scales(image, dimensions) if scale else [1.0] * dimensions
        displacements = self._displacements(image, dimensions) if deform else None
        centre = self._centre(shape)
        parameters: dict[str, Any] = {"center_location_in_pixels": centre, "grid": None}
        if not (rotate or scale or deform):
            return parameters
        affine = (
            create_affine_matrix_3d(angles, scales)
            if dimensions == 3
            else create_affine_matrix_2d(angles[-1], scales)
        )
        offsets, largest = displacements or (None, [0.0] * dimensions)
        grid = self._grid(affine, offsets, centre, shape, image.device)
        halves = np.asarray([(side - 1) / 2 for side in self.patch_size])
        # their mean is taken off the displacements
        reach = np.abs(affine) @ (halves + 2 * np.asarray(largest))
        middle = [c - 0.5 for c in centre]
        bounds = [(m - r, m + r) for m, r in zip(middle, reach.tolist(), strict=True)]
        return parameters | {"grid": grid, "bounds": bounds}

    def _angles(self, image: torch.Tensor, dimensions: int) -> list[float]:
        angles = [sample_scalar(self.rotation, image=image, dim=i) for i in range(dimensions)]
        if self.p_rot_per_axis < 1:
            kept = [np.random.uniform() <= self.p_rot_per_axis for _ in angles]  # noqa: NPY002
            angles = [angle if keep else 0.0 for angle, keep in zip(angles, kept, strict=True)]
        return angles

    def _scales(self, image: torch.Tensor, dimensions: int) -> list[float]:
        if np.random.uniform() <= self.p_synchronize_scaling_across_axes:  # noqa: NPY002
            return [sample_scalar(self.scaling, image=image, dim=None)] * dimensions
        return [sample_scalar(self.scaling, image=image, dim=i) for i in range(dimensions)]

    def _displacements(
        self, image: torch.Tensor, dimensions: int
    ) -> tuple[torch.Tensor, list[float]]:
        """Smooth random displacements (dimension, *patch) in voxels, and their largest per axis."""
        size = self.patch_size
        if np.random.uniform() <= self.p_synchronize_def_scale_across_axes:  # noqa: NPY002
            one = sample_scalar(self.elastic_deform_scale, image=image, dim=None, patch_size=size)
            shares = [one] * dimensions
        else:
            shares = [
                sample_scalar(self.elastic_deform_scale, image=image, dim=i, patch_size=size)
                for i in range(dimensions)
            ]
        largest = [
            max(
                1e-8,
                sample_scalar(
                    self.elastic_deform_magnitude,
                    image=image,
                    patch_size=size,
                    dim=i,
                    deformation_scale=shares[i],
                ),
            )
            for i in range(dimensions)
        ]
        noise = torch.normal(0.0, 1.0, size=(dimensions, *size), device=image.device)
        for axis, (share, most) in enumerate(zip(shares, largest, strict=True)):
            smooth = _smoothed(noise[axis], share * size[axis])
            torch.mul(smooth, most / smooth.abs().max(), out=noise[axis])
        return noise, largest

    def _centre(self, shape: Sequence[int]) -> list[float]:
        """Middle of the sampled patch, in voxels from the first one's outer border."""
        if not self.random_crop:
            return [side / 2 for side in shape]
        centre = []
        for side, margin in zip(shape, self.patch_center_dist_from_border, strict=True):
            inside = side - margin >= margin
            drawn = np.random.uniform(margin, side - margin) if inside else side / 2  # noqa: NPY002
            centre.append(float(drawn))
        return centre

    def _grid(
        self,
        affine: np.ndarray,
        offsets: torch.Tensor | None,
        centre: Sequence[float],
        shape: Sequence[int],
        device: torch.device,
    ) -> torch.Tensor:
        """Points (*patch, dimension) of a map of the patch, in units of half of the image."""
        dimensions = len(shape)
        half = np.asarray(shape) / 2
        matrix = affine / half[:, None]
        shift = np.asarray(centre) / half - 1
        # one plane per coordinate: written and read in order
        planes = torch.empty((dimensions, *self.patch_size), device=device)
        axes = [np.arange(side) - (side - 1) / 2 for side in self.patch_size]
        for plane, axis in zip(planes, reversed(range(dimensions)), strict=True):
            terms = [row * along for row, along in zip(matrix[axis], axes, strict=True)]
            terms[0] = terms[0] + shift[axis]
            vectors = [torch.from_numpy(term).float().to(device) for term in terms]
            leading = vectors[0]
            for vector in vectors[1:-1]:
                leading = leading[..., None] + vector
            torch.add(leading[..., None], vectors[-1], out=plane)
            if offsets is not None:
                for row, offset in zip(matrix[axis].tolist(), offsets, strict=True):
                    plane.add_(offset, alpha=row)
                    if self.center_deformation:
                        plane.sub_(offset.mean() * row)
        return planes.movedim(0, -1)

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: Any) -> torch.Tensor:
        if params["grid"] is None or self.mode_seg == "nearest":
            cropped: torch.Tensor = super()._apply_to_segmentation(segmentation, **params)
            return cropped
        return torch.stack(
            [
                resampled(
                    label,
                    params["grid"],
                    params["bounds"],
                    self._decide,
                    outside=self.padding_value_seg,
                    align_corners=self.align_corners,
                )
                for label in segmentation
            ]
        )

    def _decide(
        self, around: list[torch.Tensor], weights: list[torch.Tensor], nearest: torch.Tensor
    ) -> torch.Tensor:
        shares = [(1000 * share).half() for share in shares_of(around, weights)]
        winner, best = largest_share(around, shares)
        of_nearest = torch.zeros_like(best)
        for label, share in zip(around, shares, strict=True):
            of_nearest = torch.where(label == nearest, share, of_nearest)
        return torch.where(of_nearest == best, nearest, winner)


# frequencies with less of the whole are rounded away in any case
_NEGLIGIBLE = 1e-9


def _smoothed(noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """Periodic Gaussian filter, as ``scipy.ndimage.fourier_gaussian`` has it.

    A wide filter lets few frequencies pass: products with their sines and cosines take less time
    than a transform of all.
    """
    for axis, size in enumerate(noise.shape):
        waves = torch.from_numpy(_passing_waves(size, sigma)).float().to(noise.device)
        noise = ((noise.movedim(axis, -1) @ waves) @ waves.T).movedim(-1, axis)
    return noise


def _passing_waves(size: int, sigma: float) -> np.ndarray:
    """Matrix (size, waves) whose product with its transpose is the filter along an axis."""
    numbers = np.arange(size // 2 + 1)
    response = np.exp(-2 * (np.pi * sigma * numbers / size) ** 2)
    # a frequency stands for itself and its negative
    response[(numbers > 0) & (2 * numbers < size)] *= 2
    numbers = numbers[response > _NEGLIGIBLE]
    angles = 2 * np.pi / size * np.outer(np.arange(size), numbers)
    waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
    return np.asarray(waves * np.sqrt(np.tile(response[: len(numbers)], 2) / size))
