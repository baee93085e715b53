"""Edge profiles: how every pixel differs from its neighbours, whatever the scanner's scale.

Yeung et al. 2021 (Sli2Vol) feed their network the differences of a pixel to its 48 neighbours in a
window of 7 x 7, through a softmax. The softmax depends on the scale of the image: at Hounsfield
scale it picks one neighbour, at a scale of 0 to 1 all neighbours are alike. Here the differences of
a volume are divided by their own mean absolute value first; or, as published, they are counted in
grey levels of 0 to 255.
"""

import torch
import torch.nn.functional as F

RADIUS = 3
NUM_NEIGHBOURS = (2 * RADIUS + 1) ** 2 - 1
GREY_LEVELS = 255


def differences(slices: torch.Tensor) -> torch.Tensor:
    """Neighbours' intensities minus a pixel's own.

    Parameters
    ----------
    slices
        (n, channel, y, x); the edge is continued outwards.

    Returns
    -------
    torch.Tensor
        (n, channel, 48, y, x).
    """
    n, c, height, width = slices.shape
    side = 2 * RADIUS + 1
    around = F.pad(slices, (RADIUS,) * 4, mode="replicate")
    window = F.unfold(around.flatten(0, 1)[:, None], side).reshape(n, c, side**2, height, width)
    centre = side**2 // 2
    neighbours = torch.cat([window[:, :, :centre], window[:, :, centre + 1 :]], dim=2)
    return neighbours - slices[:, :, None]


def edge_profile(slices: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Softmax over the neighbours of the differences to them.

    Parameters
    ----------
    slices
        (n, channel, y, x) intensities.
    scale
        (channel,) what counts as a difference of 1, see :func:`difference_scale`; below 0, the
        darkest neighbours get the largest values, otherwise the brightest.

    Returns
    -------
    torch.Tensor
        (n, channel * 48, y, x); the 48 values of a channel have the sum 48.
    """
    profile = (differences(slices) / scale[:, None, None, None]).softmax(dim=2)
    return NUM_NEIGHBOURS * profile.flatten(1, 2)


def difference_scale(slices: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference between neighbours where there is one, for each channel.

    Parameters
    ----------
    slices
        (n, channel, y, x), a volume or a sample of its slices.

    Returns
    -------
    torch.Tensor
        (channel,), positive; NaN where nothing differs.
    """
    found = differences(slices).abs()
    return found.sum(dim=(0, 2, 3, 4)) / (found > 0).sum(dim=(0, 2, 3, 4))


def grey_level(volume: torch.Tensor) -> torch.Tensor:
    """What counts as a difference of 1 if the intensities of a volume are to go from 0 to 255.

    Parameters
    ----------
    volume
        (n, channel, y, x), all of it.

    Returns
    -------
    torch.Tensor
        (channel,), positive; 0 where nothing differs.
    """
    of_channel = volume.transpose(0, 1).flatten(1)
    return (of_channel.amax(dim=1) - of_channel.amin(dim=1)) / GREY_LEVELS
