"""Reading YAML into dataclasses, with the line in every error.

A field of such a dataclass is a :func:`nnunet_sparse.system.schema.setting`, a :func:`part` (a
dataclass of its own), :func:`parts` (a list of them), a :func:`line_number` or :func:`key_lines`. A
mapping may have a ``check`` in its metadata, which is called for each of its keys.
"""

import difflib
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.regular_files import read_regular
from nnunet_sparse.system.schema import Rule, check_value
from nnunet_sparse.system.wording import brief

_Schema = TypeVar("_Schema")
_MAX_VALUES = 100_000
# YAML 1.1 takes 1e-3 for text
_ZEROS = re.compile(r"0\d+")
_WORD = re.compile(r"[A-Za-z][\w.+-]*")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


@dataclass(frozen=True)
class Node:
    """A value of a YAML file.

    Attributes
    ----------
    value
        None, a bool, number or text, a list of nodes, or a dict of nodes.
    line
        Where it begins, from 1 on.
    file
        The file.
    """

    value: Any
    line: int
    file: Path

    def fail(self, message: str) -> NoReturn:
        """Raise an error that names file and line."""
        raise SparseError(f"{self.file}, line {self.line}: {message}")

    @property
    def plain(self) -> Any:
        """The value without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value


def converted(
    default: Any, rule: Rule, convert: Callable[[Any], Any], choices: Sequence[str] = ()
) -> Any:
    """Field like :func:`nnunet_sparse.system.schema.setting` whose values are converted first.

    Where its value is a list of choices, those that are meant by misspelt ones are told.
    """
    metadata = {"rule": rule, "convert": convert, "choices": choices}
    return field(default=default, metadata=metadata)


def part(schema: Any) -> Any:
    """Field that is a dataclass, or None where the file does not have it."""
    return field(default=None, metadata={"schema": schema})


def parts(schema: Any, default: Any = ()) -> Any:
    """Field that is a tuple of dataclasses, a list in the file."""
    return field(default=default, metadata={"schema": schema, "many": True})


def line_number() -> Any:
    """Field that is the line where the dataclass begins in the file, and no key of it."""
    return field(default=0, compare=False, repr=False, metadata={"line": True})


def key_lines() -> Any:
    """Field that is the line of each key that the file has, and no key of it."""
    return field(default_factory=dict, compare=False, repr=False, metadata={"lines": True})


def read_yaml(file: Path) -> Node:
    """Read a YAML file.

    Raises
    ------
    SparseError
        If it cannot be read, is no YAML, or names a key twice.
    """
    try:
        text = read_regular(file).decode("utf-8")
    except OSError as error:
        raise SparseError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SparseError(f"{file} is no text in UTF-8") from error
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise SparseError(
            f"{file}, line {number}: the character {chr(error.character)!r} cannot stand in YAML"
        ) from error
    try:
        root = loader.get_single_node()
        if root is None:
            raise SparseError(f"{file} is empty")
        return _node(loader, root, file, itertools.count())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise SparseError(f"{file}{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SparseError(f"{file} is no YAML: {error}") from error
    except RecursionError as error:
        raise SparseError(f"{file} refers to itself, or is nested too deeply") from error
    finally:
        loader.dispose()


def yaml_text(text: str) -> str:
    """A text as YAML has it, quoted unless it is a word that YAML takes for nothing else."""
    if _WORD.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)
    return quoted.strip()


def _node(loader: Any, node: Any, file: Path, counter: Iterator[int]) -> Node:
    line = node.start_mark.line + 1
    if next(counter) == _MAX_VALUES:  # an alias stands for all values of its anchor
        Node(None, line, file).fail(f"with its aliases it has more than {_MAX_VALUES} values")
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(loader, child, file, counter) for child in node.value], line, file)
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Node] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                Node(None, key_node.start_mark.line + 1, file).fail("a key must be a word")
            key = str(key_node.value)
            if key in content:
                Node(None, key_node.start_mark.line + 1, file).fail(f"{key} appears twice")
            content[key] = _node(loader, value_node, file, counter)
        return Node(content, line, file)
    # nnU-Net's IDs begin with zeros, which YAML 1.1 takes for octal numbers
    if node.style is None and _ZEROS.fullmatch(node.value):
        return Node(node.value, line, file)
    try:
        value = loader.construct_object(node)
    except ValueError as error:
        Node(None, line, file).fail(f"{brief(node.value)} cannot be read: {error}")
    if isinstance(value, str) and node.style is None and _EXPONENT.fullmatch(value):
        value = float(value)
    return Node(value, line, file)


def load(schema: type[_Schema], node: Node) -> _Schema:
    """Make a dataclass of a mapping.

    Raises
    ------
    SparseError
        With file and line, if the mapping has unknown keys, lacks one that has no default, or
        holds a bad value.
    """
    if not isinstance(node.value, dict):
        node.fail(f"keys and values are expected here, got {brief(node.plain)}")
    items = fields(schema)  # type: ignore[arg-type]
    of_file = {"line", "lines"}
    known = {item.name: item for item in items if of_file.isdisjoint(item.metadata)}
    for key, child in node.value.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            child.fail(f"unknown key {brief(key)} ({hint}there are {', '.join(known)})")
    # a key without value has its default
    given = {key: child for key, child in node.value.items() if child.value is not None}
    values = {key: _value(known[key], child) for key, child in given.items()}
    values |= {item.name: node.line for item in items if "line" in item.metadata}
    lines = {key: child.line for key, child in given.items()}
    values |= {item.name: lines for item in items if "lines" in item.metadata}
    for name, item in known.items():
        if name not in values and item.default is MISSING and item.default_factory is MISSING:
            node.fail(f"{name} is missing")
    try:
        return schema(**values)
    except SparseError as error:
        node.fail(str(error))


def _value(item: "Field[Any]", node: Node) -> Any:
    if item.metadata.get("many"):
        if not isinstance(node.value, list) or not node.value:
            node.fail(f"{item.name} must be a list, got {brief(node.plain)}")
        return tuple(load(item.metadata["schema"], child) for child in node.value)
    if "schema" in item.metadata:
        return load(item.metadata["schema"], node)
    if "check" in item.metadata and isinstance(node.value, dict):
        for key, child in node.value.items():
            try:
                item.metadata["check"]({key: child.plain})
            except SparseError as error:
                child.fail(str(error))
    try:
        convert = item.metadata.get("convert", lambda value: value)
        return check_value(item.name, convert(node.plain), item.metadata["rule"])
    except SparseError as error:
        hint = _meant(node.plain, item.metadata.get("choices", ()))
        node.fail(f"{error}{hint}")


def _meant(value: Any, choices: Sequence[str]) -> str:
    for word in value if isinstance(value, list) else [value]:
        if word not in choices and (close := difflib.get_close_matches(str(word), choices, n=1)):
            return f" (did you mean {close[0]}?)"
    return ""
