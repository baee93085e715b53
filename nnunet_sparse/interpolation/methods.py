"""The methods of interpolation by name.

A new one is a file with a subclass of
:class:`nnunet_sparse.interpolation.method.InterpolationMethod`, and its entry here.
"""

from nnunet_sparse.interpolation.correspondence import CorrespondenceMethod
from nnunet_sparse.interpolation.method import InterpolationMethod
from nnunet_sparse.interpolation.nearest import NearestMethod
from nnunet_sparse.interpolation.network_method import NetworkMethod
from nnunet_sparse.interpolation.published import PublishedMethod
from nnunet_sparse.interpolation.shape import ShapeMethod
from nnunet_sparse.system.errors import SparseError

# in the order in which commands and reports show them
_METHODS: dict[str, type[InterpolationMethod]] = {
    method.name: method
    for method in (
        CorrespondenceMethod,
        PublishedMethod,
        ShapeMethod,
        NearestMethod,
        NetworkMethod,
    )
}

DEFAULT_METHOD = CorrespondenceMethod.name


def method_names(with_model: bool = True) -> tuple[str, ...]:
    """Names of all methods, or of those alone that need no trained model."""
    return tuple(name for name, cls in _METHODS.items() if with_model or not cls.uses_model)


def interpolation_method(name: str) -> type[InterpolationMethod]:
    """Method of this name.

    Raises
    ------
    SparseError
        If there is none.
    """
    if name not in _METHODS:
        raise SparseError(f"unknown interpolation {name!r}, choose from {', '.join(_METHODS)}")
    return _METHODS[name]


def methods_with_switch(switch: str) -> str:
    """Names of the methods that have a switch, for messages."""
    return " or ".join(name for name, method in _METHODS.items() if switch in method.switches)


def methods_with_network() -> str:
    """Names of the methods that use a network, for messages."""
    return " or ".join(name for name, method in _METHODS.items() if method.uses_network)


def methods_with_model() -> str:
    """Names of the methods that use a trained model, for messages."""
    return " or ".join(name for name, method in _METHODS.items() if method.uses_model)


def methods_with_presets() -> str:
    """Names of the methods whose network may be of any preset, for messages."""
    return " or ".join(name for name, method in _METHODS.items() if method.takes_preset())
