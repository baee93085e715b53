"""Switchable normalisation."""

import torch
from torch import nn


class SwitchNorm2d(nn.Module):
    """Normalise by a learned mixture of instance, layer and batch statistics.

    Luo et al. 2019, "Differentiable learning-to-normalize via switchable normalization" (ICLR):
    the mean is the sum of the three means, weighted by the softmax of three learned numbers, and so
    is the variance, with three numbers of its own; all begin equal. The statistics of layer and
    batch are computed from those of the instances.

    In evaluation the batch's mean and variance are running averages, which is one of the two ways
    in the paper (the other one averages over some batches after the training). Variances are not
    corrected for the number of samples, without which the relation between them would not be exact.
    Statistics are computed in single precision, also under autocast. In a training on several
    devices every process has statistics of its own.

    Parameters
    ----------
    num_channels
        Number of channels.
    epsilon
        Added to the variance.
    momentum
        Share of the present batch in the running averages.
    """

    running_mean: torch.Tensor
    running_variance: torch.Tensor

    def __init__(self, num_channels: int, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        # instance, layer, batch
        self.mean_weight = nn.Parameter(torch.ones(3))
        self.variance_weight = nn.Parameter(torch.ones(3))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_variance", torch.ones(num_channels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_channels, y, x) to the same, in the precision of the images."""
        with torch.autocast(images.device.type, enabled=False):
            return self._normalise(images.float()).to(images.dtype)

    def _normalise(self, x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)  # [B, C, 1, 1]
        square = variance + mean.square()
        layer_mean = mean.mean(dim=1, keepdim=True)  # [B, 1, 1, 1]
        layer_variance = square.mean(dim=1, keepdim=True) - layer_mean.square()
        if self.training:
            batch_mean = mean.mean(dim=0, keepdim=True)  # [1, C, 1, 1]
            batch_variance = square.mean(dim=0, keepdim=True) - batch_mean.square()
            with torch.no_grad():
                self.running_mean.lerp_(batch_mean.flatten().to(self.running_mean), self.momentum)
                self.running_variance.lerp_(
                    batch_variance.flatten().to(self.running_mean), self.momentum
                )
        else:
            batch_mean = self.running_mean.view(1, -1, 1, 1)
            batch_variance = self.running_variance.view(1, -1, 1, 1)
        a, b = self.mean_weight.softmax(0), self.variance_weight.softmax(0)
        mean = a[0] * mean + a[1] * layer_mean + a[2] * batch_mean
        variance = b[0] * variance + b[1] * layer_variance + b[2] * batch_variance
        # a difference of squares can come out slightly negative
        scale = (variance.clamp(min=0) + self.epsilon).rsqrt() * self.weight.view(1, -1, 1, 1)
        return (x - mean) * scale + self.bias.view(1, -1, 1, 1)
