import json
from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json, parse_json, read_json

REFUSED = {
    "empty": b"",
    "garbage": b"\x00\x01garbage",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "deep lists": b"[" * 100_000,
    "deep and closed": b"[" * 500 + b"]" * 500,
    "deep objects": b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
    "NaN": b'{"a": NaN}',
    "infinity": b"[-Infinity]",
    "beyond floats": b"[1e400]",
    "whole number beyond floats": b"1" * 400,
    "very long number": b"1" * 10_000,
    "half a character": rb'{"a": "\ud800"}',
    "half a character in a key": rb'{"\udfff": 1}',
    "cut off": b'{"a": [1, 2',
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "some.json"
    file.write_bytes(content)
    with pytest.raises(SparseError, match=r"some\.json is not valid JSON: ") as raised:
        load_json(file)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300
    assert read_json(file) is None


def test_everything_else_is_read_as_python_reads_it(tmp_path: Path) -> None:
    content = {"a": [1, -2.5, True, None, "\u00fc \U0001f600"], "b": {"c": 10**299}}
    file = tmp_path / "some.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert load_json(file) == read_json(file) == content


def test_constants_of_nnunet_are_read_where_they_are_expected() -> None:
    text = "[NaN, Infinity, -Infinity, 1e999, -1e999]"
    assert str(parse_json(text, float)) == "[nan, inf, -inf, inf, -inf]"
    assert parse_json(text, lambda _: None) == [None] * 5


def test_missing_files_are_told_by_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_json(tmp_path / "none.json")
    assert read_json(tmp_path / "none.json") is None
