"""Tiny volumes and other things that several tests share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.dataset_tools.make_dataset import SparseDataset

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


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def made(result: SparseDataset) -> Path:
    assert result.folder is not None
    return result.folder


def check_sparse_labels(result: SparseDataset, base: Path, ending: str = ".nii.gz") -> None:
    """Invariant 1: annotated slices are the base's, all else is ignore, geometry is kept."""
    folder = made(result)
    ignore = read_json(folder / "dataset.json")["labels"]["ignore"]
    for case_id, case in result.selection.cases.items():
        dense_file = base / "labelsTr" / f"{case_id}{ending}"
        sparse_file = folder / "labelsTr" / f"{case_id}{ending}"
        dense, sparse = array(dense_file), array(sparse_file)
        dense = np.moveaxis(dense, result.selection.axis, 0)
        sparse = np.moveaxis(sparse, result.selection.axis, 0)
        assert len(dense) == case.num_slices
        for i in range(case.num_slices):
            expected = dense[i] if i in case.slices else np.full_like(dense[i], ignore)
            np.testing.assert_array_equal(sparse[i], expected)
        one, other = sitk.ReadImage(str(dense_file)), sitk.ReadImage(str(sparse_file))
        assert one.GetSpacing() == other.GetSpacing()
        assert one.GetOrigin() == other.GetOrigin()
        assert one.GetDirection() == other.GetDirection()
