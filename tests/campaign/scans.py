"""Volumes without labels, and a dense truth for the person who annotates them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tiny import write_volume

SHAPE = (12, 9, 8)


def write_scans(
    folder: Path, cases: Sequence[str] = ("a", "b", "c", "d"), ending: str = ".nii.gz"
) -> Path:
    """Images with a bright ball, and ``truth`` beside the folder: 1 in the ball, 2 in its core."""
    for number, case_id in enumerate(cases):
        image, label = scan(number)
        write_volume(folder / f"{case_id}{ending}", image)
        write_volume(folder.parent / "truth" / f"{case_id}.nii.gz", label)
    return folder


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and label (z, y, x) of a volume; its first and last slices show no object."""
    centre = np.array([5.5, 4, 3.5]) + (number % 3 - 1) * 0.5
    z, y, x = np.indices(SHAPE)
    distance = np.sqrt(((np.stack([z, y, x], -1) - centre) ** 2).sum(-1))
    label = (distance < 3.6).astype(np.uint8) + (distance < 1.8)
    noise = np.random.default_rng(number).normal(scale=0.3, size=SHAPE)
    return (label + noise).astype(np.float32), label.astype(np.uint8)
