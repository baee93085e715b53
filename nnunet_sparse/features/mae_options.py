"""Options of commands that name a masked autoencoder."""

import argparse

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET, MAE_PRESETS
from nnunet_sparse.features.mae_request import MaeRequest
from nnunet_sparse.system.options import add_device_option, add_seed_option


def add_mae_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the masked autoencoder, for selectors that use features."""
    group = parser.add_argument_group(
        "features", "of the selectors that look at images; trained where that has not been done"
    )
    group.add_argument(
        "--mae",
        choices=tuple(MAE_PRESETS),
        default=DEFAULT_MAE_PRESET,
        help="size of the masked autoencoder (default: %(default)s)",
    )
    add_seed_option(group, "its training", "--mae_seed")
    add_device_option(group)


def mae_request(args: argparse.Namespace) -> MaeRequest:
    """What the options of :func:`add_mae_options` ask for."""
    return MaeRequest(args.mae, args.mae_seed, args.device)
