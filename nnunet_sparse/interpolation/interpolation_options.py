"""Options of commands that name an interpolation, and the network that it may use."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from nnunet_sparse.interpolation.interpolator_presets import (
    DEFAULT_PRESET,
    PRESETS,
    InterpolatorPreset,
)
from nnunet_sparse.interpolation.request import NETWORK_METHOD, Interpolation
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import OptionHolder, add_seed_option, given_options

NETWORK_OPTIONS = ("preset", "interpolator_seed", "change")
"""Options that mean nothing without a network."""

INTERPOLATION_OPTIONS = ("one_way", "verify", "min_confidence", *NETWORK_OPTIONS)
"""Options that mean nothing without an interpolation."""


def add_network_options(group: OptionHolder, of_any_method: bool = False) -> None:
    """Add the options that name a network; None is the default if there may be no network."""
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default=None if of_any_method else DEFAULT_PRESET,
        help=f"length of the training (default: {DEFAULT_PRESET})",
    )
    add_seed_option(group, "its training", "--interpolator_seed")
    group.add_argument(
        "--change",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="other values than the preset's: "
        f"{', '.join(f.name for f in fields(InterpolatorPreset))}",
    )


def add_interpolation_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an interpolation, its method aside."""
    group = parser.add_argument_group("interpolation")
    group.add_argument(
        "--one_way",
        action="store_true",
        help="with correspondence: algorithm 1 as published, a slice gets what arrives first "
        "(default: the mean of what arrives from both sides, by distance)",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="with correspondence: drop a label where the image is unlike its object",
    )
    group.add_argument(
        "--min_confidence",
        type=float,
        default=0.0,
        metavar="T",
        help="voxels of less confidence stay ignore, in 0..1 (default: %(default)s)",
    )
    add_network_options(group, of_any_method=True)


def interpolation_of(method: str, args: argparse.Namespace) -> Interpolation:
    """Interpolation that the options of :func:`add_interpolation_options` ask for.

    Raises
    ------
    SparseError
        If an option does not go with the method, or a value is out of range.
    """
    if method != NETWORK_METHOD and (given := given_options(args, NETWORK_OPTIONS)):
        raise SparseError(f"--{given[0]} works with {NETWORK_METHOD}, not with {method}")
    return Interpolation(
        method,
        args.one_way,
        args.verify,
        args.min_confidence,
        args.preset or DEFAULT_PRESET,
        args.interpolator_seed,
        parse_changes(args.change),
    )


def parse_changes(texts: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """Values of a preset that a command line changes.

    Raises
    ------
    SparseError
        If a change is of no value of the preset, or out of range.
    """
    kinds = {f.name: f.type for f in fields(InterpolatorPreset)}
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in kinds:
            known = ", ".join(kinds)
            raise SparseError(f"--change takes key=value with a key of {known}, got {text!r}")
        if key in changes:
            raise SparseError(f"{key} is given twice")
        try:
            changes[key] = float(value) if kinds[key] is float else int(value)
        except ValueError:
            kind = "a number" if kinds[key] is float else "a whole number"
            raise SparseError(f"{key} is {kind}, got {value!r}") from None
    return tuple(sorted(changes.items()))
