"""Networks by name.

What they are called is known without importing them, since some of their libraries take seconds.
"""

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import nn

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained, in_one_line

ARCHITECTURES: dict[str, str] = {
    name: f"nnunet_sparse.architectures.{name}"
    for name in (
        "inception_unet",
        "segformer",
        "cam_wnet",
        "unet3d",
        "segresnet",
        "unetr",
        "attention_unet3d",
    )
}
"""Names of the networks, and the modules that hold them."""

LIBRARIES: dict[str, str] = dict.fromkeys(
    ("segresnet", "unetr", "attention_unet3d"), "monai.networks.nets"
)
"""What networks import when they are built, because it takes long."""


def architecture_dimensions(name: str) -> int:
    """Number of spatial dimensions, 2 or 3.

    Raises
    ------
    SparseError
        If there is no such architecture.
    """
    dimensions: int = _module(name).DIMENSIONS
    return dimensions


def architecture_options(name: str) -> dict[str, Any]:
    """Options of an architecture and their defaults, the published sizes.

    Raises
    ------
    SparseError
        If there is no such architecture.
    """
    parameters = inspect.signature(_module(name).build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def build_network(
    name: str,
    num_input_channels: int,
    num_classes: int,
    patch_size: Sequence[int],
    options: Mapping[str, Any],
) -> nn.Module:
    """Build a network with fresh weights; nothing is downloaded.

    Parameters
    ----------
    name
        One of ``ARCHITECTURES``.
    num_input_channels, num_classes
        Channels of the images and of the logits.
    patch_size
        Size of a patch in voxels, with as many sides as the network has dimensions.
    options
        Options that differ from their defaults (:func:`architecture_options`). They are like their
        default: a switch, a size (a positive whole number), a share (from 0, less than 1), or a
        list of those.

    Returns
    -------
    nn.Module
        It maps (batch, num_input_channels, *patch) to logits (batch, num_classes, *patch); while it
        is trained, ``unet3d`` with ``shrink_labels`` to smaller ones.

    Raises
    ------
    SparseError
        If there is no such architecture or option, an option has a wrong value, the patch has
        another number of dimensions, or a library is missing.
    """
    known = architecture_options(name)
    for key, value in options.items():
        if key not in known:
            raise SparseError(
                f"architecture {name!r} has no option {key!r}{_suggestion(key, known)}; "
                f"it has {', '.join(known)}"
            )
        if not _is_like(value, known[key]):
            raise SparseError(
                f"option {key!r} of architecture {name!r} must be like its default "
                f"{_text(known[key])}, got {value!r}"
            )
    with explained(lambda error: f"architecture {name!r} cannot be built: {in_one_line(error)}"):
        network: nn.Module = _module(name).build(
            num_input_channels, num_classes, patch_size, **options
        )
    return network


def _module(name: str) -> Any:
    if name not in ARCHITECTURES:
        raise SparseError(
            f"unknown architecture {name!r}{_suggestion(name, ARCHITECTURES)}; "
            f"choose from {', '.join(ARCHITECTURES)}"
        )
    return import_module(ARCHITECTURES[name])


def _suggestion(word: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and value >= 1
    if isinstance(default, float):
        return isinstance(value, int | float) and 0 <= value < 1
    is_list = isinstance(value, list | tuple) and len(value) > 0
    return is_list and all(_is_like(item, default[0]) for item in value)


def _text(default: Any) -> str:
    """A default as one would write it in JSON."""
    if isinstance(default, tuple):
        return f"[{', '.join(map(_text, default))}]"
    return repr(default)
