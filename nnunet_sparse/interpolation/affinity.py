"""Local affinity: every pixel of one slice looks for its like in a window of another slice.

The target's pixel p gets ``sum_d a(p, d) value(p + d)``, where d runs over a window of
``(2 radius + 1)^2`` shifts and a is the softmax over d of the dot products
``query(p) . key(p + d)`` (Yeung et al. 2021, Sli2Vol, eq. 1). As published, one shifted copy of the
key features for every shift stands in memory. Here tiles of the target are multiplied with their
surroundings, and each tile's window is a strided view of the product: nothing is copied, and only
some rows of tiles are in memory at a time, backwards too.

Shifts that lead out of the slice are left out of the softmax, or, with ``outside``, take part as in
the code of Yeung et al. (the features and values are continued by zeros): with the dot product 0,
so that part of the intensity at the border vanishes. Beyond the publication: a bias for every
shift.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

# dot product of shifts out of the slice: its exponential is 0
_NEVER = -1e30
_TILE = 8
_GPU_BYTES = 2**27


@dataclass(frozen=True)
class _Tiling:
    """How a slice is cut into square tiles with surroundings.

    Attributes
    ----------
    radius
        Largest shift.
    side
        Side of a tile.
    rows, columns
        Number of tiles.
    """

    radius: int
    side: int
    rows: int
    columns: int

    @property
    def outer(self) -> int:
        """Side of a tile with its surroundings."""
        return self.side + 2 * self.radius

    def tiles(self, image: torch.Tensor) -> torch.Tensor:
        """Tiles of some rows: (n, c, rows * side, columns * side) to (tile, side^2, c)."""
        n, c, height, width = image.shape
        cut = image.reshape(n, c, height // self.side, self.side, width // self.side, self.side)
        return cut.permute(0, 2, 4, 3, 5, 1).reshape(-1, self.side**2, c)

    def untile(self, tiles: torch.Tensor, n: int) -> torch.Tensor:
        """Inverse of :meth:`tiles`."""
        c = tiles.shape[-1]
        cut = tiles.reshape(n, -1, self.columns, self.side, self.side, c)
        return cut.permute(0, 5, 1, 3, 2, 4).reshape(n, c, -1, self.columns * self.side)

    def surroundings(self, image: torch.Tensor) -> torch.Tensor:
        """Tiles of some rows with surroundings: (n, c, y, x) to (tile, outer^2, c)."""
        c = image.shape[1]
        cut = image.unfold(2, self.outer, self.side).unfold(3, self.outer, self.side)
        return cut.permute(0, 2, 3, 4, 5, 1).reshape(-1, self.outer**2, c)

    def add_up(self, tiles: torch.Tensor, n: int) -> torch.Tensor:
        """Transpose of :meth:`surroundings`: tiles are added where they overlap."""
        columns = tiles.reshape(n, -1, self.outer**2, tiles.shape[-1]).permute(0, 3, 2, 1)
        rows = columns.shape[-1] // self.columns
        size = ((rows - 1) * self.side + self.outer, (self.columns - 1) * self.side + self.outer)
        return F.fold(columns.flatten(1, 2), size, (self.outer, self.outer), stride=self.side)

    def bands(self, n: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
        """Rows of pixels, and these with their surroundings, as many at once as are worth it."""
        # products of a GPU's band fill it; those of a processor's band stay in its cache
        at_once = 1
        if device.type != "cpu":
            of_row = 4 * n * self.columns * self.side**2 * self.outer**2
            at_once = max(1, _GPU_BYTES // of_row)
        for row in range(0, self.rows, at_once):
            first, end = row * self.side, min(row + at_once, self.rows) * self.side
            yield slice(first, end), slice(first, end + 2 * self.radius)

    def window(self, product: torch.Tensor) -> torch.Tensor:
        """View of the shifts of every pixel: (tile, side, side, 2 radius + 1, 2 radius + 1).

        Parameters
        ----------
        product
            (tile, side^2, outer^2), contiguous: every pixel of a tile by its surroundings.
        """
        span = 2 * self.radius + 1
        size = (len(product), self.side, self.side, span, span)
        pixel = self.outer**2
        strides = (
            self.side**2 * pixel,
            self.side * pixel + self.outer,
            pixel + 1,
            self.outer,
            1,
        )
        return product.as_strided(size, strides)


def local_affinity(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    radius: int,
    corner: tuple[int, int] = (0, 0),
    bias: torch.Tensor | None = None,
    outside: bool = False,
) -> torch.Tensor:
    """Warp values of a reference to a target by the affinity of their features.

    Parameters
    ----------
    query
        (n, c, height, width) features of the target, or of a part of it.
    key
        (n, c, y, x) features of the reference; what lies outside counts as out of the slice.
    value
        (n, v, y, x) what is warped: intensities, or one-hot labels.
    radius
        Largest shift in pixels; the window has 2 radius + 1 pixels along each side.
    corner
        Pixel of the reference at which the first pixel of the target stands. Every pixel of the
        target must have one of the reference in its window.
    bias
        (n, 2 radius + 1, 2 radius + 1) what is added to the dot products, by shift; None for 0.
    outside
        Whether shifts that lead out of the reference take part, with the dot product and the value
        0.

    Returns
    -------
    torch.Tensor
        (n, v, height, width), float32; at every pixel a weighted mean of ``value``, and
        with ``outside`` of zeros beside it.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if query.shape[:2] != key.shape[:2] or key.shape[2:] != value.shape[2:]:
        raise ValueError(
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)} "
            "do not belong together"
        )
    if len(query) != len(value):
        raise ValueError(f"{len(value)} values for {len(query)} slices")
    window = len(query), 2 * radius + 1, 2 * radius + 1
    if bias is None:
        bias = query.new_zeros(window)
    if bias.shape != window:
        raise ValueError(f"a bias of {tuple(bias.shape)} for windows of {window}")
    for first, size, whole in zip(corner, query.shape[2:], key.shape[2:], strict=True):
        if first + radius < 0 or first + size - radius > whole:
            raise ValueError(f"a window of radius {radius} lies outside the reference")
    # in half precision the largest of close products would be picked by rounding
    with torch.autocast(query.device.type, enabled=False):
        result: torch.Tensor = _LocalAffinity.apply(
            query.float(), key.float(), value.float(), bias.float(), radius, corner, outside
        )
    return result


class _LocalAffinity(torch.autograd.Function):
    """The products are computed again for the gradient, row by row of tiles."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor,
        radius: int,
        corner: tuple[int, int],
        outside: bool,
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value, bias)
        ctx.radius, ctx.corner, ctx.outside = radius, corner, outside
        n, _, height, width = query.shape
        tiling, queries, keys, values = _padded(query, key, value, radius, corner, outside)
        size = n, value.shape[1], tiling.rows * tiling.side, tiling.columns * tiling.side
        result = torch.empty(size, device=query.device)
        for inner, outer in tiling.bands(n, query.device):
            weights = _weights(
                tiling,
                tiling.tiles(queries[:, :, inner]),
                tiling.surroundings(keys[:, :, outer]),
                bias,
            )
            warped = weights @ tiling.surroundings(values[:, :, outer])
            result[:, :, inner] = tiling.untile(warped, n)
        return result[:, :, :height, :width].contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        with torch.autocast(gradient.device.type, enabled=False):
            return *_LocalAffinity._gradients(ctx, gradient.float()), None, None, None

    @staticmethod
    def _gradients(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        query, key, value, bias = ctx.saved_tensors
        n, c, height, width = query.shape
        tiling, queries, keys, values = _padded(
            query, key, value, ctx.radius, ctx.corner, ctx.outside
        )
        upstream = F.pad(
            gradient,
            (0, tiling.columns * tiling.side - width, 0, tiling.rows * tiling.side - height),
        )
        of_queries, of_keys = torch.zeros_like(queries), torch.zeros_like(keys)
        of_values, of_bias = torch.zeros_like(values), torch.zeros_like(bias)
        for inner, outer in tiling.bands(n, query.device):
            q = tiling.tiles(queries[:, :, inner])
            k, v = (tiling.surroundings(part[:, :, outer]) for part in (keys, values))
            weights = _weights(tiling, q, k, bias)
            g = tiling.tiles(upstream[:, :, inner])
            of_values[:, :, outer] += tiling.add_up(weights.mT @ g, n)
            of_products = g @ v.mT
            inside, change = tiling.window(weights), tiling.window(of_products)
            mean = (inside * change).sum(dim=(-2, -1), keepdim=True)
            derivative = inside * (change - mean)
            of_bias += derivative.view(n, -1, *bias.shape[1:]).sum(dim=1)
            of_products.zero_()
            tiling.window(of_products).copy_(derivative)
            of_queries[:, :, inner] = tiling.untile(of_products @ k, n)
            of_keys[:, :, outer] += tiling.add_up(of_products.mT @ q, n)
        undo = [-part for part in _around(tiling, key, ctx.corner)]
        return (
            of_queries[:, :c, :height, :width].contiguous(),
            F.pad(of_keys[:, :c], undo),
            F.pad(of_values, undo),
            of_bias,
        )


def _padded(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    radius: int,
    corner: tuple[int, int],
    outside: bool,
) -> tuple[_Tiling, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whole tiles; one more feature tells the shifts that lead out of the slice."""
    height, width = query.shape[2:]
    side = min(_TILE, max(height, width))
    tiling = _Tiling(radius, side, -(-height // side), -(-width // side))
    queries = F.pad(query, (0, tiling.columns * side - width, 0, tiling.rows * side - height, 0, 1))
    queries[:, -1] = 1
    around = _around(tiling, key, corner)
    keys = F.pad(F.pad(key, (0, 0, 0, 0, 0, 1)), around)
    if not outside:
        keys[:, -1] = F.pad(torch.zeros_like(key[:, 0]), around, value=_NEVER)
    return tiling, queries, keys, F.pad(value, around)


def _around(tiling: _Tiling, key: torch.Tensor, corner: tuple[int, int]) -> list[int]:
    """Pixels to be added left of, right of, above and below the reference (negative: cut off)."""
    top, left = (tiling.radius - first for first in corner)
    bottom = tiling.rows * tiling.side + 2 * tiling.radius - top - key.shape[2]
    right = tiling.columns * tiling.side + 2 * tiling.radius - left - key.shape[3]
    return [left, right, top, bottom]


def _weights(
    tiling: _Tiling, tiles: torch.Tensor, surroundings: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Softmax over the window of every pixel, (tile, side^2, outer^2), 0 outside the window."""
    product = tiles @ surroundings.mT
    window = tiling.window(product)
    biased = window.view(len(bias), -1, *window.shape[1:]) + bias[:, None, None, None]
    softmax = biased.flatten(-2).softmax(dim=-1).view(window.shape)
    product.zero_()
    window.copy_(softmax)
    return product
