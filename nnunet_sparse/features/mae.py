"""Masked autoencoder on slices.

He et al. 2022, "Masked autoencoders are scalable vision learners" (CVPR). An encoder of vision
transformer blocks sees some of the patches of a slice, a quarter in the paper; a light decoder
reconstructs the others from its output and from where they were. It differs from the paper in size;
in images with any number of channels and any aspect ratio, shown whole, neither cropped nor
flipped; in the constant that keeps empty patches from being normalised to noise (``FLAT``); in
PyTorch's initialisation of the linear layers; and in a limit on the length of the gradient.

1 in a mask means that a patch is hidden. Shapes: N slices, L patches, D channels of a token.
"""

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from nnunet_sparse.features.mae_presets import MaeSize
from nnunet_sparse.system.atomic import as_json
from nnunet_sparse.system.json_form import Keys, ListOf, check_form, from_one_to

with warnings.catch_warnings():
    # timm uses what PyTorch no longer recommends
    warnings.simplefilter("ignore", FutureWarning)
    from timm.models.vision_transformer import Block

_WIDTH, _LENGTH = from_one_to(2048), from_one_to(64)  # the largest of the paper has 1280 and 32
_SIDE = from_one_to(128)
_CONFIG = Keys(
    {
        "size": Keys(
            {
                **dict.fromkeys(("dim", "decoder_dim"), _WIDTH),
                **dict.fromkeys(("depth", "heads", "decoder_depth", "decoder_heads"), _LENGTH),
            }
        ),
        "channels": from_one_to(1024),
        "grid": ListOf(_SIDE),
        "patch": _SIDE,
    }
)
# variance below which a patch counts as flat; intensities have variance 1
FLAT = 1e-2


class MaskedAutoencoder(nn.Module):
    """Encoder and decoder for slices of one size.

    Parameters
    ----------
    size
        Size of the network.
    channels
        Number of image channels.
    grid
        Number of patches along height and width.
    patch
        Side of a patch in pixels.
    """

    positions: torch.Tensor
    decoder_positions: torch.Tensor

    def __init__(self, size: MaeSize, channels: int, grid: tuple[int, int], patch: int) -> None:
        super().__init__()
        self.size, self.channels, self.grid, self.patch = size, channels, grid, patch
        pixels = channels * patch**2
        self.embed = nn.Linear(pixels, size.dim)
        self.class_token = nn.Parameter(torch.zeros(1, 1, size.dim))
        self.blocks = nn.ModuleList(_blocks(size.dim, size.depth, size.heads))
        self.norm = nn.LayerNorm(size.dim)
        self.to_decoder = nn.Linear(size.dim, size.decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, size.decoder_dim))
        self.decoder_blocks = nn.ModuleList(
            _blocks(size.decoder_dim, size.decoder_depth, size.decoder_heads)
        )
        self.decoder_norm = nn.LayerNorm(size.decoder_dim)
        self.to_pixels = nn.Linear(size.decoder_dim, pixels)
        for name, dim in (("positions", size.dim), ("decoder_positions", size.decoder_dim)):
            self.register_buffer(name, _positions(grid, dim), persistent=False)
        for token in (self.class_token, self.mask_token):
            nn.init.normal_(token, std=0.02)

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that rebuild it."""
        return {
            "size": asdict(self.size),
            "channels": self.channels,
            "grid": self.grid,
            "patch": self.patch,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "MaskedAutoencoder":
        """Rebuild a network, with fresh weights.

        Raises
        ------
        SparseError
            If no network of this kind is as large.
        """
        check_form(as_json(config), _CONFIG, "the configuration")
        grid = tuple(config["grid"])
        return cls(MaeSize(**config["size"]), config["channels"], grid, config["patch"])

    def patchify(self, images: torch.Tensor) -> torch.Tensor:
        """Cut images (N, C, H, W) into patches [N, L, C * patch * patch]."""
        (rows, columns), p = self.grid, self.patch
        cut = images.reshape(len(images), self.channels, rows, p, columns, p)
        return cut.permute(0, 2, 4, 1, 3, 5).reshape(len(images), rows * columns, -1)

    def unpatchify(self, patches: torch.Tensor) -> torch.Tensor:
        """Put patches together again: the inverse of :meth:`patchify`."""
        (rows, columns), p = self.grid, self.patch
        cut = patches.reshape(len(patches), rows, columns, self.channels, p, p)
        height, width = rows * p, columns * p
        return cut.permute(0, 3, 1, 4, 2, 5).reshape(len(patches), self.channels, height, width)

    def random_masking(
        self, noise: torch.Tensor, masked_share: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the visible patches: those with the smallest noise.

        Parameters
        ----------
        noise
            [N, L], independent random numbers.
        masked_share
            Share of the patches that is hidden; one patch is always visible.

        Returns
        -------
        tuple of torch.Tensor
            Indices of the visible patches [N, visible]; mask [N, L], 1 where a patch is hidden.
        """
        num_visible = max(1, round(noise.shape[1] * (1 - masked_share)))
        visible = noise.argsort(dim=1)[:, :num_visible]
        mask = torch.ones_like(noise).scatter_(1, visible, 0)
        return visible, mask

    def encode(self, patches: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
        """Tokens [N, 1 + visible, D] of the class token and the visible patches, in their order.

        Parameters
        ----------
        patches
            [N, L, pixels].
        visible
            [N, visible], indices; None for all patches.
        """
        tokens = self.embed(patches) + self.positions  # [N, L, D]
        if visible is not None:
            tokens = tokens.gather(1, visible[..., None].expand(-1, -1, tokens.shape[2]))
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)  # type: ignore[no-any-return]

    def decode(self, tokens: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Predict the pixels of all patches [N, L, pixels], normalised patch by patch."""
        tokens = self.to_decoder(tokens)
        num_patches = self.grid[0] * self.grid[1]
        dim = tokens.shape[2]
        everywhere = self.mask_token.to(tokens.dtype).expand(len(tokens), num_patches, dim)
        index = visible[..., None].expand(-1, -1, dim)
        placed = everywhere.scatter(1, index, tokens[:, 1:]) + self.decoder_positions  # [N, L, D]
        tokens = torch.cat([tokens[:, :1], placed], dim=1)
        for block in self.decoder_blocks:
            tokens = block(tokens)
        return self.to_pixels(self.decoder_norm(tokens[:, 1:]))  # type: ignore[no-any-return]

    def forward(
        self, images: torch.Tensor, noise: torch.Tensor, masked_share: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruct slices from a part of their patches.

        Parameters
        ----------
        images
            (N, C, H, W).
        noise, masked_share
            [N, L], decides which patches are hidden; the share of them that is.

        Returns
        -------
        tuple of torch.Tensor
            Loss, the mean squared error over the hidden patches; the prediction [N, L, pixels]; the
            mask [N, L].
        """
        patches = self.patchify(images)
        visible, mask = self.random_masking(noise, masked_share)
        predicted = self.decode(self.encode(patches, visible), visible).float()
        mean, deviation = patch_statistics(patches)
        error = (predicted - (patches - mean) / deviation).square().mean(dim=2)  # [N, L]
        return (error * mask).sum() / mask.sum(), predicted, mask

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Features [N, 2 * D] of slices: the mean of the patch tokens, then the class token."""
        tokens = self.encode(self.patchify(images))
        return torch.cat([tokens[:, 1:].mean(dim=1), tokens[:, 0]], dim=1).float()


def patch_statistics(patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation [N, L, 1] by which patches are normalised."""
    variance, mean = torch.var_mean(patches, dim=2, keepdim=True, correction=0)
    return mean, (variance + FLAT).sqrt()


def _blocks(dim: int, depth: int, heads: int) -> list[nn.Module]:
    return [Block(dim, heads, mlp_ratio=4, qkv_bias=True) for _ in range(depth)]


def _positions(grid: tuple[int, int], dim: int) -> torch.Tensor:
    """Sine and cosine of the row in one half of the channels, of the column in the other [1, L, D].

    Vaswani et al. 2017, in two dimensions as in He et al. 2022.
    """
    quarter = dim // 4
    frequency = 1 / 10000 ** (np.arange(quarter) / quarter)
    halves = []
    for index in np.meshgrid(*(np.arange(n) for n in grid), indexing="ij"):
        angle = index.reshape(-1, 1) * frequency
        halves += [np.sin(angle), np.cos(angle)]
    return torch.from_numpy(np.concatenate(halves, axis=1)).float()[None]
