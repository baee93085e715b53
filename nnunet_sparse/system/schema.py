"""Dataclasses whose fields say which values they take, for settings that users write by hand."""

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from nnunet_sparse.system.errors import SparseError


@dataclass(frozen=True)
class Rule:
    """What one setting may be: its type, a check, and both in words."""

    kind: type
    accepts: Callable[[Any], bool]
    valid: str


Rules = Mapping[str, Rule]


def whole(low: int) -> Rule:
    """A whole number from ``low`` on."""
    return Rule(int, lambda value: value >= low, f"a whole number of at least {low}")


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


def rules_of(schema: Any) -> dict[str, Rule]:
    """Rule of every field of a dataclass, by name."""
    return {item.name: item.metadata["rule"] for item in fields(schema)}


def check_fields(instance: Any) -> None:
    """Check every field of a frozen dataclass, and give each value its own type.

    Raises
    ------
    SparseError
        If a value has the wrong type or is out of range.
    """
    for name, rule in rules_of(instance).items():
        value = check_value(name, getattr(instance, name), rule)
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


def parse_value(key: str, text: str, rule: Rule) -> Any:
    """Value of a setting that was typed on a command line; lists and mappings as JSON.

    Raises
    ------
    SparseError
        If it is not what the setting takes.
    """
    try:
        parsed = json.loads(text) if rule.kind in (bool, dict, tuple) else rule.kind(text)
    except ValueError:
        if rule.kind is not tuple:
            raise _bad(key, text, rule) from None
        parsed = [part for part in text.split(",") if part]
    return check_value(key, parsed, rule)


def check_value(key: str, value: Any, rule: Rule) -> Any:
    """The value in its own type; an int may stand for a float, a list for a tuple.

    Raises
    ------
    SparseError
        If it is not what the setting takes.
    """
    kinds = {float: (int, float), tuple: (list, tuple)}.get(rule.kind, (rule.kind,))
    if (isinstance(value, bool) and rule.kind is not bool) or not isinstance(value, kinds):
        raise _bad(key, value, rule)
    if not rule.accepts(value):
        raise _bad(key, value, rule)
    return rule.kind(value)


def _bad(key: str, value: Any, rule: Rule) -> SparseError:
    return SparseError(f"setting {key} must be {rule.valid}, got {value!r}")
