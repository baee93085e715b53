"""Pooling that keeps the low frequencies, alone and beside max pooling."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def spectral_pool(images: torch.Tensor, factor: int, size: Sequence[int]) -> torch.Tensor:
    """Keep the middle of the centred spectrum and transform it back to any size.

    Rippel et al. 2015, "Spectral representations for convolutional neural networks" (NeurIPS). Of a
    side of n pixels the spectrum is cropped to n // factor frequencies around zero. Of an even
    number of them the outermost is left out: it has no counterpart of the other sign, without which
    the result would not be real. Cropping the Hartley spectrum, as in Zhang and Ma 2018, keeps the
    same frequencies and gives the same images. Amplitudes, and thus the mean, stay as they are.
    Computed in single precision, also under autocast.

    Parameters
    ----------
    images
        (batch, channels, y, x).
    factor
        How much narrower the spectrum becomes along each axis.
    size
        Height and width of the result, at least those of the cropped spectrum.

    Returns
    -------
    torch.Tensor
        (batch, channels, *size), in the precision of the images.
    """
    height, width = images.shape[2:]
    # highest frequency that is kept
    top, right = (max(side // factor - 1, 0) // 2 for side in (height, width))
    with torch.autocast(images.device.type, enabled=False):
        spectrum = torch.fft.rfft2(images.float(), norm="forward")[..., : right + 1]
        gap = spectrum.new_zeros(*spectrum.shape[:2], size[0] - 2 * top - 1, right + 1)
        rows = (spectrum[..., : top + 1, :], gap, spectrum[..., height - top :, :])
        pooled = torch.fft.irfft2(torch.cat(rows, dim=2), s=tuple(size), norm="forward")
        result: torch.Tensor = pooled.to(images.dtype)
    return result


class HybridPooling(nn.Module):
    """Max pooling beside spectral pooling, joined by a 1 x 1 convolution.

    Punn and Agarwal 2020; in their public code, as here, what spectral pooling gives is cut at
    zero, and the convolution has as many channels as its input and no activation. It differs in
    pooling that keeps the size (factor 1): there the spectrum is cropped to its full size in the
    public code, so that nothing is removed; here it is halved as in pooling by 2, and the result
    has the size of the input.

    Parameters
    ----------
    num_channels
        Number of channels of input and output.
    factor
        What height and width are divided by; they must be multiples of it. With 1, max pooling is
        that of the pixel and its three neighbours below and to the right.
    """

    def __init__(self, num_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.join = nn.Conv2d(2 * num_channels, num_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, num_channels, y, x) to (batch, num_channels, y / factor, x / factor)."""
        if self.factor == 1:
            # it pads both sides, with minus infinity
            highest = F.max_pool2d(x, 2, stride=1, padding=1)[:, :, 1:, 1:]
        else:
            highest = F.max_pool2d(x, self.factor)
        smooth = spectral_pool(x, max(self.factor, 2), highest.shape[2:]).relu()
        joined: torch.Tensor = self.join(torch.cat([highest, smooth], dim=1))
        return joined
