"""The convolutions of VGG16, with torchvision's names."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from nnunet_sparse.system.checkpoint import load_checkpoint
from nnunet_sparse.system.errors import SparseError

PREFIX = "features."


class VGGEncoder(nn.Module):
    """Stages of 3 x 3 convolutions with ReLU, and max pooling between them.

    Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
    recognition" (ICLR), configuration D without batch normalisation. The parameters are called as
    in torchvision (``features.0.weight`` ...). The pooling after the last stage and the classifier
    are left out: neither serves a decoder. The weights begin as in He et al. 2015 (fan out).

    Parameters
    ----------
    channels
        Channels of every convolution, stage by stage.
    """

    def __init__(self, channels: Sequence[Sequence[int]]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        num_in = 3
        self.ends = []
        for stage in channels:
            if layers:
                layers.append(nn.MaxPool2d(2))
            for num_out in stage:
                layers += [nn.Conv2d(num_in, num_out, 3, padding=1), nn.ReLU()]
                num_in = num_out
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(cast("torch.Tensor", layer.bias))

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """(batch, 3, y, x) to the last activations of every stage, the first one full size."""
        stages, start, x = [], 0, pictures
        for end in self.ends:
            x = self.features[start:end](x)
            stages.append(x)
            start = end
        return stages

    def load_pretrained(self, file: Path) -> None:
        """Take the weights from a state dict of torchvision's VGG16.

        Parameters
        ----------
        file
            Such as ``vgg16-397923af.pth``. Its classifier is ignored.

        Raises
        ------
        SparseError
            If it cannot be read, or names or shapes differ.
        """
        try:
            content = load_checkpoint(file)
        except (OSError, SparseError) as error:
            reason = str(error)
            raise SparseError(f"the weights of VGG16 in {file} cannot be read: {reason}") from error
        theirs = _shapes(content)
        ours = _shapes(self.state_dict())
        for name in sorted(ours | theirs):
            if ours.get(name) != theirs.get(name):
                raise SparseError(
                    f"{file} is not the state dict of this VGG16: {name} is "
                    f"{theirs.get(name, 'missing')} there, {ours.get(name, 'missing')} here"
                )
        self.load_state_dict({name: content[name] for name in ours})


def _shapes(content: object) -> dict[str, list[int]]:
    """Shapes of the convolutions' parameters in a state dict."""
    items = content.items() if isinstance(content, dict) else ()
    return {
        name: list(value.shape)
        for name, value in items
        if isinstance(value, torch.Tensor) and str(name).startswith(PREFIX)
    }
