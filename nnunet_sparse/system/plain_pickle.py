"""Reading pickles of strangers: data only, no code.

nnU-Net keeps the properties of preprocessed cases as pickles, and a pickle may call anything when
it is read. What nnU-Net writes are containers and numbers of Python, and arrays of numpy; nothing
else is read here.
"""

import io
import pickle
from pathlib import Path
from typing import Any

from nnunet_sparse.system.foreign_code import explained, in_one_line

_NUMPY_MODULES = ("numpy.core", "numpy._core")  # before numpy 2, and since
_ADMITTED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"{module}.multiarray", "_reconstruct") for module in _NUMPY_MODULES),
    *((f"{module}.multiarray", "scalar") for module in _NUMPY_MODULES),
    *((f"{module}.numeric", "_frombuffer") for module in _NUMPY_MODULES),
    ("_codecs", "encode"),  # bytes, in protocols 0 to 2
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "complex"),
}
_BUILTINS_OF_OLD = "__builtin__"


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if ((module if module != _BUILTINS_OF_OLD else "builtins"), name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


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
    content = path.read_bytes()
    with explained(
        lambda error: f"{path} is damaged or holds what nnU-Net never writes: {in_one_line(error)}"
    ):
        return _PlainUnpickler(io.BytesIO(content)).load()
