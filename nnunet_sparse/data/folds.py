"""nnU-Net's split file: which cases each fold trains on and validates."""

import json
from pathlib import Path
from typing import Any

from nnunet_sparse.system.errors import SparseError

SPLITS_FILE = "splits_final.json"
DEFAULT_REPEATS = 3
_PARTS = ("train", "val")


def read_splits(file: Path) -> list[dict[str, set[str]]]:
    """Training and validation cases of each fold.

    Raises
    ------
    SparseError
        If the file does not have nnU-Net's form.
    """
    return [{part: set(map(str, split[part])) for part in _PARTS} for split in read_folds(file)]


def read_folds(file: Path) -> list[dict[str, Any]]:
    """Content of the file, once it has been checked.

    Raises
    ------
    SparseError
        If the file does not have nnU-Net's form.
    """
    try:
        splits = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SparseError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(splits, list) or not splits or not all(map(_is_fold, splits)):
        raise SparseError(
            f'{file} must be a list of {{"train": [cases], "val": [cases]}}, one for each fold'
        )
    return splits


def _is_fold(split: Any) -> bool:
    return isinstance(split, dict) and all(isinstance(split.get(part), list) for part in _PARTS)
