"""Shares of the classes at the pixels of a slice, kept where there is an object."""

from dataclasses import dataclass, replace

import numpy as np

# smaller shares are dropped, so that the box does not grow by the whole window with every warp
_SMALLEST_SHARE = 0.02


@dataclass(frozen=True)
class SoftLabel:
    """Label of a slice between classes.

    Attributes
    ----------
    values
        Label values of the foreground classes that the slice shows.
    top, left
        Corner of the box that holds them.
    shares
        (class, height, width) float32, share of each of these classes at the pixels of the box; the
        rest, and everything outside the box, is background.
    """

    values: tuple[int, ...]
    top: int
    left: int
    shares: np.ndarray

    @classmethod
    def of_slice(cls, label: np.ndarray) -> "SoftLabel":
        """Shares of 0 and 1 of a slice (y, x) of integers; 0 is background."""
        values = tuple(int(value) for value in np.unique(label) if value)
        shares = np.stack([label == value for value in values]) if values else _nothing(label)
        return cls(values, 0, 0, shares.astype(np.float32)).trimmed()

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the slice that the box covers."""
        height, width = self.shares.shape[1:]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def is_empty(self) -> bool:
        """Whether no pixel belongs to an object rather than to the background."""
        return not self.shares.size or not (self._winner() >= 0).any()

    def trimmed(self) -> "SoftLabel":
        """Without small shares, and with the smallest box and the fewest classes that are left."""
        shares = np.where(self.shares < _SMALLEST_SHARE, 0, self.shares)
        kept = np.flatnonzero(shares.any(axis=(1, 2)))
        rows, columns = (np.flatnonzero(shares.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        if not len(rows):
            return SoftLabel((), self.top, self.left, np.zeros((0, 0, 0), np.float32))
        values = tuple(self.values[number] for number in kept)
        box = shares[kept, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return SoftLabel(values, self.top + int(rows[0]), self.left + int(columns[0]), box)

    def rounded(self) -> "SoftLabel":
        """With the class that wins alone at every pixel."""
        if not self.shares.size:
            return self
        winner, classes = self._winner(), np.arange(len(self.values))
        shares = (winner == classes[:, None, None]).astype(np.float32)
        return replace(self, shares=shares).trimmed()

    def halved(self) -> "SoftLabel":
        """The same in half of the memory."""
        return replace(self, shares=self.shares.astype(np.float16))

    def write(self, label: np.ndarray, confidence: np.ndarray) -> None:
        """Write the class that wins, and its share, into a slice (y, x) of background."""
        label[:] = 0
        confidence[:] = 1
        if not self.shares.size:
            return
        box = self.box
        winner = self._winner()
        background = 1 - self.shares.sum(axis=0)
        label[box] = np.where(winner >= 0, np.array(self.values)[winner], 0)
        confidence[box] = np.where(winner >= 0, self.shares.max(axis=0), background)

    def share_of(self, label: np.ndarray) -> np.ndarray:
        """Share at each pixel of a slice (y, x) of the class that another label has there."""
        share: np.ndarray = (label == 0).astype(np.float32)
        if not self.shares.size:
            return share
        box = self.box
        share[box] *= 1 - self.shares.sum(axis=0)
        for value, plane in zip(self.values, self.shares, strict=True):
            share[box] += (label[box] == value) * plane
        return share

    def _winner(self) -> np.ndarray:
        """Position of the class with the largest share, -1 for the background."""
        background = 1 - self.shares.sum(axis=0)
        return np.where(self.shares.max(axis=0) > background, self.shares.argmax(axis=0), -1)


def average(first: SoftLabel, second: SoftLabel, weight: float) -> SoftLabel:
    """Mean of two soft labels of a slice; ``weight`` is that of the first."""
    values = tuple(sorted({*first.values, *second.values}))
    parts = [part for part in (first, second) if part.shares.size]
    if not parts:
        return first
    top, left = min(part.top for part in parts), min(part.left for part in parts)
    bottom = max(part.top + part.shares.shape[1] for part in parts)
    right = max(part.left + part.shares.shape[2] for part in parts)
    shares = np.zeros((len(values), bottom - top, right - left), np.float32)
    for part, share in ((first, weight), (second, 1 - weight)):
        height, width = part.shares.shape[1:]
        y, x = part.top - top, part.left - left
        for value, plane in zip(part.values, part.shares, strict=True):
            shares[values.index(value), y : y + height, x : x + width] += share * plane
    return SoftLabel(values, top, left, shares)


def _nothing(label: np.ndarray) -> np.ndarray:
    return np.zeros((0, *label.shape), bool)
