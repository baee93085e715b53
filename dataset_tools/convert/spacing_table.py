"""A table of voxel sizes for volumes whose headers have lost them."""

from pathlib import Path

from nnunet_sparse.dataset_tools.convert.target_grid import Triple
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import read_spreadsheet
from nnunet_sparse.system.spreadsheet_cells import decimal_number
from nnunet_sparse.system.wording import brief

_COLUMNS = ("case", "z", "y", "x")
_BEYOND = "beyond the last column"


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
    table = read_spreadsheet(file, _BEYOND, _COLUMNS)
    if missing := [name for name in _COLUMNS if name not in table.names]:
        raise SparseError(f"{file} lacks the column {missing[0]} (it needs {', '.join(_COLUMNS)})")
    found: dict[str, Triple] = {}
    for line, row in table.rows:
        where = f"{file}, line {line}"
        if row.get(_BEYOND):  # decimal commas that are not told from separators
            raise SparseError(f"{where} has more cells than the first line")
        case_id = row["case"].strip()
        if case_id in found:
            raise SparseError(f"{where}: case {case_id} is there twice")
        z, y, x = (
            _millimetres(row[name], table.delimiter, f"{where}: {name}") for name in _COLUMNS[1:]
        )
        found[case_id] = (z, y, x)
    return found


def _millimetres(text: str, delimiter: str, where: str) -> float:
    number = decimal_number(text, delimiter)
    if number is None or number <= 0:
        raise SparseError(f"{where} must be a number of mm above 0, got {brief(text)}")
    return number
