"""Options of commands that name an interpolation, and the network that it may use."""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from nnunet_sparse.interpolation.interpolator_presets import (
    DEFAULT_INTERPOLATOR_PRESET,
    INTERPOLATOR_PRESETS,
    InterpolatorPreset,
)
from nnunet_sparse.interpolation.methods import (
    interpolation_method,
    methods_with_network,
    methods_with_presets,
)
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import OptionHolder, add_seed_option, given_options
from nnunet_sparse.system.schema import Assignments, Rule

NETWORK_OPTIONS = ("preset", "interpolator_seed", "change")
"""Options that mean nothing without a network."""

INTERPOLATION_OPTIONS = ("one_way", "verify", "min_confidence", *NETWORK_OPTIONS)
"""Options that mean nothing without an interpolation."""


def add_network_options(group: OptionHolder, of_any_method: bool = False) -> None:
    """Add the options that name a network; None is the default if there may be no network."""
    group.add_argument(
        "--preset",
        choices=tuple(INTERPOLATOR_PRESETS),
        default=None if of_any_method else DEFAULT_INTERPOLATOR_PRESET,
        help="length of the training, with published the network of the paper "
        f"(default: {DEFAULT_INTERPOLATOR_PRESET}"
        + (", of the method published its own)" if of_any_method else ")"),
    )
    add_seed_option(group, "its training", "--interpolator_seed")
    group.add_argument(
        "--change",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=f"other values than the preset's: {', '.join(_KINDS)}",
    )


def add_interpolation_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an interpolation, its method aside."""
    group = parser.add_argument_group("interpolation")
    group.add_argument(
        "--one_way",
        action="store_true",
        help="with correspondence: algorithm 1 of the paper, a slice gets what arrives first "
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
    cls = interpolation_method(method)
    if args.preset not in (None, cls.only_preset) and not cls.takes_preset():
        raise SparseError(f"--preset works with {methods_with_presets()}, not with {method}")
    if not cls.uses_network and (given := given_options(args, NETWORK_OPTIONS)):
        raise SparseError(f"--{given[0]} works with {methods_with_network()}, not with {method}")
    return Interpolation(
        method,
        args.one_way,
        args.verify,
        args.min_confidence,
        args.preset or "",
        args.interpolator_seed,
        parse_changes(args.change),
    )


def parse_changes(texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Values of a preset that a command line changes, whole numbers as such, by key.

    Raises
    ------
    SparseError
        If a change is of no value of the preset, or not of its type.
    """
    return tuple(sorted(Assignments(_change_rule, _FORM, "{key}").read_once(texts).items()))


_KINDS = {f.name: f.type for f in fields(InterpolatorPreset)}
_FORM = f"--change takes key=value with a key of {', '.join(_KINDS)}"


def _change_rule(key: str) -> Rule:
    """Rule of a value of a preset: its type; the preset itself checks the range."""
    if key not in _KINDS:
        raise SparseError(f"{_FORM}, got {key!r}")
    if _KINDS[key] is int:
        return Rule(int, lambda _: True, "a whole number", "is")
    return Rule(float, lambda _: True, "a number", "is")
