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


def bias_field(shape: Sequence[int], coefficients: Sequence[float], order: int) -> np.ndarray:
    """Exponential of a polynomial of the coordinates (Van Leemput et al. 1999).

    The coordinates of an axis are symmetric about its middle, and 1 at its last voxel (0 on an axis
    of one voxel). It is the field of TorchIO's ``BiasField``, some ten times faster.

    Parameters
    ----------
    shape
        Size in voxels, any number of axes.
    coefficients
        Of the monomials, ordered by the exponent along the first axis, then the second, ...
    order
        Degree of the polynomial.

    Returns
    -------
    np.ndarray, float32
        Of this shape, positive.

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
    # one product of matrices sums over all exponents along the last axis at once
    leading = sorted({e[:-1] for e in exponents})
    table = np.zeros((len(leading), order + 1))
    for exponent, coefficient in zip(exponents, coefficients, strict=True):
        table[leading.index(exponent[:-1]), exponent[-1]] = coefficient
    along_last = table @ powers[-1].T  # [leading, size]
    products = np.ones((len(leading), 1))
    for axis in range(len(shape) - 1):
        factors = powers[axis][:, [e[axis] for e in leading]].T  # [leading, size]
        products = (products[:, :, None] * factors[:, None, :]).reshape(len(leading), -1)
    polynomial = (products.T @ along_last).reshape(tuple(shape))
    return np.exp(polynomial, out=polynomial).astype(np.float32)


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
        fields = [bias_field(img.shape[1:], c, self.order) for c in params["coefficients"]]
        return img * torch.from_numpy(np.stack(fields))


def _exponents(dimensions: int, order: int) -> list[tuple[int, ...]]:
    """Exponents of all monomials, in TorchIO's order."""
    every = itertools.product(range(order + 1), repeat=dimensions)
    return [exponent for exponent in every if sum(exponent) <= order]


def _coordinates(size: int) -> np.ndarray:
    coordinates = np.arange(size) - (size - 1) / 2
    return coordinates / coordinates[-1] if size > 1 else coordinates
