"""A W-shaped network with channel attention, in the style of CAM-WNet.

Liu, Yuan and Wang 2022, "CAM-Wnet: An effective solution for accurate pulmonary embolism
segmentation" (Medical Physics 49(8), 5294-5303). The authors' layers are not public. What is known
is the shape of it: two encoder-decoders in a row, the first one with a pretrained VGG16 encoder,
the second one corrects what the first one found coarsely and has channel attention modules in its
skip connections. Every other choice is ours:

- coarse encoder: the 13 convolutions of VGG16 without batch normalisation; its input is the image,
  brought to three channels (see ``rgb``);
- coarse decoder: four times bilinear enlargement by 2, concatenation with the encoder's stage of
  that size, and two 3 x 3 convolutions with batch normalisation and ReLU, to 256, 128, 64 and 32
  channels; a 1 x 1 convolution to the classes;
- between the stages: the softmax over the classes, of which the background is left out, is
  concatenated with the image (its own channels, not three). Gradients flow through it, and there is
  no loss on the coarse stage;
- second stage: a U-Net with 32 to 512 channels, two 3 x 3 convolutions with batch normalisation and
  ReLU per stage, max pooling, transposed convolutions of 2 x 2;
- channel attention (see ``channel_attention``) in each of its four skips, before the concatenation,
  with a reduction of 16; none in the coarse stage;
- images are padded to a multiple of 16, since neither encoder halves more than four times; weights
  other than VGG's begin as PyTorch has them; no dropout.

Classes must exclude each other (softmax), which nnU-Net's regions do not.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_sparse.architectures.channel_attention import ChannelAttention
from nnunet_sparse.architectures.double_convolution import double_convolution
from nnunet_sparse.architectures.padding import check_dimensions, crop_to_size, pad_to_multiple
from nnunet_sparse.architectures.rgb import RGBAdapter
from nnunet_sparse.architectures.vgg16 import VGGEncoder

DIMENSIONS = 2


class CoarseStage(nn.Module):
    """VGG16 encoder and a decoder.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    vgg_channels
        Channels of every convolution of the encoder, stage by stage.
    decoder_channels
        Channels of the decoder from the smallest image to the largest, one number less than stages.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        vgg_channels: Sequence[Sequence[int]],
        decoder_channels: Sequence[int],
    ) -> None:
        super().__init__()
        if len(decoder_channels) != len(vgg_channels) - 1:
            raise ValueError(
                f"decoder_channels must have {len(vgg_channels) - 1} numbers, one less than "
                f"vgg_channels has stages, got {list(decoder_channels)}"
            )
        self.to_rgb = RGBAdapter(num_input_channels)
        self.encoder = VGGEncoder(vgg_channels)
        skips = [stage[-1] for stage in vgg_channels]
        below = (skips[-1], *decoder_channels)
        self.decoder = nn.ModuleList(
            double_convolution(DIMENSIONS, before + skip, after)
            for before, skip, after in zip(below, skips[-2::-1], decoder_channels, strict=False)
        )
        self.head = nn.Conv2d(below[-1], num_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to coarse logits (batch, num_classes, y, x)."""
        *skips, x = self.encoder(self.to_rgb(images))
        for block in self.decoder:
            skip = skips.pop()
            x = F.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, x], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


class AttentionStage(nn.Module):
    """U-Net with channel attention in every skip.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the input and of the logits.
    channels
        Channels of the stages.
    reduction
        See :class:`ChannelAttention`.
    """

    def __init__(
        self, num_input_channels: int, num_classes: int, channels: Sequence[int], reduction: int
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            double_convolution(DIMENSIONS, before, after)
            for before, after in pairwise((num_input_channels, *channels))
        )
        self.attention = nn.ModuleList(ChannelAttention(n, reduction) for n in channels[:-1])
        pairs = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(n, skip, 2, stride=2) for n, skip in pairs)
        self.decoder = nn.ModuleList(
            double_convolution(DIMENSIONS, 2 * skip, skip) for _, skip in pairs
        )
        self.head = nn.Conv2d(channels[0], num_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to logits (batch, num_classes, y, x)."""
        skips = []
        for block, attention in zip(self.encoder, self.attention, strict=False):
            x = block(x)
            skips.append(attention(x))
            x = F.max_pool2d(x, 2)
        x = self.encoder[-1](x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


class CAMWNet(nn.Module):
    """Two encoder-decoders in a row; see the module for every choice.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits; at least two classes.
    vgg_channels
        Channels of every convolution of the coarse encoder, stage by stage.
    decoder_channels
        Channels of the coarse decoder, from the smallest image to the largest.
    channels
        Channels of the second stage's encoder; mirrored in its decoder.
    reduction
        What the number of channels is divided by in the attention modules.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        *,
        vgg_channels: Sequence[Sequence[int]],
        decoder_channels: Sequence[int],
        channels: Sequence[int],
        reduction: int,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"it needs a background and a foreground class, got {num_classes}")
        self.multiple = 2 ** (max(len(vgg_channels), len(channels)) - 1)
        self.coarse = CoarseStage(num_input_channels, num_classes, vgg_channels, decoder_channels)
        num_maps = num_classes - 1
        self.fine = AttentionStage(num_input_channels + num_maps, num_classes, channels, reduction)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to the second stage's logits (batch, classes, y, x)."""
        padded = pad_to_multiple(images, self.multiple)
        foreground = self.coarse(padded).softmax(dim=1)[:, 1:]
        return crop_to_size(self.fine(torch.cat([padded, foreground], dim=1)), images.shape[2:])

    def load_pretrained(self, file: Path) -> None:
        """Take the coarse encoder's weights from torchvision's VGG16.

        Parameters
        ----------
        file
            Its state dict, such as ``vgg16-397923af.pth``; the classifier is ignored.

        Raises
        ------
        SparseError
            If it cannot be read, or names or shapes differ.
        """
        self.coarse.encoder.load_pretrained(file)


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    vgg_channels: Sequence[Sequence[int]] = (
        (64, 64),
        (128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (512, 512, 512),
    ),
    decoder_channels: Sequence[int] = (256, 128, 64, 32),
    channels: Sequence[int] = (32, 64, 128, 256, 512),
    reduction: int = 16,
) -> CAMWNet:
    """W-shaped network; see :class:`CAMWNet` for the options, VGG16 by default.

    Raises
    ------
    ValueError
        If the patch is not 2D, there is one class only, or options contradict each other.
    """
    check_dimensions(patch_size, DIMENSIONS)
    return CAMWNet(
        num_input_channels,
        num_classes,
        vgg_channels=vgg_channels,
        decoder_channels=decoder_channels,
        channels=channels,
        reduction=reduction,
    )
