"""Options of commands that choose slices: how many, of which volumes, and by which selector."""

import argparse
from collections.abc import Sequence

from nnunet_sparse.features.mae_options import mae_request
from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors.registry import parse_parameters
from nnunet_sparse.selectors.selector import SCOPES
from nnunet_sparse.system.command import non_negative_int, positive_int
from nnunet_sparse.system.options import OptionHolder


def add_budget_options(
    parser: argparse.ArgumentParser, more: bool = False
) -> argparse._MutuallyExclusiveGroup:
    """Add the options of which one says how many slices are annotated.

    Parameters
    ----------
    parser
        Parser of a command.
    more
        Whether they come on top of slices that were chosen before.

    Returns
    -------
    argparse._MutuallyExclusiveGroup
        The options, one of which must be given.
    """
    slices, to_add = ("more slices", " to add") if more else ("slices", "")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--rho",
        type=float,
        help=f"density: share of each volume's slices{to_add}, in (0, 1]",
    )
    group.add_argument(
        "--slices_per_volume",
        type=positive_int,
        metavar="K",
        help=f"number of {slices} of each volume",
    )
    group.add_argument(
        "--budget", type=positive_int, metavar="N", help=f"number of {slices} in all"
    )
    return group


def add_volume_fraction_option(
    parser: OptionHolder, volumes: str = "volumes", unset: str | None = None
) -> None:
    """Add ``--s``, the share of the volumes that get slices.

    Parameters
    ----------
    parser
        Parser of a command.
    volumes
        What the volumes are called in the help.
    unset
        What holds where nothing is given, in words, if the parser does not know it: the default is
        None then, otherwise 1.
    """
    parser.add_argument(
        "--s",
        type=float,
        default=1.0 if unset is None else None,
        help=f"volume fraction: share of the {volumes} that get slices, in (0, 1] "
        f"(default: {unset or '1.0'})",
    )


def add_selector_options(
    parser: OptionHolder, default: str, names: Sequence[str], unset: str | None = None
) -> None:
    """Add the choice of the selector, its parameters and its scope.

    Parameters
    ----------
    parser
        Parser of a command.
    default
        Name of the default selector, for scope ``volume``.
    names
        Selectors to be named in the help.
    unset
        What holds where nothing is given, in words, if the parser does not know it: all defaults
        are None then.
    """
    known = unset is None
    parser.add_argument(
        "--selector",
        default=default if known else None,
        help=f"how slices are chosen: {', '.join(names)} (default: {unset or default})",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        dest="parameters",
        metavar="KEY=VALUE",
        help="parameters of the selector, as in --selector ual --set clusters=5",
    )
    parser.add_argument(
        "--scope",
        choices=SCOPES,
        default="volume" if known else None,
        help="choose within each volume, or from all volumes at once (default: "
        f"{unset or 'volume'})",
    )
    parser.add_argument(
        "--min_per_volume",
        type=non_negative_int,
        default=0 if known else None,
        metavar="M",
        help="with --scope dataset: slices that every volume gets at least (default: "
        f"{unset or '0'})",
    )


def add_positive_weight_option(parser: OptionHolder) -> None:
    """Add ``--positive_weight``, for commands that know dense labels."""
    parser.add_argument(
        "--positive_weight",
        type=float,
        default=1.0,
        metavar="W",
        help="slices with foreground count W times when slices are chosen, with random they are W "
        "times as likely (simulation only, it looks at the dense labels; default: %(default)s)",
    )


def variant_of(args: argparse.Namespace, before: Variant | None = None) -> Variant:
    """Build the variant that a command line asks for.

    Parameters
    ----------
    args
        Values of the options of this module, of ``--seed``, and of those that
        :func:`nnunet_sparse.features.mae_options.add_mae_options` adds; ``--positive_weight`` where
        the command has it.
    before
        Where options have None as their default: the variant whose factors hold for those that are
        not given. Only the amount is never taken from it, and what belongs to its selector or
        scope is not taken for another one.

    Raises
    ------
    SparseError
        If factors do not go together, or one is out of range.
    """
    given = vars(args)
    if before is not None:
        given = {
            name: getattr(before, name) if given[name] is None else given[name]
            for name in ("s", "selector", "scope", "seed")
        }
    parameters = parse_parameters(given["selector"], args.parameters)
    minimum, mae = args.min_per_volume, mae_request(args)
    if before is not None:
        if given["selector"] == before.selector and not args.parameters:
            parameters = dict(before.parameters)
        if minimum is None:
            minimum = before.min_per_volume if given["scope"] == "dataset" else 0
        if (mae.preset, mae.seed) == (DEFAULT_MAE_PRESET, 0):
            mae = MaeRequest(before.mae, before.mae_seed)
    return Variant(
        rho=args.rho,
        slices_per_volume=args.slices_per_volume,
        budget=args.budget,
        s=given["s"],
        selector=given["selector"],
        parameters=parameters,
        scope=given["scope"],
        min_per_volume=minimum,
        positive_weight=getattr(args, "positive_weight", 1.0),
        seed=given["seed"],
        mae=mae.preset,
        mae_seed=mae.seed,
    )
