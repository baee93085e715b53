"""What was done to each case: ``conversion.json`` and ``conversion.csv``."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_sparse.dataset_tools.convert.source_cases import LabelledVolume, SourceCase
from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid
from nnunet_sparse.system.atomic import write_json, write_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.software import software
from nnunet_sparse.system.spreadsheet_cells import safe_cell

REPORT_FILE = "conversion.json"
TABLE_FILE = "conversion.csv"
Record = dict[str, Any]


def read_parameters(folder: Path) -> dict[str, Any] | None:
    """Parameters of a converted data set; None for any other folder."""
    content = read_json(folder / REPORT_FILE)
    parameters = content.get("parameters") if isinstance(content, dict) else None
    return parameters if isinstance(parameters, dict) else None


def check_replaceable(folder: Path) -> None:
    """Refuse to overwrite what no converter has made.

    Raises
    ------
    SparseError
        If the folder has no valid ``conversion.json``.
    """
    if read_parameters(folder) is None:
        raise SparseError(f"{folder} is not a converted data set, it will not be overwritten")


def case_record(
    case: SourceCase,
    root: Path,
    volume: LabelledVolume,
    grid: TargetGrid,
    label: sitk.Image,
    labels: Mapping[str, int],
) -> Record:
    """Describe the conversion of one case.

    Shapes and spacings are (z, y, x), origins (x, y, z), all after reorientation.

    Parameters
    ----------
    case, root
        Source files; they are recorded relative to the root where they are below it.
    volume
        What was read.
    grid, label
        What was written.
    labels
        Label values by name.
    """
    return {
        "patient": case.patient,
        "image": _relative(case.image, root),
        "labels": [_relative(file, root) for file in case.labels],
        "label_placement": volume.placement,
        "stored_axes": volume.stored_axes,
        "spacing_from": volume.spacing_from,
        "source": _geometry(volume.image),
        "target": _geometry(label),
        "shift_voxels": list(grid.shift),
        "enlarged_voxels": list(grid.enlarged),
        "voxels": {
            name: {"before": _count(volume.label, value), "after": _count(label, value)}
            for name, value in labels.items()
            if value
        },
    }


def write_report(
    folder: Path,
    parameters: Mapping[str, Any],
    left_out: Mapping[str, str],
    cases: Mapping[str, Record],
) -> None:
    """Write both files.

    Parameters
    ----------
    folder
        The data set's.
    parameters
        What decides its content.
    left_out
        Why, by case.
    cases
        Record of every case, with its part of the split.
    """
    content = {
        "version": 1,
        "parameters": parameters,
        "software": software(),
        "left_out": left_out,
        "cases": cases,
    }
    write_json(folder / REPORT_FILE, content)
    rows = [_row(case_id, record) for case_id, record in cases.items()]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([*map(safe_cell, row)] for row in (rows[0], *(r.values() for r in rows)))
    write_text(folder / TABLE_FILE, text.getvalue())


def _row(case_id: str, record: Record) -> dict[str, Any]:
    """A record as a row: lists become numbers with spaces between them."""
    row: dict[str, Any] = {"case": case_id}
    for key in ("part", "patient", "image", "label_placement", "stored_axes"):
        row[key] = record[key]
    for when in ("source", "target"):
        for key in ("shape", "spacing_mm", "origin_mm"):
            row[f"{when}_{key}"] = " ".join(f"{v:g}" for v in record[when][key])
    for key in ("shift_voxels", "enlarged_voxels"):
        row[key] = " ".join(map(str, record[key]))
    for name, voxels in sorted(record["voxels"].items()):
        row |= {f"{name}_{when}": voxels[when] for when in ("before", "after")}
    for key in ("restored_objects", "foreground_lost", "spacing_from"):
        row[key] = record[key]
    return row


def _geometry(image: sitk.Image) -> dict[str, Any]:
    return {
        "shape": list(image.GetSize()[::-1]),
        "spacing_mm": [round(mm, 6) for mm in image.GetSpacing()[::-1]],
        "origin_mm": [round(mm, 4) for mm in image.GetOrigin()],
    }


def _count(label: sitk.Image, value: int) -> int:
    return int(np.count_nonzero(sitk.GetArrayViewFromImage(label) == value))


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
