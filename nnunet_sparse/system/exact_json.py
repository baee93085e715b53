"""JSON that gives back what was written: tuples, and numbers and arrays of numpy.

Numbers, text, true, false and null stand for themselves, and so do lists. Everything else is an
object with one key, which says what it is: ``tuple``, ``dict``, ``scalar`` or ``array``.
"""

import json
from typing import Any

import numpy as np

_KINDS = "biuf"  # of numpy's types


def to_json(value: Any) -> Any:
    """What ``json.dumps`` takes, and :func:`from_json` turns back.

    Parameters
    ----------
    value
        None, bool, int, float, str, lists, tuples and dicts of text to such values, and numbers and
        arrays of numpy.

    Raises
    ------
    TypeError
        If it is, or holds, anything else.
    """
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if type(value) is list:
        return [to_json(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [to_json(item) for item in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: to_json(item) for key, item in value.items()}}
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in _KINDS:
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        values = value.ravel().tolist()
        return {kind: {"dtype": value.dtype.str, "shape": list(value.shape), "values": values}}
    raise TypeError(f"{type(value).__name__} cannot be kept")


def from_json(content: Any) -> Any:
    """The inverse of :func:`to_json`.

    Raises
    ------
    ValueError
        If the content is not what :func:`to_json` gives.
    """
    if not isinstance(content, dict):
        return [from_json(item) for item in content] if isinstance(content, list) else content
    try:
        ((kind, inner),) = content.items()
        if kind == "tuple":
            return tuple(from_json(item) for item in inner)
        if kind == "dict":
            return {key: from_json(item) for key, item in inner.items()}
        dtype = np.dtype(inner["dtype"])
        if dtype.kind not in _KINDS:
            raise TypeError(f"there are no arrays of {dtype}")
        array = np.array(inner["values"], dtype).reshape(inner["shape"])
        return {"array": array, "scalar": array[()]}[kind]
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"not written by this program: {json.dumps(content)[:80]}") from error
