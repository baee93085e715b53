"""Contents as strangers may put them into files of ours."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hostile.hostile_names import STRANGE, UNUSABLE

# no UTF-8 cannot be written as JSON other than by half a character, which is tried below
NAMES = [name for name in (*UNUSABLE.values(), *STRANGE.values()) if name.isascii()]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**299,
    0.5,
    -0.0,
    1e308,
    "",
    "text",
    "\u00fc" * 1000,
    [],
    [[]],
    [1, "a", None],
    {},
    {"a": {"b": []}},
    {"": 0},
    *NAMES,
]
"""What may stand under a key of a JSON or YAML file in place of what is meant."""

RAW = [
    "NaN",
    "-Infinity",
    "1e999",
    "1" * 5000,
    '"\\ud800"',
    "[" * 10_000,
    '{"a":' * 10_000,
    "'",
    "",
]
"""Texts in place of a value, some of which are no JSON."""

MARK = "nnsparse mark"

FILES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "a number": b"1",
    "a text": b'"text"',
    "a list": b"[]",
    "an object": b"{}",
    "lists in lists": b"[" * 100_000,
    "closed lists in lists": b"[" * 900 + b"]" * 900,
    "objects in objects": b'{"a":' * 100_000,
    "no UTF-8": b'{"labels": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NUL": b"\0" * 100,
    "pickle": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.",
    "aliases": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "an alias of itself": b"&a [*a]",
    "a tag": b"!!python/object/apply:os.system ['true']",
    "a workbook": b"PK\x03\x04" + bytes(100),
    "an open quotation mark": b'case,slice\n"a,0\n',
    "a very long line": b"case," * 50_000,
    "numbers": b"1,2,3\n4,5,6\n",
}
"""Whole files."""


def places(content: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys that lead to each value of a JSON document, the document itself first."""
    yield keys
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from places(value, (*keys, key))


def replaced(content: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place."""
    if not keys:
        return value
    changed = deepcopy(content)
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return changed


def removed(content: Any, keys: tuple[Any, ...]) -> Any:
    """The document without a value."""
    changed = deepcopy(content)
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return changed


def renamed(content: Any, keys: tuple[Any, ...], name: str) -> Any:
    """The document with another key; a list has none."""
    changed = deepcopy(content)
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    if isinstance(inner, dict):
        inner[name] = inner.pop(keys[-1])
    return changed


def with_raw(content: Any, keys: tuple[Any, ...], text: str) -> str:
    """Text of the document with some text in place of a value."""
    return json.dumps(replaced(content, keys, MARK)).replace(json.dumps(MARK), text)
