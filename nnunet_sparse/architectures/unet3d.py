"""The original 3D U-Net, on patches of half the size.

Cicek et al. 2016, "3D U-Net: Learning dense volumetric segmentation from sparse annotation"
(MICCAI). Differences:

- patches are shrunk before the network and logits enlarged after it (128 x 128 x 128 voxels are
  seen as 64 x 64 x 64). They are shrunk by the mean of 2 x 2 x 2 voxels, which for this factor is
  what trilinear interpolation gives, and for others does not skip voxels. Logits are enlarged
  trilinearly, and compared with the labels at the patch's own size. Zhang et al. write that a patch
  is "then down-sampled" (their first version: "resized to 64x64x64"), which more likely shrinks its
  labels too; that they are kept is an assumption of this project, by which no single annotated
  slice is lost. ``shrink_labels`` gives the other reading;
- convolutions are padded, so that the output is as large as the input; any size is padded;
- in evaluation batch normalisation uses running statistics, in the paper those of the one patch
  in the batch;
- convolutions followed by batch normalisation have no bias. The paper counts 19,069,955 parameters
  for 3 channels and 3 classes; there are 19,072,291 here, 2,336 more: a normalised channel has a
  scale and a shift, where the paper's number has room for one parameter;
- weights begin as PyTorch has them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_sparse.architectures.double_convolution import double_convolution
from nnunet_sparse.architectures.padding import (
    check_dimensions,
    crop_to_size,
    pad_to_multiple,
    padded_size,
)

DIMENSIONS = 3
NUM_LEVELS = 4


class UNet3D(nn.Module):
    """3D U-Net with four levels.

    A level has two 3 x 3 x 3 convolutions, each followed by batch normalisation and ReLU. On the
    way down the second one doubles the features, before max pooling; on the way up a 2 x 2 x 2
    transposed convolution keeps their number, and both convolutions after the concatenation have
    those of the skip.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    base_features
        Features of the first convolution.
    downscale
        What the sides of patches are divided by; 1 to take them as they are.
    shrink_labels
        Whether logits are left at the size of the shrunk patch while the network is trained, so
        that labels are compared at that size (:mod:`nnunet_sparse.training.losses`). In evaluation
        they are enlarged all the same.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        *,
        base_features: int,
        downscale: int,
        shrink_labels: bool = False,
    ) -> None:
        super().__init__()
        self.downscale = downscale
        self.shrink_labels = shrink_labels
        self.multiple = downscale * 2 ** (NUM_LEVELS - 1)
        # features at the end of every level, the last one being the bottom
        features = [base_features * 2 ** (level + 1) for level in range(NUM_LEVELS)]
        inputs = [num_input_channels, *features]
        self.encoder = nn.ModuleList(
            double_convolution(DIMENSIONS, before, [after // 2, after])
            for before, after in zip(inputs, features, strict=False)
        )
        pairs = list(zip(features[:0:-1], features[-2::-1], strict=True))
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(below, below, 2, stride=2, bias=False) for below, _ in pairs
        )
        self.decoder = nn.ModuleList(
            double_convolution(DIMENSIONS, below + skip, skip) for below, skip in pairs
        )
        self.head = nn.Conv3d(features[0], num_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, z, y, x) to logits (batch, num_classes, z, y, x).

        With ``shrink_labels``, in training, to logits whose sides are divided by ``downscale``.
        """
        padded = pad_to_multiple(images, self.multiple)
        logits = self._segment(F.avg_pool3d(padded, self.downscale))
        if self.training and self.shrink_labels:
            return logits
        logits = F.interpolate(logits, padded.shape[2:], mode="trilinear", align_corners=False)
        return crop_to_size(logits, images.shape[2:])

    def _segment(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for block in self.encoder[:-1]:
            skips.append(block(x))
            x = F.max_pool3d(skips[-1], 2)
        x = self.encoder[-1](x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    base_features: int = 32,
    downscale: int = 2,
    shrink_labels: bool = False,
) -> UNet3D:
    """3D U-Net; see :class:`UNet3D` for the options, published features by default.

    Raises
    ------
    ValueError
        If the patch is not 3D, or labels cannot be shrunk with it.
    """
    check_dimensions(patch_size, DIMENSIONS)
    network = UNet3D(
        num_input_channels,
        num_classes,
        base_features=base_features,
        downscale=downscale,
        shrink_labels=shrink_labels,
    )
    if shrink_labels and padded_size(patch_size, network.multiple) != tuple(patch_size):
        raise ValueError(
            f"shrink_labels needs patches whose sides are multiples of {network.multiple}, "
            f"got {list(patch_size)}"
        )
    return network
