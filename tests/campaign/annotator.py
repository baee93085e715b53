"""A person who annotates a campaign: edits the prefilled files slice by slice, from the truth.

As a program: ``python tests/campaign/annotator.py CAMPAIGN FOLDER_OF_DENSE_LABELS``. It paints what
is not painted yet and sets geometries right; with ``--forget`` and ``--break`` it makes mistakes.
"""

import argparse
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


def confirm_predictions(campaign: Path) -> None:
    """Say of every slice that what the label holds is right."""
    rows = read_rows(campaign)
    write_rows(campaign, [{**row, "confirmed": "yes"} for row in rows])


def annotate(
    campaign: Path, truth: Path, forgotten: Collection[Slice] = (), minutes: float | None = None
) -> None:
    """Paint every slice of the worklist; say of those without an object that they are empty.

    Slices that are forgotten are left as they are. The truth is a folder of dense labels.
    """
    rows = read_rows(campaign)
    slices: dict[str, dict[int, np.ndarray]] = {}
    for row in rows:
        case_id, index, axis = row["case"], int(row["slice"]), int(row["axis"])
        if (case_id, index) in forgotten or row["status"] in {"done", "confirmed empty"}:
            continue
        # the file's axes are those of the array from last to first
        painted = np.moveaxis(load(truth / f"{case_id}.nii.gz"), 2 - axis, 0)[index]
        if painted.any():
            slices.setdefault(case_id, {})[index] = painted
        else:
            row["confirmed_empty"] = "yes"
            label = campaign / "labels" / f"{case_id}.nii.gz"
            if label.is_file() and np.moveaxis(load(label), 2 - axis, 0)[index].any():
                slices.setdefault(case_id, {})[index] = painted  # over what was predicted
        if minutes is not None:
            row["minutes"], row["annotator"] = f"{minutes:g}", "Ada"
    for case_id, planes in slices.items():

        def paint(
            voxels: np.ndarray, axis: int = axis, planes: dict[int, np.ndarray] = planes
        ) -> None:
            for index, painted in planes.items():
                np.moveaxis(voxels, 2 - axis, 0)[index] = painted

        edit(campaign / "labels" / f"{case_id}.nii.gz", paint)
    write_rows(campaign, rows)


def break_geometry(campaign: Path, case_id: str) -> None:
    """Save a label as a program does that knows nothing of positions."""
    file = campaign / "labels" / f"{case_id}.nii.gz"
    affine = nibabel.load(file).affine @ np.diag([2.0, 1, 1, 1])  # type: ignore[attr-defined]
    nibabel.save(nibabel.Nifti1Image(load(file), affine), file)


def repair_geometry(campaign: Path, case_id: str) -> None:
    """Give a label the position of its image again."""
    file = campaign / "labels" / f"{case_id}.nii.gz"
    image: Any = nibabel.load(campaign / "images" / f"{case_id}_0000.nii.gz")
    label: Any = nibabel.load(file)
    if not np.allclose(image.affine, label.affine):
        nibabel.save(nibabel.Nifti1Image(load(file), image.affine), file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--forget", type=int, default=0, help="slices that show an object")
    parser.add_argument("--break", type=int, default=0, dest="broken", help="files to break")
    parser.add_argument("--minutes", type=float, help="time for a slice")
    args = parser.parse_args()
    rows = read_rows(args.campaign)
    cases = sorted({row["case"] for row in rows})
    for case_id in cases:
        repair_geometry(args.campaign, case_id)
    shown = [
        (row["case"], int(row["slice"]))
        for row in rows
        if np.moveaxis(load(args.truth / f"{row['case']}.nii.gz"), 2 - int(row["axis"]), 0)[
            int(row["slice"])
        ].any()
    ]
    annotate(args.campaign, args.truth, shown[: args.forget], args.minutes)
    for case_id in cases[len(cases) - args.broken :]:
        break_geometry(args.campaign, case_id)


if __name__ == "__main__":
    main()
