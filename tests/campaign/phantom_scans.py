"""Phantoms as a team would have them: volumes to be annotated, and others to be predicted."""

from pathlib import Path

import numpy as np
from tiny import write_volume

SHAPE = (20, 32, 32)


def write_phantoms(folder: Path, num_train: int, num_test: int) -> None:
    """``scans`` and ``truth`` for annotation; ``test`` (nnU-Net's names) and ``test_truth``."""
    for number in range(num_train + num_test):
        image, label = _phantom(number)
        if number < num_train:
            write_volume(folder / "scans" / f"scan {number}.nii.gz", image)
            write_volume(folder / "truth" / f"scan_{number}.nii.gz", label)
        else:
            write_volume(folder / "test" / f"scan_{number}_0000.nii.gz", image)
            write_volume(folder / "test_truth" / f"scan_{number}.nii.gz", label)


def _phantom(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A ball with a core; none of it on the first and last four slices."""
    rng = np.random.default_rng(number)
    centre = np.array([9.5, 15, 16]) + rng.uniform(-1, 1, 3)
    distance = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - centre, axis=-1)
    label = (distance < 4.9).astype(np.uint8) + (distance < 3)
    image = 100 * label + rng.normal(0, 20, SHAPE)
    return image.astype(np.float32), label.astype(np.uint8)
