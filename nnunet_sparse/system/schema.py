"""Dataclasses whose fields say which values they take, for settings that users write by hand."""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import parse_json
from nnunet_sparse.system.wording import brief

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Rule:
    """What one setting may be: its type, a check, and both in words.

    Attributes
    ----------
    kind
        Its type.
    accepts
        Whether it may be some value of that type.
    valid
        What it may be, in words.
    verb
        What stands before ``valid`` in messages.
    read
        What makes it of text, with a ValueError where that does not work; None for the type's own
        way: words and numbers as they are, lists, mappings, true and false as JSON.
    """

    kind: type
    accepts: Callable[[Any], bool]
    valid: str
    verb: str = "must be"
    read: Callable[[str], Any] | None = None


Rules = Mapping[str, Rule]


@dataclass(frozen=True)
class Assignments:
    """What a command line may set by ``key=value``.

    Attributes
    ----------
    rule_of
        Rule of a key; raises a SparseError if there is no such key.
    form
        How an assignment is written, for messages.
    naming
        What a key is called in messages; ``{key}`` stands for it.
    """

    rule_of: Callable[[str], Rule]
    form: str
    naming: str = "setting {key}"

    def read(self, texts: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Keys and values, in the order of the texts.

        Raises
        ------
        SparseError
            If a text has no ``=``, a key is unknown, or a value is not what the key takes.
        """
        for text in texts:
            key, equals, value = text.partition("=")
            if not equals:
                raise SparseError(f"{self.form}, got {text!r}")
            yield key, parse_value(self.naming.format(key=key), value, self.rule_of(key))

    def read_once(self, texts: Iterable[str]) -> dict[str, Any]:
        """Values by key.

        Raises
        ------
        SparseError
            As by :meth:`read`, and if a key is given twice.
        """
        values: dict[str, Any] = {}
        for key, value in self.read(texts):
            if key in values:
                raise SparseError(f"{self.naming.format(key=key)} is given twice")
            values[key] = value
        return values


def whole(low: int, high: int | None = None) -> Rule:
    """A whole number from ``low`` on, and up to ``high`` where that is given."""
    if high is None:
        return Rule(int, lambda value: value >= low, f"a whole number of at least {low}")
    return Rule(int, lambda value: low <= value <= high, f"a whole number from {low} to {high}")


def share() -> Rule:
    """A number from 0 to 1."""
    return Rule(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def positive() -> Rule:
    """A number above 0."""
    return Rule(float, lambda value: 0 < value < math.inf, "a number above 0")


def not_negative() -> Rule:
    """A number of at least 0."""
    return Rule(float, lambda value: 0 <= value < math.inf, "a number of at least 0")


def choice(*choices: str) -> Rule:
    """One of some words."""
    return Rule(str, lambda value: value in choices, f"one of {', '.join(choices)}")


def switch() -> Rule:
    """Yes or no."""
    return Rule(bool, lambda _: True, "true or false")


def subset(*choices: str) -> Rule:
    """Some of some words, each at most once."""

    def accepts(value: Sequence[Any]) -> bool:
        return all(v in choices for v in value) and len(set(value)) == len(value)

    return Rule(tuple, accepts, f"a list of some of {', '.join(choices)}")


def mapping(valid: str, accepts: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> Rule:
    """A mapping; ``valid`` says what it maps."""
    return Rule(dict, accepts, valid)


def setting(default: Any, rule: Rule) -> Any:
    """Field of a dataclass with a rule."""
    return field(default=default, metadata={"rule": rule})


def rules_of(schema: "DataclassInstance | type[DataclassInstance]") -> dict[str, Rule]:
    """Rule of every field of a dataclass, by name."""
    return {item.name: item.metadata["rule"] for item in fields(schema)}


def check_fields(instance: "DataclassInstance") -> None:
    """Check every field of a frozen dataclass, and give each value its own type.

    Raises
    ------
    SparseError
        If a value has the wrong type or is out of range.
    """
    for name, rule in rules_of(instance).items():
        value = check_value(f"setting {name}", getattr(instance, name), rule)
        object.__setattr__(instance, name, value)


def find_rule(rules: Rules, key: str, prefix: str = "") -> Rule:
    """Rule of a setting; the prefix is what its name has before it in messages.

    Raises
    ------
    SparseError
        If there is no such setting.
    """
    if key in rules:
        return rules[key]
    close = difflib.get_close_matches(str(key), rules, n=1)
    hint = f"did you mean {prefix}{close[0]}? " if close else ""
    named = ", ".join(rules)
    raise SparseError(f"unknown setting {f'{prefix}{key}'!r} ({hint}there are {named})")


def parse_value(name: str, text: str, rule: Rule) -> Any:
    """Value that was typed on a command line; ``name`` is what it is called in messages.

    Raises
    ------
    SparseError
        If it is not what the rule says.
    """
    as_json = rule.kind in (bool, dict, tuple)
    read = rule.read or (parse_json if as_json else rule.kind)
    try:
        parsed = read(text)
    except (ValueError, OverflowError):
        if rule.kind is not tuple:
            raise _bad(name, text, rule) from None
        parsed = [part for part in text.split(",") if part]
    return check_value(name, parsed, rule)


def check_value(name: str, value: Any, rule: Rule) -> Any:
    """The value in its own type; an int may stand for a float, a list for a tuple.

    Raises
    ------
    SparseError
        If it is not what the rule says; the message begins with ``name``.
    """
    kinds = {float: (int, float), tuple: (list, tuple)}.get(rule.kind, (rule.kind,))
    if (isinstance(value, bool) and rule.kind is not bool) or not isinstance(value, kinds):
        raise _bad(name, value, rule)
    if not rule.accepts(value):
        raise _bad(name, value, rule)
    return rule.kind(value)


def _bad(name: str, value: Any, rule: Rule) -> SparseError:
    return SparseError(f"{name} {rule.verb} {rule.valid}, got {brief(value)}")
