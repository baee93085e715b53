"""Picture of what an interpolator has learnt."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from nnunet_sparse.figures import save_figure
from nnunet_sparse.interpolation.network import CorrespondenceNetwork
from nnunet_sparse.interpolation.training import volume_scale
from nnunet_sparse.interpolation.volumes import Volume

_NUM_EXAMPLES = 4
# slices from reference to target
_GAP = 3
_MAX_SIDE = 256
# about this many arrows along a side
_ARROWS = 12


def draw_reconstructions(network: CorrespondenceNetwork, volume: Volume, output: Path) -> None:
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
    scale = volume_scale(volume.slices)
    pairs = [(2 * k, 2 * k + 1) for k in range(len(starts))]
    sides = tuple(_middle(size) for size in volume.slices.shape[2:])
    chosen = torch.from_numpy(np.stack([starts, starts + gap], axis=1).ravel())
    shown = volume.slices[:, :, *sides][chosen.numpy()]
    slices = torch.from_numpy(np.asarray(shown, np.float32))
    figure = Figure(figsize=(9.5, 2.4 * len(pairs) + 0.4), layout="constrained")
    grid = figure.subplots(len(pairs), 4, squeeze=False)
    height, width = slices.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    position = torch.stack([y, x])[None].float()
    for row, (i, j) in zip(grid, pairs, strict=True):
        with torch.inference_mode():
            features = network.encode(slices[[i, j]], scale)
            value = torch.cat([slices[i : i + 1], position], dim=1)
            shift = network.expected_shift(chosen[[j]] - chosen[[i]], volume.aspect)
            warped = network(features[1:], features[:1], value, shift)[0]
        found, origin = warped[:-2], warped[-2:]
        low, high = float(slices[[i, j], 0].min()), float(slices[[i, j], 0].max())
        images = slices[i, 0], slices[j, 0], found[0], slices[j, 0]
        titles = "reference", "target", "reconstruction", "flow from the reference"
        for axes, image, title in zip(row, images, titles, strict=True):
            axes.imshow(image.numpy(), cmap="gray", vmin=low, vmax=max(high, low + 1e-3))
            axes.set(xticks=[], yticks=[])
            if i == 0:
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
