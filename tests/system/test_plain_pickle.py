import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.plain_pickle import read_plain_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PROPERTIES = {
    "sitk_stuff": {"spacing": (0.5, 0.5, 2.0), "origin": (0.0, -1.0, 3.0)},
    "spacing": [np.float64(2.0), np.float32(0.5), 0.5],
    "shape_before_cropping": (np.int64(4), 5, 6),
    "bbox_used_for_cropping": [[0, 4], [1, 5], [0, 6]],
    "class_locations": OrderedDict({1: np.arange(8).reshape(2, 4), (1, 2): np.empty((0, 4))}),
    "nibabel_stuff": {"original_affine": np.asfortranarray(np.eye(4)[::2])},
    "others": [None, True, b"bytes", {1, 2}, frozenset({3}), 1j, 10**30, "\u00fc"],
}


class Calls:
    """Unpickled, it calls a function."""

    def __init__(self, *what: Any) -> None:
        self.what = what

    def __reduce__(self) -> tuple[Any, ...]:
        return self.what[0], self.what[1:]


@pytest.mark.parametrize("protocol", PROTOCOLS[3:])  # nnU-Net takes Python's default
def test_what_nnunet_writes_is_read(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "case.pkl"
    file.write_bytes(pickle.dumps(PROPERTIES, protocol))
    assert repr(read_plain_pickle(file)) == repr(PROPERTIES)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("function", [os.mkdir, eval, exec, open, getattr, np.load, np.fromfile])
def test_nothing_is_called(tmp_path: Path, protocol: int, function: Any) -> None:
    file, trace = tmp_path / "case.pkl", tmp_path / "trace"
    code = f"__import__('os').mkdir({str(trace)!r})"
    argument = code if function in {eval, exec} else str(trace)
    file.write_bytes(pickle.dumps([Calls(function, argument)], protocol))
    with pytest.raises(SparseError, match=r"case\.pkl .* what nnU-Net never writes: it asks for"):
        read_plain_pickle(file)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\x80\x04cnowhere\nX\n.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy\nsys.modules\n.",
        pickle.dumps(PROPERTIES)[:-9],
        b"(" * 10_000 + b".",
        b"cnumpy\nndarray\n((I1000000000000\ntR.",
    ],
)
def test_damaged_and_hostile_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "case.pkl"
    file.write_bytes(content)
    with pytest.raises(SparseError) as error:
        read_plain_pickle(file)
    assert str(error.value).startswith(f"{file} is damaged or holds")
    assert "\n" not in str(error.value)
