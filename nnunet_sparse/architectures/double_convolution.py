"""Two convolutions in a row, from which U-Nets are made."""

from collections.abc import Sequence

from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from torch import nn

_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_NORMALISATIONS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def double_convolution(dimensions: int, num_in: int, num_out: int | Sequence[int]) -> nn.Module:
    """Two convolutions of 3 voxels, each followed by batch normalisation and ReLU.

    Parameters
    ----------
    dimensions
        2 or 3.
    num_in
        Channels of the input.
    num_out
        Channels after both convolutions, or after each of them.
    """
    block: nn.Module = StackedConvBlocks(
        2,
        _CONVOLUTIONS[dimensions],
        num_in,
        num_out,
        3,
        1,
        norm_op=_NORMALISATIONS[dimensions],
        nonlin=nn.ReLU,
    )
    return block
