"""Arrays as the data sets of nnU-Net's preprocessed folders keep them (``.b2nd``)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params

from nnunet_sparse.system.errors import naming

# nnU-Net's choice
_IMAGE_CODEC = {"codec": blosc2.Codec.LZ4HC, "clevel": 5}
# for labels a fifth of the size, read as fast and written twice as fast
_LABEL_CODEC = {
    "codec": blosc2.Codec.ZSTD,
    "clevel": 1,
    "filters": [blosc2.Filter.SHUFFLE],
    "nthreads": 1,
}


def write_array(path: Path, array: np.ndarray, patch_size: Sequence[int]) -> None:
    """Write an image, or a label or mask (integers), in nnU-Net's chunks.

    Parameters
    ----------
    path
        File to be written; its folder is created.
    array
        (c, z, y, x).
    patch_size
        Size of the patches that will be read, two or three axes.
    """
    blocks, chunks = comp_blosc2_params(array.shape, tuple(patch_size), array.itemsize)
    is_image = array.dtype.kind == "f"
    compressed = blosc2.asarray(
        np.ascontiguousarray(array),
        chunks=chunks,
        blocks=blocks,
        cparams=_better_parameters(array, chunks) if is_image else _LABEL_CODEC,
    )
    path.parent.mkdir(exist_ok=True)
    # not by blosc2, which does not say that the disk is full
    with naming(path):
        path.write_bytes(compressed.to_cframe())


def read_array(path: Path) -> np.ndarray:
    """Read a whole array."""
    return np.asarray(blosc2.open(str(path), mode="r")[:])


def _better_parameters(image: np.ndarray, chunks: Sequence[int]) -> dict[str, Any]:
    """Parameters that make the central chunk smaller: it depends on the image which filter does."""
    centre = []
    for n, chunk in zip(image.shape, chunks, strict=True):
        length = min(n, chunk)
        centre.append(slice((n - length) // 2, (n - length) // 2 + length))
    sample = np.ascontiguousarray(image[tuple(centre)])
    choices = [
        _IMAGE_CODEC | {"filters": [f], "nthreads": 1}
        for f in (blosc2.Filter.NOFILTER, blosc2.Filter.SHUFFLE)
    ]
    sizes = [len(blosc2.asarray(sample, cparams=choice).to_cframe()) for choice in choices]
    return choices[int(np.argmin(sizes))]
