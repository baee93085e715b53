"""Inception U-Net.

Punn and Agarwal 2020, "Inception U-Net architecture for semantic segmentation to identify nuclei in
microscopy cell images" (ACM Transactions on Multimedia Computing, Communications, and Applications
16(1)); sizes and details that the paper leaves open are those of the authors' public code.

Differences: any number of channels and classes, and logits instead of a sigmoid; any size of images
(padded to a multiple of 16, after the normalisation); a low pass in the blocks' spectral pooling
(see ``spectral_pooling``); the 1 x 1 convolutions behind all pooling are trained, while in the
public code most of them are hidden from the optimiser; Fourier spectra, as in the public code,
instead of the paper's Hartley spectra, with the same result. Weights begin as in the public code.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from nnunet_sparse.architectures.inception_block import InceptionBlock
from nnunet_sparse.architectures.padding import check_dimensions, crop_to_size, pad_to_multiple
from nnunet_sparse.architectures.spectral_pooling import HybridPooling
from nnunet_sparse.architectures.switch_norm import SwitchNorm2d

DIMENSIONS = 2


class InceptionUNet(nn.Module):
    """Inception U-Net for slices.

    The input goes through switchable normalisation. Stages are inception blocks; between them
    height and width are halved by hybrid pooling, and doubled by transposed convolutions of 2 x 2
    pixels without activation, followed by the concatenation with the encoder's stage. The
    bottleneck also sees the normalised input, by hybrid pooling to its size. There is no other
    normalisation.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    channels
        Channels of the encoder's stages, the last one being the bottleneck; mirrored in the
        decoder.
    dropout
        Dropout of every stage but the bottleneck, which has none as in the public code; mirrored in
        the decoder.
    batch_norm
        Whether convolutions are followed by batch normalisation, a switch of the public code that
        is off there.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int],
        dropout: Sequence[float],
        batch_norm: bool,
    ) -> None:
        super().__init__()
        if len(dropout) != len(channels) - 1:
            raise ValueError(
                f"dropout must have a number for each of {len(channels) - 1} stages, "
                f"got {list(dropout)}"
            )
        self.multiple = 2 ** len(dropout)
        self.norm = SwitchNorm2d(num_input_channels)
        ins = (num_input_channels, *channels)
        self.encoder = nn.ModuleList(
            InceptionBlock(before, after, share, batch_norm)
            for before, after, share in zip(ins, channels, dropout, strict=False)
        )
        self.down = nn.ModuleList(HybridPooling(width, 2) for width in channels[:-1])
        self.shortcut = HybridPooling(num_input_channels, self.multiple)
        self.bottleneck = InceptionBlock(
            ins[-2], ins[-1], 0.0, batch_norm, num_extra_channels=num_input_channels
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, width, 2, stride=2)
            for below, width in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.decoder = nn.ModuleList(
            InceptionBlock(2 * width, width, share, batch_norm)
            for width, share in zip(channels[-2::-1], dropout[::-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], num_classes, 1)
        self._initialise()

    def _initialise(self) -> None:
        """He et al. 2015 before activations, Glorot and Bengio 2010 elsewhere, both uniform."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(cast("torch.Tensor", module.bias))
        for module in self.modules():
            if isinstance(module, InceptionBlock):
                for conv in module.activated:
                    nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to logits (batch, num_classes, y, x)."""
        # what is padded must not count in the statistics
        padded = pad_to_multiple(self.norm(images), self.multiple)
        x, skips = padded, []
        for block, down in zip(self.encoder, self.down, strict=True):
            skips.append(block(x))
            x = down(skips[-1])
        x = self.bottleneck(x, self.shortcut(padded))
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1))
        return crop_to_size(self.head(x), images.shape[2:])


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    channels: Sequence[int] = (16, 32, 64, 128, 256),
    dropout: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    batch_norm: bool = False,
) -> InceptionUNet:
    """Inception U-Net; see :class:`InceptionUNet` for the options, published sizes by default.

    Raises
    ------
    ValueError
        If the patch is not 2D, or options contradict each other.
    """
    check_dimensions(patch_size, DIMENSIONS)
    return InceptionUNet(
        num_input_channels,
        num_classes,
        channels=channels,
        dropout=dropout,
        batch_norm=batch_norm,
    )
