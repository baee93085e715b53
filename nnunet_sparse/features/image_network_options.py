"""Options of the commands that train a network on images."""

import argparse

from nnunet_sparse.data.dataset_options import add_axis_option, add_split_options
from nnunet_sparse.system.options import add_num_processes_option, add_overwrite_option


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add everything but the choice of the data set and of the network."""
    add_axis_option(parser)
    add_overwrite_option(parser, "train again what is there")
    add_split_options(parser)
    add_num_processes_option(parser)
