"""Pictures of a masked autoencoder's training."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_sparse.features.mae import MaskedAutoencoder, patch_statistics
from nnunet_sparse.system.figures import save_figure

_NUM_SLICES = 6


def draw_reconstructions(
    network: MaskedAutoencoder,
    slices: np.ndarray,
    output: Path,
    masked_share: float,
    seed: int = 0,
) -> None:
    """Draw slices, what the network sees of them, and what it makes of that.

    Parameters
    ----------
    network
        A trained network.
    slices
        (n, channel, height, width); some from all over are shown, their first channel.
    output
        PNG file.
    masked_share
        Share of the patches that is hidden.
    seed
        Seed of the masks.
    """
    chosen = np.linspace(0, len(slices) - 1, min(len(slices), _NUM_SLICES + 2)).astype(int)
    chosen = np.unique(chosen[1:-1] if len(chosen) > 2 else chosen)
    images = torch.from_numpy(slices[chosen]).float()
    noise = torch.rand(
        len(images), network.positions.shape[1], generator=torch.Generator().manual_seed(seed)
    )
    with torch.inference_mode():
        _, predicted, mask = network(images, noise, masked_share)
        patches = network.patchify(images)
        mean, deviation = patch_statistics(patches)
        hidden = mask[..., None].bool()
        # the brightness and contrast of hidden patches are not predicted: they are the true ones
        restored = network.unpatchify(torch.where(hidden, predicted * deviation + mean, patches))
        visible = network.unpatchify(torch.where(hidden, torch.nan, patches))
    figure = Figure(figsize=(1.6 * len(images) + 1.2, 5.2), layout="constrained")
    axes = figure.subplots(3, len(images), squeeze=False)
    rows = {
        "slice": images,
        f"visible {1 - masked_share:.0%}": visible,
        "reconstruction": restored,
    }
    for row, (title, content) in enumerate(rows.items()):
        for column, image in enumerate(content.numpy()):
            _draw(axes[row, column], image[0], images[column, 0].numpy())
        axes[row, 0].set_ylabel(title)
    save_figure(figure, output)


def _draw(axes: Axes, image: np.ndarray, reference: np.ndarray) -> None:
    low, high = float(reference.min()), float(reference.max())
    axes.set_facecolor("#8899aa")
    axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
    axes.set(xticks=[], yticks=[])
