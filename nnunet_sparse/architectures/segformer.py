"""SegFormer-B3.

Xie et al. 2021, "SegFormer: Simple and efficient design for semantic segmentation with
transformers" (NeurIPS), as implemented in Hugging Face's transformers.

Differences: any number of channels (see ``rgb``) and any size of images (padded to a multiple of
32); logits, which the network gives at a quarter of the size, are enlarged bilinearly before the
loss, too.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_sparse.architectures.padding import check_dimensions, crop_to_size, pad_to_multiple
from nnunet_sparse.architectures.rgb import RGBAdapter
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.json_files import load_json

DIMENSIONS = 2
MULTIPLE = 32
# what the weights of the encoder depend on
ENCODER_SIZES = (
    "num_channels",
    "num_encoder_blocks",
    "depths",
    "hidden_sizes",
    "num_attention_heads",
    "sr_ratios",
    "mlp_ratios",
    "patch_sizes",
    "strides",
    "hidden_act",
)


class SegFormer(nn.Module):
    """SegFormer for slices, B3 with the default options of :func:`build`.

    Parameters
    ----------
    num_input_channels, num_classes
        Channels of the images and of the logits.
    depths, hidden_sizes, num_attention_heads
        Number of blocks, width and attention heads of the encoder's four stages.
    sr_ratios
        By how much each stage shortens the sides of keys and values.
    mlp_ratios
        Width of each stage's feed-forward layers, as a multiple of the stage's.
    decoder_hidden_size
        Width of the decoder.
    classifier_dropout, drop_path
        Dropout before the last convolution; largest stochastic depth of the encoder.

    Raises
    ------
    SparseError
        If transformers is not installed.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_classes: int,
        *,
        depths: Sequence[int],
        hidden_sizes: Sequence[int],
        num_attention_heads: Sequence[int],
        sr_ratios: Sequence[int],
        mlp_ratios: Sequence[int],
        decoder_hidden_size: int,
        classifier_dropout: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        transformers = _transformers()
        for name, values in (
            ("depths", depths),
            ("num_attention_heads", num_attention_heads),
            ("sr_ratios", sr_ratios),
            ("mlp_ratios", mlp_ratios),
            ("hidden_sizes", hidden_sizes),
        ):
            if len(values) != 4:
                raise ValueError(f"{name} must have a number for each of 4 stages, got {values}")
        config = transformers.SegformerConfig(
            num_labels=num_classes,
            depths=list(depths),
            hidden_sizes=list(hidden_sizes),
            num_attention_heads=list(num_attention_heads),
            sr_ratios=list(sr_ratios),
            mlp_ratios=list(mlp_ratios),
            decoder_hidden_size=decoder_hidden_size,
            classifier_dropout_prob=classifier_dropout,
            drop_path_rate=drop_path,
        )
        self.to_rgb = RGBAdapter(num_input_channels)
        self.network = transformers.SegformerForSemanticSegmentation(config)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, num_input_channels, y, x) to logits (batch, num_classes, y, x)."""
        padded = pad_to_multiple(images, MULTIPLE)
        coarse = self.network(self.to_rgb(padded)).logits  # [B, classes, y / 4, x / 4]
        logits = F.interpolate(coarse, padded.shape[2:], mode="bilinear", align_corners=False)
        return crop_to_size(logits, images.shape[2:])

    def load_pretrained(self, folder: Path) -> None:
        """Take the encoder's weights from a checkpoint in the format of transformers.

        The decoder keeps its own. Heads of the checkpoint, for whatever task, are ignored.

        Parameters
        ----------
        folder
            Holds ``config.json`` and ``model.safetensors`` or ``pytorch_model.bin``, as in
            ``nvidia/mit-b3``.

        Raises
        ------
        SparseError
            If a file is missing or cannot be read, the checkpoint has other sizes, or a weight is
            missing.
        """
        transformers = _transformers()
        self._check_config(folder, transformers)
        with explained(
            lambda error: f"the weights in {folder} cannot be loaded: {in_one_line(error)}"
        ):
            encoder, found = transformers.SegformerModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
        missing = sorted(found["missing_keys"])
        if missing:
            raise SparseError(
                f"the checkpoint in {folder} lacks {len(missing)} weights of SegFormer's encoder, "
                f"such as {missing[0]!r}"
            )
        self.network.segformer.load_state_dict(encoder.state_dict())

    def _check_config(self, folder: Path, transformers: Any) -> None:
        file = folder / "config.json"
        try:
            kind = load_json(file)["model_type"]
            config = transformers.SegformerConfig.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SparseError(
                f"{folder} must hold a SegFormer checkpoint in the format of transformers "
                f"(config.json, model.safetensors), but {file.name} cannot be read: {reason}"
            ) from error
        if kind != "segformer":
            raise SparseError(f"the checkpoint in {folder} is a {kind!r}, not a 'segformer'")
        for name in ENCODER_SIZES:
            theirs, ours = getattr(config, name), getattr(self.network.config, name)
            if _plain(theirs) != _plain(ours):
                raise SparseError(
                    f"the checkpoint in {folder} has {name} {_plain(theirs)}, "
                    f"the network {_plain(ours)}"
                )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _transformers() -> Any:
    try:
        return import_module("transformers")
    except ImportError as error:
        raise SparseError(
            'SegFormer needs transformers: pip install "nnunet-sparse[segformer]"'
        ) from error


def build(
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    depths: Sequence[int] = (3, 4, 18, 3),
    hidden_sizes: Sequence[int] = (64, 128, 320, 512),
    num_attention_heads: Sequence[int] = (1, 2, 5, 8),
    sr_ratios: Sequence[int] = (8, 4, 2, 1),
    mlp_ratios: Sequence[int] = (4, 4, 4, 4),
    decoder_hidden_size: int = 768,
    classifier_dropout: float = 0.1,
    drop_path: float = 0.1,
) -> SegFormer:
    """SegFormer; see :class:`SegFormer` for the options, those of B3 by default.

    Raises
    ------
    ValueError
        If the patch is not 2D, or an option has not one number per stage.
    SparseError
        If transformers is not installed.
    """
    check_dimensions(patch_size, DIMENSIONS)
    return SegFormer(
        num_input_channels,
        num_classes,
        depths=depths,
        hidden_sizes=hidden_sizes,
        num_attention_heads=num_attention_heads,
        sr_ratios=sr_ratios,
        mlp_ratios=mlp_ratios,
        decoder_hidden_size=decoder_hidden_size,
        classifier_dropout=classifier_dropout,
        drop_path=drop_path,
    )
