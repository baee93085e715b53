import os
import pickle
import struct
import tracemalloc
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


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def content(length: int) -> bytes:
    return b"B" + struct.pack("<I", length) + b"A" * length


def array(dtype: bytes, shape: bytes, data: bytes) -> bytes:
    """Pickle of an array as numpy writes it, whatever its parts say."""
    return b"\x80\x03cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR" + (
        b"(K\x01" + shape + dtype + b"\x89" + data + b"tb."
    )


def dtype(code: str, state: bytes = b"") -> bytes:
    return b"cnumpy\ndtype\n(" + text(code) + b"tR" + state


# eight bytes as a structure whose field is a pointer, with the flags that numpy would believe
STRUCTURE = (
    b"(K\x03" + text("|") + b"N(" + text("a") + b"t}(" + text("a") + b"(cnumpy\ndtype\n("
    + text("f8") + b"tRJ\x00\xe1\xf5\x05tuK\x08K\x01K\x00tb"
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (array(dtype("O"), b"(K\x01t", content(8)), "the type 'O' of numpy"),
        (array(dtype("V8", STRUCTURE), b"(K\x01t", content(8)), "the type 'V8' of numpy"),
        (array(dtype("f8", STRUCTURE), b"(K\x01t", content(8)), "a structured type of numpy"),
        (array(dtype("M8"), b"(K\x01t", content(8)), "the type 'M8' of numpy"),
        (array(dtype("f8"), b"(K\x02t", content(8)), "more or fewer bytes than its shape"),
        (array(dtype("f8"), b"(K\x01t", content(9)), "more or fewer bytes than its shape"),
        (array(dtype("f8"), b"(J\xff\xff\xff\xfft", content(8)), "an impossible shape"),
        (array(dtype("f8"), b"(K\x01t", b"]K\x01a"), "not made of bytes"),
        (array(text("f8"), b"(K\x01t", content(8)), "not made of bytes"),
        (b"\x80\x03cnumpy._core.multiarray\n_reconstruct\n(cbuiltins\nset\nK\x00tR.", "another cl"),
        (b"\x80\x03cnumpy\ndtype\n.", "that is no value"),
        (b"\x80\x03" + dtype("f8") + b".", "that is no value"),
        (b"\x80\x03cbuiltins\nset\n.", "that is no value"),
        (b"ccollections\nOrderedDict\n(N}S'fromkeys'\nI1\nstb.", "changes what is no array"),
        (b"]q\x00h\x00a.", "nested too deeply"),
        (b"c_codecs\nencode\n(" + text("a") + text("rot13") + b"tR.", "the encoding 'rot13'"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**33) + b".", "it is truncated"),
    ],
)
def test_numpy_is_told_nothing_that_it_would_believe(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    file = tmp_path / "case.pkl"
    file.write_bytes(data)
    with pytest.raises(SparseError, match=reason):
        read_plain_pickle(file)


def test_arrays_of_all_plain_types_are_read(tmp_path: Path) -> None:
    file = tmp_path / "case.pkl"
    for code in ("b1", "i1", ">i8", "u2", "f2", ">f4", "c16", "U3", "S4"):
        expected = np.arange(6).reshape(2, 3).astype(code)
        for protocol in PROTOCOLS:
            file.write_bytes(pickle.dumps([expected, expected.T, expected[0, 0]], protocol))
            *arrays, number = read_plain_pickle(file)
            for found, written in zip(arrays, [expected, expected.T], strict=True):
                assert (found.dtype, type(found)) == (written.dtype, np.ndarray)
                np.testing.assert_array_equal(found, written)
            assert number == expected[0, 0]


def test_the_place_of_a_remembered_object_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "case.pkl"
    file.write_bytes(b"\x80\x02Nr" + struct.pack("<I", 2**29) + b".")
    tracemalloc.start()
    try:
        assert read_plain_pickle(file) is None
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
