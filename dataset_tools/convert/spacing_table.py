"""A table of voxel sizes for volumes whose headers have lost them."""

import csv
import io
import math
from pathlib import Path

from nnunet_sparse.dataset_tools.convert.target_grid import Triple
from nnunet_sparse.system.errors import SparseError

_COLUMNS = ("case", "z", "y", "x")
_DELIMITERS = ",;\t"


def read_spacings(file: Path) -> dict[str, Triple]:
    """Voxel sizes in mm, (z, y, x), by case.

    Parameters
    ----------
    file
        Table with the columns ``case``, ``z``, ``y`` and ``x``, as spreadsheets save CSV: separated
        by commas, semicolons or tabs; numbers may have a decimal comma.

    Raises
    ------
    SparseError
        If the file is no such table, or a size is no number above 0.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SparseError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SparseError(f"{file} is no text; save the table as CSV (UTF-8)") from error
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    table = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    if missing := [name for name in _COLUMNS if name not in (table.fieldnames or ())]:
        raise SparseError(f"{file} lacks the column {missing[0]} (it needs {', '.join(_COLUMNS)})")
    found: dict[str, Triple] = {}
    for row in table:
        where = f"{file}, line {table.line_num}"
        if None in row:
            raise SparseError(f"{where} has more cells than the first line")
        case_id = (row["case"] or "").strip()
        if case_id in found:
            raise SparseError(f"{where}: case {case_id} is there twice")
        z, y, x = (_millimetres(row[name] or "", f"{where}: {name}") for name in _COLUMNS[1:])
        found[case_id] = (z, y, x)
    return found


def _millimetres(text: str, where: str) -> float:
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise SparseError(f"{where} must be a number of mm above 0, got {text!r}")
    return number
