"""SegResNet.

Myronenko 2019, "3D MRI brain tumor segmentation using autoencoder regularization" (BrainLes at
MICCAI 2018), as implemented in MONAI. Differences: no variational autoencoder branch, which
regularised the encoder in training; no dropout by default (0.2 after the first convolution in the
paper); logits for the softmax over classes instead of a sigmoid over regions; any size of patches
(padded to a multiple of 8). 32 filters as in the paper, while MONAI's default is 8. Images are
enlarged trilinearly, whose gradient is not deterministic on GPUs.
"""

from collections.abc import Sequence

from nnunet_sparse.architectures.padding import PaddedNetwork, check_dimensions

DIMENSIONS = 3


class SegResNet(PaddedNetwork):
    """Residual encoder-decoder with group normalisation (8 groups).

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    init_filters
        Filters of the first stage, a multiple of 8; doubled in each of the next.
    blocks_down, blocks_up
        Number of residual blocks of the encoder's and the decoder's stages; the encoder has one
        stage more.
    dropout
        Dropout of channels after the first convolution.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        *,
        init_filters: int,
        blocks_down: Sequence[int],
        blocks_up: Sequence[int],
        dropout: float,
    ) -> None:
        if len(blocks_up) != len(blocks_down) - 1:
            raise ValueError(
                f"blocks_up must have one number less than blocks_down, got {list(blocks_up)} "
                f"and {list(blocks_down)}"
            )
        from monai.networks.nets import SegResNet as Network

        network = Network(
            spatial_dims=DIMENSIONS,
            init_filters=init_filters,
            in_channels=num_input_channels,
            out_channels=num_classes,
            dropout_prob=dropout or None,
            blocks_down=tuple(blocks_down),
            blocks_up=tuple(blocks_up),
        )
        super().__init__(network, 2 ** len(blocks_up))


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    init_filters: int = 32,
    blocks_down: Sequence[int] = (1, 2, 2, 4),
    blocks_up: Sequence[int] = (1, 1, 1),
    dropout: float = 0.0,
) -> SegResNet:
    """SegResNet; see :class:`SegResNet` for the options, published sizes by default.

    Raises
    ------
    ValueError
        If the patch is not 3D, or options contradict each other.
    """
    check_dimensions(patch_size, DIMENSIONS)
    return SegResNet(
        num_input_channels,
        num_classes,
        init_filters=init_filters,
        blocks_down=blocks_down,
        blocks_up=blocks_up,
        dropout=dropout,
    )
