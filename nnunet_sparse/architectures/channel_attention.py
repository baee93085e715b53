"""Channel attention."""

import torch
from torch import nn

SMALLEST = 8


class ChannelAttention(nn.Module):
    """Weight channels by what they hold on average and at most.

    Woo et al. 2018, "CBAM: Convolutional block attention module" (ECCV), the channel part, which
    extends squeeze and excitation (Hu et al. 2018): the means and the maxima of the channels go
    through one shared perceptron, whose results are added and squashed to weights from 0 to 1. The
    hidden layer has at least 8 units, since fewer ones with ReLU are easily all dead; linear layers
    have no bias.

    Parameters
    ----------
    num_channels
        Number of channels.
    reduction
        What the number of channels is divided by in the hidden layer.
    """

    def __init__(self, num_channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(SMALLEST, num_channels // reduction)
        self.perceptron = nn.Sequential(
            nn.Linear(num_channels, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, num_channels, bias=False),
        )

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Weights (batch, num_channels), from 0 to 1."""
        mean, highest = x.mean(dim=(2, 3)), x.amax(dim=(2, 3))
        return torch.sigmoid(self.perceptron(mean) + self.perceptron(highest))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, num_channels, y, x) to the same, weighted."""
        return x * self.weights(x)[:, :, None, None]
