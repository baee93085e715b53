"""Images with any number of channels for an encoder that was trained on colour pictures."""

import torch
from torch import nn


class RGBAdapter(nn.Module):
    """Bring images to three channels.

    One channel is repeated three times ("converted gray scale images to RGB" in the paper that we
    follow); three are taken as they are, whatever they show; any other number goes through a
    learned 1 x 1 convolution without bias, which begins as the mean of the channels. Intensities
    are not changed to those of ImageNet: nnU-Net's normalisation has brought them to a similar
    range.

    Parameters
    ----------
    num_input_channels
        Number of image channels.
    """

    def __init__(self, num_input_channels: int) -> None:
        super().__init__()
        self.num_input_channels = num_input_channels
        if num_input_channels not in (1, 3):
            self.mix = nn.Conv2d(num_input_channels, 3, 1, bias=False)
            nn.init.constant_(self.mix.weight, 1 / num_input_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to (batch, 3, y, x)."""
        if self.num_input_channels == 1:
            return images.expand(-1, 3, -1, -1)
        if self.num_input_channels == 3:
            return images
        mixed: torch.Tensor = self.mix(images)
        return mixed
