"""A label kept slice by slice, compressed: most slices hold one value."""

import zlib

import numpy as np

_LEVEL = 1


class PlaneStore:
    """The slices of a label.

    Parameters
    ----------
    label
        (z, y, x) integers.
    axis
        Slice axis.
    """

    def __init__(self, label: np.ndarray, axis: int) -> None:
        self._shape, self._axis, self._dtype = label.shape, axis, label.dtype
        self._planes = [self._packed(plane) for plane in np.moveaxis(label, axis, 0)]

    def __len__(self) -> int:
        return len(self._planes)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values."""
        return self._dtype

    def __getitem__(self, index: int) -> np.ndarray:
        """A slice, (rows, columns); the caller's own."""
        packed, shape = self._planes[index], self._plane_shape
        if isinstance(packed, int):
            return np.full(shape, packed, self._dtype)
        return np.frombuffer(zlib.decompress(packed), self._dtype).reshape(shape).copy()

    def __setitem__(self, index: int, plane: np.ndarray) -> None:
        self._planes[index] = self._packed(plane.astype(self._dtype, copy=False))

    def is_filled(self, index: int, value: int) -> bool:
        """Whether a slice holds one value alone, and this one."""
        return self._planes[index] == value

    def whole(self) -> np.ndarray:
        """The label, (z, y, x)."""
        label = np.empty(self._shape, self._dtype)
        planes = np.moveaxis(label, self._axis, 0)
        for i, packed in enumerate(self._planes):
            planes[i] = packed if isinstance(packed, int) else self[i]
        return label

    @property
    def _plane_shape(self) -> tuple[int, ...]:
        return tuple(n for axis, n in enumerate(self._shape) if axis != self._axis)

    def _packed(self, plane: np.ndarray) -> int | bytes:
        first = plane.flat[0]
        if (plane == first).all():
            return int(first)
        return zlib.compress(np.ascontiguousarray(plane).tobytes(), _LEVEL)


def plane_check(plane: np.ndarray) -> int:
    """Number by which a slice is told from what it was before (CRC-32 of its values)."""
    return zlib.crc32(np.ascontiguousarray(plane).tobytes())
