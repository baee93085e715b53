"""Slice selectors; importing this package registers all of ours.

Others take everything from here; ``registry`` and ``selector`` also hold what tests and schemas
need, ``cover`` how well some slices stand for the others, ``weights`` what weights of slices mean,
and ``network_selector`` what selectors that ask a network have in common.
"""

from nnunet_sparse.selectors.biased import FirstSelector, MiddleSelector, SingleObjectSelector
from nnunet_sparse.selectors.class_stratified import ClassStratifiedSelector
from nnunet_sparse.selectors.coreset import CoreSetSelector
from nnunet_sparse.selectors.fixed import FixedSelector
from nnunet_sparse.selectors.foreground_random import ForegroundRandomSelector
from nnunet_sparse.selectors.network_selector import NetworkSelector
from nnunet_sparse.selectors.pool import Pool
from nnunet_sparse.selectors.random import RandomSelector
from nnunet_sparse.selectors.registry import (
    first_selector_names,
    get_selector,
    parse_parameters,
    refuse_without_network,
    register,
    selector_class,
    selector_names,
)
from nnunet_sparse.selectors.representative import RepresentativeSelector
from nnunet_sparse.selectors.seen_by_network import SeenByNetwork
from nnunet_sparse.selectors.selector import Selector
from nnunet_sparse.selectors.stratified import StratifiedSelector
from nnunet_sparse.selectors.systematic import SystematicSelector
from nnunet_sparse.selectors.uncertainty import (
    BaldSelector,
    EntropySelector,
    PowerBaldSelector,
    PowerEntropySelector,
)

__all__ = [
    "BaldSelector",
    "ClassStratifiedSelector",
    "CoreSetSelector",
    "EntropySelector",
    "FirstSelector",
    "FixedSelector",
    "ForegroundRandomSelector",
    "MiddleSelector",
    "NetworkSelector",
    "Pool",
    "PowerBaldSelector",
    "PowerEntropySelector",
    "RandomSelector",
    "RepresentativeSelector",
    "SeenByNetwork",
    "Selector",
    "SingleObjectSelector",
    "StratifiedSelector",
    "SystematicSelector",
    "first_selector_names",
    "get_selector",
    "parse_parameters",
    "refuse_without_network",
    "register",
    "selector_class",
    "selector_names",
]
