"""Networks of other people's papers, for the comparison with nnU-Net's own.

Every module holds one, as an ``nn.Module`` and as ``build(num_input_channels, num_classes,
patch_size, **options)``, whose keyword-only options have the published sizes as their defaults. A
network maps images (batch, num_input_channels, *patch) to logits (batch, num_classes, *patch), and
has no deep supervision. Building one downloads nothing: pretrained weights are loaded afterwards,
by the method ``load_pretrained`` of the networks that have any.
"""

from nnunet_sparse.architectures.architecture import (
    ARCHITECTURES,
    architecture_dimensions,
    architecture_options,
    build_network,
)

__all__ = [
    "ARCHITECTURES",
    "architecture_dimensions",
    "architecture_options",
    "build_network",
]
