"""Reading JSON that anybody may have written: what was meant, or one line that says why not.

Python's reader takes NaN and infinity, which are no JSON, halves of characters, which no file can
be written with, and ends with errors of its own where lists are nested deeply.
"""

import json
from collections.abc import Callable
from math import isinf
from pathlib import Path
from typing import Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.regular_files import read_regular

_MAX_DIGITS = 300
_MAX_DEPTH = 100  # what nnU-Net and this program write is nested less


def load_json(file: Path, constant: Callable[[str], Any] | None = None) -> Any:
    """Content of a JSON file.

    Parameters
    ----------
    file
        The file.
    constant
        What stands for ``NaN``, ``Infinity`` and ``-Infinity``, which nnU-Net writes into some of
        its files: ``float`` for themselves. None: files with one of them are refused.

    Raises
    ------
    SparseError
        With the file's name, if it is not JSON in UTF-8, or nested too deeply.
    OSError
        If it cannot be read.
    """
    content = read_regular(file)
    try:
        return parse_json(content.decode("utf-8"), constant)
    except UnicodeDecodeError as error:
        raise SparseError(f"{file} is not valid JSON: it is no text in UTF-8") from error
    except ValueError as error:
        raise SparseError(f"{file} is not valid JSON: {error}") from error


def read_json(file: Path) -> Any:
    """Content of a JSON file of ours; None if it is missing or damaged."""
    try:
        return load_json(file)
    except (OSError, SparseError):
        return None


def parse_json(text: str, constant: Callable[[str], Any] | None = None) -> Any:
    """Content of a text; ``constant`` as for :func:`load_json`.

    Raises
    ------
    ValueError
        If it is not JSON, or nested too deeply.
    """
    of_constant = constant or _refused

    def number(digits: str) -> Any:
        value = float(digits)  # infinite beyond the largest float
        return of_constant("-Infinity" if value < 0 else "Infinity") if isinf(value) else value

    def whole(digits: str) -> int:
        if len(digits) > _MAX_DIGITS:  # more than a float can be
            raise ValueError(f"{digits[:20]}... is too large a number")
        return int(digits)

    try:
        content = json.loads(text, parse_constant=of_constant, parse_float=number, parse_int=whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_depth(content)
    if "\\u" in text:
        _check_characters(content)
    return content


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _check_characters(content: Any) -> None:
    """Refuse halves of characters, with which no text can be written."""
    try:
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character (a surrogate without the other)") from error
