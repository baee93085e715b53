"""A person who annotates a campaign: edits the prefilled files slice by slice, from the truth."""

import csv
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

Edit = Callable[[np.ndarray], None]
Slice = tuple[str, int]


def read_rows(campaign: Path) -> list[dict[str, str]]:
    with (campaign / "worklist.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(campaign: Path, rows: list[dict[str, str]]) -> None:
    with (campaign / "worklist.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def load(file: Path) -> np.ndarray:
    """Label as it is stored, (x, y, z)."""
    return np.asarray(nibabel.load(file).dataobj).copy()  # type: ignore[attr-defined]


def edit(file: Path, change: Edit) -> None:
    """Change voxels (x, y, z) of a label and save it under its name, as a tool does."""
    image: Any = nibabel.load(file)
    voxels = np.asarray(image.dataobj).copy()
    change(voxels)
    nibabel.save(nibabel.Nifti1Image(voxels, None, image.header), file)


def annotate(
    campaign: Path, truth: Path, forgotten: Collection[Slice] = (), minutes: float | None = None
) -> None:
    """Paint every slice of the worklist; say of those without an object that they are empty.

    Slices that are forgotten are left as they are. The truth is a folder of dense labels.
    """
    rows = read_rows(campaign)
    for row in rows:
        case_id, index, axis = row["case"], int(row["slice"]), int(row["axis"])
        if (case_id, index) in forgotten:
            continue
        where: list[Any] = [slice(None)] * 3
        where[2 - axis] = index  # the file's axes are those of the array from last to first
        painted = load(truth / f"{case_id}.nii.gz")[tuple(where)]

        def paint(
            voxels: np.ndarray,
            where: tuple[Any, ...] = tuple(where),
            painted: np.ndarray = painted,
        ) -> None:
            voxels[where] = painted

        if painted.any():
            edit(campaign / "labels" / f"{case_id}.nii.gz", paint)
        else:
            row["confirmed_empty"] = "yes"
        if minutes is not None:
            row["minutes"], row["annotator"] = f"{minutes:g}", "Ada"
    write_rows(campaign, rows)
