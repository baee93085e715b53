"""The same anatomy in fewer slices, each as thick as several of those that were drawn."""

import numpy as np


def thick_slices(
    image: np.ndarray, label: np.ndarray, num_slices: int
) -> tuple[np.ndarray, np.ndarray]:
    """Join slices that lie on each other.

    Parameters
    ----------
    image, label
        (z, y, x), of a whole multiple of ``num_slices`` slices.
    num_slices
        How many there are to be.

    Returns
    -------
    tuple of np.ndarray
        (num_slices, y, x), of the same types: the image's mean, as partial volumes have it, and the
        label that most of the joined voxels have, the smaller one of two that are as frequent.
    """
    stacked = (num_slices, -1, *image.shape[1:])
    mean = np.rint(image.reshape(stacked).mean(axis=1)).astype(image.dtype)
    votes = label.reshape(stacked)
    counts = [(votes == value).sum(axis=1) for value in range(int(label.max()) + 1)]
    return mean, np.argmax(counts, axis=0).astype(label.dtype)
