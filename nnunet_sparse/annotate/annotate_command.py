"""``nnsparse_annotate``: annotate a campaign in a window."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nnunet_sparse.annotate.user_name import user_name
from nnunet_sparse.prediction.model_options import add_model_options, open_model
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import add_device_option


def annotate(
    folder: Path,
    annotator: str = "",
    *,
    free: bool = False,
    network: TrainedNetwork | None = None,
    device: str | None = None,
) -> None:
    """Open the window, and come back when it is closed.

    Parameters
    ----------
    folder
        The campaign's.
    annotator
        Who; by default the name of the user.
    free
        Whether slices that were not asked for take paint.
    network
        What it predicts is proposed; None for nothing.
    device
        Where it predicts; None for a GPU if there is one.

    Raises
    ------
    SparseError
        If the folder holds no campaign, the network cannot be used or does not fit it, or no window
        can be opened here.
    OSError
        If the folder cannot be written to.
    """
    from nnunet_sparse.annotate.viewer.display_check import check_display
    from nnunet_sparse.campaign.campaign import Campaign

    campaign = Campaign.read(folder)  # before seconds pass
    with ExitStack() as stack:
        view = None
        if network is not None:
            from nnunet_sparse.annotate.network_view import NetworkView

            view = NetworkView(campaign, network, device)  # which is loaded meanwhile
            stack.callback(view.close)
        check_display()
        from nnunet_sparse.annotate.viewer.open_window import run_window

        if view is not None:
            view.wait_until_loaded()
        run_window(folder, annotator or user_name(), free, view)


def _work(args: argparse.Namespace) -> None:
    if any(not letter.isprintable() for letter in args.annotator):
        raise SparseError(f"--annotator must be printable text, got {args.annotator!r}")
    if args.device is not None and args.model is None:
        raise SparseError("-device works with --model")
    network = open_model(args)
    annotate(
        args.campaign,
        args.annotator.strip(),
        free=args.free,
        network=network,
        device=args.device,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nnsparse_annotate``."""
    parser = CommandParser(
        "nnsparse_annotate",
        "Annotate the slices that a campaign asks for, in a window (napari). Every slice is saved "
        "into the campaign's files with the key N; the window can be closed at any time, and goes "
        "on at the next start where it was left.",
        "nnsparse_annotate campaign --annotator mk",
    )
    parser.add_argument("campaign", type=Path, help="folder of nnsparse_worklist make")
    parser.add_argument(
        "--annotator",
        default="",
        metavar="NAME",
        help="who annotates, for the worklist and the times (default: name of the user)",
    )
    parser.add_argument(
        "--free",
        action="store_true",
        help="slices that were not asked for take paint as well; they are kept as extra ones",
    )
    network = parser.add_argument_group("network", "whose predictions the key G proposes")
    add_model_options(network, "network that looks at the volumes")
    add_device_option(network)
    return run_command(parser, _work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
