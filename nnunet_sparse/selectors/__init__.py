"""Slice selectors; importing this package registers all of ours.

Others take everything from here; ``registry`` also holds what tests and schemas need, ``cover`` how
well some slices stand for the others, and ``weights`` what weights of slices mean.
"""

from nnunet_sparse.selectors.biased import FirstSelector, MiddleSelector, SingleObjectSelector
from nnunet_sparse.selectors.coreset import CoreSetSelector
from nnunet_sparse.selectors.fixed import FixedSelector
from nnunet_sparse.selectors.foreground_random import ForegroundRandomSelector
from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.random import RandomSelector
from nnunet_sparse.selectors.registry import (
    Selector,
    get_selector,
    parse_parameters,
    register,
    selector_class,
    selector_names,
)
from nnunet_sparse.selectors.representative import RepresentativeSelector
from nnunet_sparse.selectors.stratified import StratifiedSelector

__all__ = [
    "CoreSetSelector",
    "FirstSelector",
    "FixedSelector",
    "ForegroundRandomSelector",
    "MiddleSelector",
    "Pool",
    "RandomSelector",
    "RepresentativeSelector",
    "Selector",
    "SingleObjectSelector",
    "StratifiedSelector",
    "get_selector",
    "parse_parameters",
    "register",
    "selector_class",
    "selector_names",
]
