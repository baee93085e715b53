"""Tiny volumes and other things that several tests share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def write_volume(
    path: Path,
    array: np.ndarray,
    spacing: Sequence[float] = (1.0, 1.5, 2.0),
    direction: Sequence[float] = OBLIQUE,
    origin: Sequence[float] = (-10.0, 20.5, 3.25),
) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)


def random_label(
    rng: np.random.Generator, shape: tuple[int, ...], num_labels: int = 3
) -> np.ndarray:
    return rng.integers(0, num_labels, shape).astype(np.uint8)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content; lock files left out."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b""
        for p in sorted(folder.rglob("*"))
        if not p.name.endswith(".lock")
    }
