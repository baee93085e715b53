"""Intensity inhomogeneity of an MR scanner, as an augmentation."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform


def num_coefficients(dimensions: int, order: int) -> int:
    """Number of monomials of up to ``order`` in ``dimensions`` variables."""
    return len(_exponents(dimensions, order))


def bias_field(
    shape: Sequence[int],
    coefficients: Sequence[float],
    order: int,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Exponential of a polynomial of the coordinates (Van Leemput et al. 1999).

    The coordinates of an axis are symmetric about its middle, and 1 at its last voxel (0 on an axis
    of one voxel). It is the field of TorchIO's ``BiasField`` but for rounding: what is done for
    each voxel is done in single precision.

    Parameters
    ----------
    shape
        Size in voxels, any number of axes.
    coefficients
        Of the monomials, ordered by the exponent along the first axis, then the second, ...
    order
        Degree of the polynomial.
    device
        Where the field is computed; the processor for None.

    Returns
    -------
    torch.Tensor, float32
        Of this shape, positive; relative error 2e-6 for coefficients of at most 1/2.

    Raises
    ------
    ValueError
        If the number of coefficients is not that of the monomials.
    """
    exponents = _exponents(len(shape), order)
    if len(coefficients) != len(exponents):
        raise ValueError(
            f"a polynomial of degree {order} in {len(shape)} coordinates has {len(exponents)} "
            f"coefficients, got {len(coefficients)}"
        )
    powers = [_coordinates(size)[:, None] ** np.arange(order + 1) for size in shape]  # [size, n]
    # of the coordinates but the last one a polynomial for each exponent of that: [..., n]
    table = np.zeros((order + 1,) * len(shape))
    table[tuple(np.transpose(exponents))] = coefficients
    for axis in range(len(shape) - 1):
        table = np.moveaxis(np.tensordot(powers[axis], table, (1, axis)), 0, axis)
    leading, along_last = (
        torch.from_numpy(np.ascontiguousarray(part)).float().to(device)
        for part in (table.reshape(-1, order + 1), powers[-1].T)
    )
    return (leading @ along_last).exp_().view(*shape)


class BiasFieldTransform(ImageOnlyTransform):  # type: ignore[misc]
    """Multiply each channel by a random bias field, as TorchIO's ``RandomBiasField`` does.

    Parameters
    ----------
    magnitude
        Coefficients are uniform in [-magnitude, magnitude].
    order
        Degree of the polynomial.
    """

    def __init__(self, magnitude: float = 0.5, order: int = 3) -> None:
        super().__init__()
        self.magnitude = magnitude
        self.order = order

    def get_parameters(self, **data: Any) -> dict[str, Any]:
        """Draw the coefficients of every channel."""
        channels, *shape = data["image"].shape
        size = (channels, num_coefficients(len(shape), self.order))
        # numpy's global generator, as in all of nnU-Net's transforms
        drawn = np.random.uniform(-self.magnitude, self.magnitude, size)  # noqa: NPY002
        return {"coefficients": drawn}

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        for channel, coefficients in zip(img, params["coefficients"], strict=True):
            channel.mul_(bias_field(img.shape[1:], coefficients, self.order, img.device))
        return img


def _exponents(dimensions: int, order: int) -> list[tuple[int, ...]]:
    """Exponents of all monomials, in TorchIO's order."""
    every = itertools.product(range(order + 1), repeat=dimensions)
    return [exponent for exponent in every if sum(exponent) <= order]


def _coordinates(size: int) -> np.ndarray:
    coordinates = np.arange(size) - (size - 1) / 2
    return coordinates / coordinates[-1] if size > 1 else coordinates
