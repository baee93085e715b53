"""The properties that nnU-Net keeps of a preprocessed case, as a pickle, in data of strangers.

nnU-Net itself runs whatever such a file asks for. The doctor reads them without, before it lets
nnU-Net open any.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.doctor.finding import Finding
from nnunet_sparse.doctor.raw_checks import named
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.plain_pickle import read_plain_pickle

_MAX_DIMENSIONS = 4
_SHAPE, _BOX = "shape_before_cropping", "bbox_used_for_cropping"


def read_properties(file: Path) -> dict[str, Any]:
    """Properties of a case, of which shape and box before cropping are whole numbers.

    Raises
    ------
    SparseError
        If the file holds anything that nnU-Net never writes, or cannot be read.
    """
    try:
        content = read_plain_pickle(file)
    except OSError as error:
        raise SparseError(f"{file} cannot be read: {error.strerror or error}") from error
    never = f"{file} holds what nnU-Net never writes"
    if type(content) is not dict:
        raise SparseError(f"{never}: a {type(content).__name__}, not a dict")
    for key, num in {_SHAPE: 1, _BOX: 2}.items():
        value: Any = content.get(key)
        is_right = _are_counts(value, num) and (num == 1 or all(len(ends) == 2 for ends in value))
        if not is_right:
            raise SparseError(f"{never}: {key} are no whole numbers from 0 on")
    return content


def _are_counts(value: Any, num_axes: int) -> bool:
    if num_axes == 0:
        return isinstance(value, int | np.integer) and bool(value >= 0)
    is_list = isinstance(value, list | tuple | np.ndarray)
    return (
        is_list
        and len(value) <= _MAX_DIMENSIONS
        and all(_are_counts(inner, num_axes - 1) for inner in value)
    )


def strange_properties(folder: Path, cases: Iterable[str], configuration: str) -> Finding | None:
    """Finding about files that hold what nnU-Net never writes; None if there are none."""
    wrong: dict[str, str] = {}
    for case_id in cases:
        try:
            read_properties(folder / f"{case_id}.pkl")
        except SparseError as error:
            wrong[case_id] = str(error)
    if not wrong:
        return None
    return Finding(
        check="properties",
        verdict="broken",
        number=len(wrong),
        found=f"of {len(wrong)} cases ({named(list(wrong))}) the properties are damaged, or hold "
        f"what nnU-Net never writes: {next(iter(wrong.values()))}",
        advice="do not train on these data, nnU-Net would run what such a file asks for; "
        "preprocess again",
        configuration=configuration,
        details={"cases": wrong},
    )
