"""Attention U-Net in 3D.

Oktay et al. 2018, "Attention U-Net: Learning where to look for the pancreas" (MIDL), as implemented
in MONAI. Zhang et al. mention it in section 6 with neither its size nor its recipe: both are
assumptions of this project, the recipe is UNETR's.

Differences: 32 to 512 channels, the first ones as many as in nnU-Net's U-Nets (the authors' public
code has 16 to 256); all four skips are gated, the first one too; a gate gets the enlarged features
of the level below instead of its small ones, so that attention needs no interpolation; strided
convolutions instead of max pooling; instance normalisation and PReLU after the concatenations; no
deep supervision; any size of patches (padded to a multiple of 16).
"""

from collections.abc import Sequence

from nnunet_sparse.architectures.padding import PaddedNetwork, check_dimensions

DIMENSIONS = 3


class AttentionUNet3D(PaddedNetwork):
    """U-Net with attention gates in its skips.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    channels
        Channels of the levels; between them sides are halved.
    """

    def __init__(
        self, num_input_channels: int, num_classes: int, *, channels: Sequence[int]
    ) -> None:
        from monai.networks.nets import AttentionUnet

        num_halvings = len(channels) - 1
        if num_halvings < 1:
            raise ValueError(f"channels must have two levels or more, got {list(channels)}")
        network = AttentionUnet(
            spatial_dims=DIMENSIONS,
            in_channels=num_input_channels,
            out_channels=num_classes,
            channels=tuple(channels),
            strides=(2,) * num_halvings,
        )
        super().__init__(network, 2**num_halvings)


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    channels: Sequence[int] = (32, 64, 128, 256, 512),
) -> AttentionUNet3D:
    """Attention U-Net; see :class:`AttentionUNet3D` for the options.

    Raises
    ------
    ValueError
        If the patch is not 3D, or there is one level only.
    """
    check_dimensions(patch_size, DIMENSIONS)
    return AttentionUNet3D(num_input_channels, num_classes, channels=channels)
