"""Sparse data sets for tests."""

from dataclasses import fields
from typing import Any

from nnunet_sparse.dataset_tools import make_dataset as module
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.paths import NnUNetPaths

_FACTORS = {item.name for item in fields(Variant)} - {"axis"}


def make_dataset(paths: NnUNetPaths, base: str, **options: Any) -> module.SparseDataset:
    """Make a data set of a variant whose factors are among the options."""
    factors = {name: options.pop(name) for name in _FACTORS & options.keys()}
    return module.make_dataset(paths, base, Variant(**factors), **options)
