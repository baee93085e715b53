"""Slice selectors; importing this package registers all of ours."""

from nnunet_sparse.selectors.fixed import FixedSelector
from nnunet_sparse.selectors.random import RandomSelector
from nnunet_sparse.selectors.registry import Selector, get_selector, register, selector_names

__all__ = [
    "FixedSelector",
    "RandomSelector",
    "Selector",
    "get_selector",
    "register",
    "selector_names",
]
