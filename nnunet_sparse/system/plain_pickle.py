"""Reading pickles of strangers: data only, no code.

nnU-Net keeps the properties of preprocessed cases as pickles, and a pickle may call anything when
it is read. What nnU-Net writes are containers and numbers of Python, and arrays of numpy; nothing
else is read here. Arrays and their types are made here from what the pickle says of them, since
numpy believes it: types of a pickle's making turn bytes into pointers.
"""

import io
import math
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.regular_files import read_regular

_NUMPY_MODULES = ("numpy.core", "numpy._core")  # before numpy 2, and since
_NUMBERS_AND_TEXTS = re.compile(r"[biufc](1|2|4|8|16|32)|[SU]\d{1,6}")
_MAX_DEPTH = 100
_VALUES = (type(None), bool, int, float, complex, str, bytes, bytearray, np.generic)


class _StoredType:
    """A type of numpy, by its code: numbers and texts, no objects and no structures."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _NUMBERS_AND_TEXTS.fullmatch(code):
            raise pickle.UnpicklingError(f"it asks for the type {str(code)[:40]!r} of numpy")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _version, order, subtype, names, fields, *_ = state
        if (subtype, names, fields) != (None, None, None):
            raise pickle.UnpicklingError("it asks for a structured type of numpy")
        self.dtype = self.dtype.newbyteorder(order)


class _StoredArray:
    """An array that is filled when its state is read."""

    array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, in_columns, content = state
        self.array = _array(content, dtype, shape, "F" if in_columns else "C")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Array of the bytes that are there, no more and no less."""
    if not isinstance(content, bytes | bytearray) or type(dtype) is not _StoredType:
        raise pickle.UnpicklingError("it holds an array that is not made of bytes")
    if any(type(n) is not int or n < 0 for n in shape):
        raise pickle.UnpicklingError("it holds an array of an impossible shape")
    if math.prod(shape) * dtype.dtype.itemsize != len(content):
        raise pickle.UnpicklingError("it holds an array of more or fewer bytes than its shape")
    return np.ndarray(tuple(shape), dtype.dtype, bytes(content), order=order).copy(order="K")


def _reconstruct(kind: Any, *_: object) -> _StoredArray:
    if kind is not _StoredArray:
        raise pickle.UnpicklingError("it asks for an array of another class")
    return _StoredArray()


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> _StoredArray:
    stored = _StoredArray()
    stored.array = _array(content, dtype, shape, order)
    return stored


def _scalar(dtype: Any, content: Any) -> Any:
    return _array(content, dtype, (), "C")[()]


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as protocols 0 to 2 keep them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {str(encoding)[:40]!r}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _StoredArray,
    ("numpy", "dtype"): _StoredType,
    **{(f"{module}.multiarray", "_reconstruct"): _reconstruct for module in _NUMPY_MODULES},
    **{(f"{module}.multiarray", "scalar"): _scalar for module in _NUMPY_MODULES},
    **{(f"{module}.numeric", "_frombuffer"): _frombuffer for module in _NUMPY_MODULES},
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
}
_BUILTINS_OF_OLD = "__builtin__"


# the one in C sets memory aside for as many remembered objects as the file claims to have
_Unpickler: Any = pickle._Unpickler


class _PlainUnpickler(_Unpickler):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Unpickler.dispatch)

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._length = len(content)

    def find_class(self, module: str, name: str) -> Any:
        key = (module if module != _BUILTINS_OF_OLD else "builtins", name)
        if key not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ADMITTED[key]

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], _StoredType | _StoredArray):
            raise pickle.UnpicklingError("it changes what is no array")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        if length > self._length:
            raise pickle.UnpicklingError("it is truncated")
        self.append(bytearray(self.read(length)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def plain_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What stands for types of numpy in files that torch reads, for ``safe_globals``.

    Arrays and types are left as what stands for them; numbers are numpy's.
    """
    return [(value, f"{module}.{name}") for (module, name), value in _ADMITTED.items()]


def read_plain_pickle(path: Path) -> Any:
    """Content of a pickle that holds data of builtins and numpy alone.

    Parameters
    ----------
    path
        The file; whatever it asks for besides is not looked up, and so not called.

    Raises
    ------
    SparseError
        With the file's name, if it is damaged or asks for anything else.
    OSError
        If it cannot be read.
    """
    content = read_regular(path)
    with explained(
        lambda error: f"{path} is damaged or holds what nnU-Net never writes: {in_one_line(error)}"
    ):
        return _plain(_PlainUnpickler(content).load(), {}, 0)


def _plain(value: Any, known: dict[int, Any], depth: int) -> Any:
    """The same with arrays in place of what stands for them; what is there twice is made once."""
    if isinstance(value, _VALUES):
        return value
    if depth > _MAX_DEPTH:
        raise pickle.UnpicklingError("it is nested too deeply")
    if id(value) not in known:
        known[id(value)] = _made(value, lambda inner: _plain(inner, known, depth + 1))
    return known[id(value)]


def _made(value: Any, plain: Callable[[Any], Any]) -> Any:
    kind = type(value)
    if kind is _StoredArray and value.array is not None:
        return value.array
    if kind in {dict, OrderedDict}:
        return kind((plain(key), plain(inner)) for key, inner in value.items())
    if kind in {list, tuple, set, frozenset}:
        return kind(map(plain, value))
    raise pickle.UnpicklingError(f"it holds a {kind.__name__} that is no value")
