"""Image and label of a case, slice by slice, for pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import Case, RawDataset

# soft tissue
_CT_WINDOW_HU = (-150.0, 250.0)


@dataclass(frozen=True)
class SlicedVolume:
    """First channel and label of a case, with the slice axis first.

    Attributes
    ----------
    image, label
        (num_slices, y, x).
    spacing_mm
        (3,) voxel sizes, in the order of the axes.
    window
        Intensities that are drawn black and white.
    """

    image: np.ndarray
    label: np.ndarray
    spacing_mm: np.ndarray
    window: tuple[float, float]


def read_sliced_volume(
    dataset: RawDataset, case: Case, label: Path | None, axis: int
) -> SlicedVolume:
    """Read the first channel of a case, and a label of it.

    Parameters
    ----------
    dataset
        Data set of the case.
    case
        Its files.
    label
        Label file, of the case or predicted for it; it must be there.
    axis
        Slice axis of the array as read.

    Raises
    ------
    SparseError
        If a file cannot be read.
    """
    assert label is not None
    reader = dataset.reader()
    image, spacing = read_image(case.images, reader)
    channel = str(next(iter(dataset.channel_names.values())))
    return SlicedVolume(
        np.moveaxis(image[0], axis, 0),
        np.moveaxis(read_label(label, reader), axis, 0),
        np.array([spacing[axis], *np.delete(spacing, axis)]),
        window_of(image[0], channel),
    )


def window_of(image: np.ndarray, channel_name: str) -> tuple[float, float]:
    """Intensities that are drawn black and white: soft tissue of a CT, else percentiles."""
    is_ct = channel_name.upper() == "CT"
    low, high = _CT_WINDOW_HU if is_ct else np.nanpercentile(image, (1, 99))
    return float(low), max(float(high), float(low) + 1e-6)


def windowed(pixels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Brightness in 0..1: what is black and white stands in the window."""
    low, high = window
    shares: np.ndarray = np.clip((pixels - low) / (high - low), 0, 1)
    return shares
