"""The block of the Inception U-Net."""

import torch
from torch import nn

from nnunet_sparse.architectures.spectral_pooling import HybridPooling

KERNELS = (1, 3, 5)


class InceptionBlock(nn.Module):
    """Parallel convolutions of 1, 3 and 5 pixels and hybrid pooling, joined by a 1 x 1 convolution.

    Parameters
    ----------
    num_input_channels, num_channels
        Channels of the input; of each convolution and of the output.
    dropout
        Share of the output's values that are dropped.
    batch_norm
        Whether every branch is normalised before its activation, pooling included (which then has
        an activation as well).
    num_extra_channels
        Channels that are given to the joining convolution from outside.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_channels: int,
        dropout: float,
        batch_norm: bool,
        num_extra_channels: int = 0,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            _activated(num_input_channels, num_channels, kernel, batch_norm) for kernel in KERNELS
        )
        self.pooling: nn.Module = HybridPooling(num_input_channels, 1)
        if batch_norm:
            norm = nn.BatchNorm2d(num_input_channels)
            self.pooling = nn.Sequential(self.pooling, norm, nn.ReLU())
        num_joined = len(KERNELS) * num_channels + num_input_channels + num_extra_channels
        self.join = _activated(num_joined, num_channels, 1, batch_norm=False)
        self.dropout = nn.Dropout(dropout)

    @property
    def activated(self) -> list[nn.Conv2d]:
        """Convolutions that are followed by an activation."""
        sequences = [*self.branches, self.join]
        return [m for s in sequences for m in s.modules() if isinstance(m, nn.Conv2d)]

    def forward(self, x: torch.Tensor, *extra: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to (batch, num_channels, y, x)."""
        parallel = [branch(x) for branch in self.branches]
        joined: torch.Tensor = self.join(torch.cat([*parallel, self.pooling(x), *extra], dim=1))
        result: torch.Tensor = self.dropout(joined)
        return result


def _activated(num_in: int, num_out: int, kernel: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(num_in, num_out, kernel, padding=kernel // 2)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(num_out))
    return nn.Sequential(*layers, nn.ReLU())
