"""UNETR.

Hatamizadeh et al. 2022, "UNETR: Transformers for 3D medical image segmentation" (WACV), as
implemented in MONAI, with patches of 16 x 16 x 16 voxels and 12 transformer blocks. Differences:
the transformer's features are taken after the blocks 4, 7, 10 and 12 (3, 6, 9 and 12 in the paper);
any size of patches, padded to a multiple of 16, but one for each network, since every position has
a learned embedding.
"""

from collections.abc import Sequence

import torch
from torch import nn

from nnunet_sparse.architectures.padding import PaddedNetwork, check_dimensions, padded_size

DIMENSIONS = 3
MULTIPLE = 16


class UNETR(PaddedNetwork):
    """Vision transformer encoder with a convolutional decoder, for patches of one size.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    patch_size
        Size of the images, in voxels.
    feature_size
        Features of the decoder at full size.
    hidden_size, mlp_dim, num_heads
        Width of the transformer, of its feed-forward layers, and its attention heads.
    dropout
        Dropout in the transformer.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        patch_size: Sequence[int],
        *,
        feature_size: int,
        hidden_size: int,
        mlp_dim: int,
        num_heads: int,
        dropout: float,
    ) -> None:
        from monai.networks.nets import UNETR as Network  # noqa: N811

        network = Network(
            in_channels=num_input_channels,
            out_channels=num_classes,
            img_size=padded_size(patch_size, MULTIPLE),
            feature_size=feature_size,
            hidden_size=hidden_size,
            mlp_dim=mlp_dim,
            num_heads=num_heads,
            norm_name="instance",
            dropout_rate=dropout,
        )
        # MONAI makes these for cross attention, without which they never get a gradient, at which
        # a training on several devices stops
        for block in network.vit.blocks:
            block.norm_cross_attn = nn.Identity()
        super().__init__(network, MULTIPLE)
        self.patch_size = tuple(patch_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment images.

        Parameters
        ----------
        images
            (batch, num_input_channels, *patch_size).

        Returns
        -------
        torch.Tensor
            Logits (batch, num_classes, *patch_size).

        Raises
        ------
        ValueError
            If the images have another size than the network.
        """
        if images.shape[2:] != self.patch_size:
            raise ValueError(
                f"this UNETR was built for patches of {list(self.patch_size)} voxels, "
                f"got {list(images.shape[2:])}"
            )
        return super().forward(images)


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    feature_size: int = 16,
    hidden_size: int = 768,
    mlp_dim: int = 3072,
    num_heads: int = 12,
    dropout: float = 0.0,
) -> UNETR:
    """UNETR; see :class:`UNETR` for the options, published sizes by default.

    Raises
    ------
    ValueError
        If the patch is not 3D, or the width no multiple of the number of heads.
    """
    check_dimensions(patch_size, DIMENSIONS)
    return UNETR(
        num_input_channels,
        num_classes,
        patch_size,
        feature_size=feature_size,
        hidden_size=hidden_size,
        mlp_dim=mlp_dim,
        num_heads=num_heads,
        dropout=dropout,
    )
