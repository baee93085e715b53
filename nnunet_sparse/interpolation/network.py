"""The correspondence network of Sli2Vol with a full-resolution encoder.

Yeung et al. 2021, "Sli2Vol: Annotate a 3D Volume from a Single Slice with Self-Supervised Learning"
(MICCAI), as changed by Zhang et al. 2026, appendix F: every stride of the ResNet18-like encoder is
1. A stem of 7 x 7 to 16 channels, four stages of two blocks with 16, 32, 64 and 128 channels, and a
3 x 3 convolution to 64 channels. Beyond the papers: any number of image channels; and the
expectation that shifts are small, without which pixels are taken from wherever the window shows
their intensity, so that labels are scrambled where borders are faint.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_sparse.interpolation.affinity import local_affinity
from nnunet_sparse.interpolation.edge_profile import NUM_NEIGHBOURS, edge_profile
from nnunet_sparse.system.atomic import as_json
from nnunet_sparse.system.devices import half_precision
from nnunet_sparse.system.json_form import NOT_NEGATIVE, Keys, ListOf, check_form, from_one_to

WIDTHS = (16, 32, 64, 128)
FEATURES = 64
RADIUS = 6
_WIDTH = from_one_to(2048)
_CONFIG = Keys(
    {"widths": ListOf(_WIDTH)},
    {
        "channels": from_one_to(1024),
        "radius": from_one_to(64),
        "features": _WIDTH,
        **dict.fromkeys(("temperature", "spread", "sharpness"), NOT_NEGATIVE),
    },
)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity (He et al. 2016), without stride."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.skip: nn.Module = nn.Identity()
        if channels != width:
            self.skip = nn.Sequential(
                nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, y, x) to (n, width, y, x)."""
        out = torch.relu(self.norm1(self.conv1(x)))
        result: torch.Tensor = torch.relu(self.norm2(self.conv2(out)) + self.skip(x))
        return result


class CorrespondenceNetwork(nn.Module):
    """Features of slices, by which pixels of one slice find their like in another.

    Parameters
    ----------
    channels
        Number of image channels.
    radius
        Largest shift between two slices in pixels.
    widths
        Channels of the four stages; the stem has as many as the first.
    features
        Number of features of a pixel.
    temperature
        Of the edge profile's softmax, as a multiple of the volume's scale. 0 for the profile of the
        published code: differences of a pixel to its neighbours, not theirs to it, in grey levels.
    spread
        Standard deviation of the shifts that are expected, as a multiple of the distance between
        neighbouring slices; 0 for no expectation.
    sharpness
        What cosines between features are multiplied by before the softmax; 0 for plain dot
        products.
    """

    def __init__(
        self,
        channels: int = 1,
        radius: int = RADIUS,
        widths: tuple[int, ...] = WIDTHS,
        features: int = FEATURES,
        temperature: float = 1.0,
        spread: float = 0.0,
        sharpness: float = 0.0,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "channels": channels,
            "radius": radius,
            "widths": list(widths),
            "features": features,
            "temperature": temperature,
            "spread": spread,
            "sharpness": sharpness,
        }
        self.radius, self.temperature = radius, temperature
        self.spread, self.sharpness = spread, sharpness
        self.stem = nn.Sequential(
            nn.Conv2d(channels * NUM_NEIGHBOURS, widths[0], 7, padding=3, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        blocks, previous = [], widths[0]
        for width in widths:
            blocks += [ResidualBlock(previous, width), ResidualBlock(width, width)]
            previous = width
        self.stages = nn.Sequential(*blocks)
        self.head = nn.Conv2d(previous, features, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    @property
    def grey_levels(self) -> bool:
        """Whether differences between pixels are counted in grey levels."""
        return not self.temperature

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "CorrespondenceNetwork":
        """Network of a stored configuration, with new weights.

        Raises
        ------
        SparseError
            If no network of this kind is as large.
        """
        check_form(as_json(config), _CONFIG, "the configuration")
        return cls(**{**config, "widths": tuple(config["widths"])})

    def encode(self, slices: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Features of slices.

        Parameters
        ----------
        slices
            (n, channel, y, x) intensities.
        scale
            (channel,), see :func:`nnunet_sparse.interpolation.interpolator_training.volume_scale`.

        Returns
        -------
        torch.Tensor
            (n, features, y, x), in half precision where that is faster.
        """
        profile = edge_profile(slices, self.temperature * scale if self.temperature else -scale)
        profile = profile.contiguous(memory_format=torch.channels_last)
        half = half_precision(slices.device)
        with torch.autocast(slices.device.type, half, enabled=half is not None):
            result: torch.Tensor = self.head(self.stages(self.stem(profile)))
        if self.sharpness:
            result = self.sharpness**0.5 * F.normalize(result.float(), dim=1)
        return result

    def expected_shift(self, gap: torch.Tensor, aspect: tuple[float, float]) -> torch.Tensor:
        """Standard deviation (n, 2) of shifts along y and x, infinite if nothing is expected.

        Parameters
        ----------
        gap
            (n,) how many slices two slices are apart. The variance grows linearly with it.
        aspect
            Distance between neighbouring slices in pixels along y and x.

        Returns
        -------
        torch.Tensor
            In pixels.
        """
        if not self.spread:
            return torch.full((len(gap), 2), torch.inf, device=gap.device)
        along = torch.tensor(aspect, device=gap.device)
        return self.spread * gap.float().sqrt()[:, None] * along

    def forward(
        self,
        target: torch.Tensor,
        reference: torch.Tensor,
        value: torch.Tensor,
        shift: torch.Tensor,
        corner: tuple[int, int] = (0, 0),
        outside: bool = False,
    ) -> torch.Tensor:
        """Warp values of references to targets, all given by their features.

        Parameters
        ----------
        target
            (n, features, height, width) of the whole slices or of a part.
        reference
            (n, features, y, x).
        value
            (n, v, y, x) what is warped.
        shift
            (n, 2) see :meth:`expected_shift`.
        corner
            Pixel of the reference at which the target's first pixel stands.
        outside
            Whether shifts out of the reference take part, see
            :func:`nnunet_sparse.interpolation.affinity.local_affinity`.

        Returns
        -------
        torch.Tensor
            (n, v, height, width).
        """
        steps = torch.arange(-self.radius, self.radius + 1, device=shift.device) ** 2
        # the logarithm of a normal distribution
        along_y, along_x = (-steps / (2 * sigma[:, None] ** 2) for sigma in shift.unbind(dim=1))
        bias = along_y[:, :, None] + along_x[:, None]
        return local_affinity(target, reference, value, self.radius, corner, bias, outside)
