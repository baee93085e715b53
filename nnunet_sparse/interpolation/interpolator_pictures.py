"""Picture of what an interpolator has learnt."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from nnunet_sparse.interpolation.interpolator_training import volume_scale
from nnunet_sparse.interpolation.network import CorrespondenceNetwork
from nnunet_sparse.interpolation.slice_stack import SliceStack
from nnunet_sparse.system.figures import save_figure

_NUM_EXAMPLES = 4
# slices from reference to target
_GAP = 3
_MAX_SIDE = 256
# of a row, as a share of a square's height
_FLATTEST, _TALLEST = 0.3, 1.6
# about this many arrows along a side
_ARROWS = 12


def draw_reconstructions(network: CorrespondenceNetwork, volume: SliceStack, output: Path) -> None:
    """Draw references, targets, reconstructions, and where the pixels came from.

    Parameters
    ----------
    network
        Trained.
    volume
        Pairs of its slices are shown, as far apart as in training, from all over it.
    output
        PNG file.
    """
    last = len(volume.slices) - 1
    gap = min(_GAP, last)
    starts = np.linspace(0, last - gap, _NUM_EXAMPLES + 2)[1:-1].round().astype(int)
    starts = np.unique(starts)
    scale = volume_scale(volume.slices, network.grey_levels)
    shift = network.expected_shift(torch.tensor([gap]), volume.aspect)
    shown = volume.slices[:, :, *(_middle(size) for size in volume.slices.shape[2:])]
    height, width = shown.shape[2:]
    # of a pixel: high ones where slices lie far apart along y
    pixel = volume.aspect[1] / volume.aspect[0]
    row_inches = 2.3 * min(_TALLEST, max(_FLATTEST, height * pixel / width))
    figure = Figure(figsize=(9.5, row_inches * len(starts) + 0.5), layout="constrained")
    grid = figure.subplots(len(starts), 4, squeeze=False)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    position = torch.stack([y, x])[None].float()
    for number, (row, start) in enumerate(zip(grid, starts, strict=True)):
        pair = torch.from_numpy(np.asarray(shown[[start, start + gap]], np.float32))
        with torch.inference_mode():
            features = network.encode(pair, scale)
            value = torch.cat([pair[:1], position], dim=1)
            warped = network(features[1:], features[:1], value, shift)[0]
        found, origin = warped[:-2], warped[-2:]
        low, high = float(pair[:, 0].min()), float(pair[:, 0].max())
        reference, target = pair[:, 0]
        images = reference, target, found[0], target
        titles = "reference", "target", "reconstruction", "flow from the reference"
        for axes, image, title in zip(row, images, titles, strict=True):
            scaled = {"vmin": low, "vmax": max(high, low + 1e-3), "aspect": pixel}
            axes.imshow(image.numpy(), cmap="gray", **scaled)
            axes.set(xticks=[], yticks=[])
            if number == 0:
                axes.set_title(title, fontsize=10)
        step = max(1, max(height, width) // _ARROWS)
        flow = (position[0] - origin)[:, step // 2 :: step, step // 2 :: step].numpy()
        at = position[0][:, step // 2 :: step, step // 2 :: step].numpy()
        row[3].quiver(
            at[1] - flow[1],
            at[0] - flow[0],
            flow[1],
            flow[0],
            color="#E69F00",
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.006,
        )
    save_figure(figure, output)


def _middle(size: int) -> slice:
    """The middle of a side that is too long for a picture."""
    first = max(0, size - _MAX_SIDE) // 2
    return slice(first, first + _MAX_SIDE)
