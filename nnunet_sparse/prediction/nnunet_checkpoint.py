"""Reading nnU-Net's checkpoints: weights and plain data, no code.

nnU-Net itself unpickles them with everything that they ask for. Here they are read as weights,
with what nnU-Net's log puts beside them: numbers of numpy, made as
:mod:`nnunet_sparse.system.plain_pickle` makes them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.plain_pickle import plain_globals
from nnunet_sparse.system.regular_files import check_regular

if TYPE_CHECKING:
    import torch

_LONGEST_REASON = 160
_MOST_AXES = 3
# each axis doubles what is predicted
_MIRRORED = {axes for n in range(_MOST_AXES + 1) for axes in permutations(range(_MOST_AXES), n)}
_ASKED = re.compile(r"GLOBAL (\S+\.\S+) ")
_REFUSED = "Weights only load failed"


@dataclass(frozen=True)
class NnUNetCheckpoint:
    """What prediction needs of a checkpoint.

    Attributes
    ----------
    weights
        Of the network, by parameter, on the CPU.
    trainer
        Class name of the trainer, which builds the network.
    configuration
        Name of the configuration in the plans.
    mirroring_axes
        Axes of the patch that prediction mirrors; None for none.
    """

    weights: "Mapping[str, torch.Tensor]"
    trainer: str
    configuration: str
    mirroring_axes: tuple[int, ...] | None


def read_checkpoint(file: Path) -> NnUNetCheckpoint:
    """Read a checkpoint that nnU-Net has written.

    Raises
    ------
    SparseError
        With the file's name, if it is missing, damaged, or asks for anything that nnU-Net's
        trainers do not write.
    """
    import torch

    with explained(lambda error: f"{file} is no checkpoint of nnU-Net: {_reason(error)}"):
        check_regular(file)
        with torch.serialization.safe_globals(plain_globals()):
            content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        try:
            weights, trainer = content["network_weights"], content["trainer_name"]
            configuration = content["init_args"]["configuration"]
            axes = content.get("inference_allowed_mirroring_axes")
        except (KeyError, TypeError, AttributeError) as error:
            raise SparseError(f"{file} is no checkpoint of nnU-Net: it lacks {error}") from error
        if not (isinstance(trainer, str) and isinstance(configuration, str)):
            raise SparseError(f"{file} is no checkpoint of nnU-Net: its trainer has no name")
        if not all(isinstance(w, torch.Tensor) and not w.is_complex() for w in weights.values()):
            raise SparseError(f"{file} is no checkpoint of nnU-Net: its weights are no numbers")
        mirroring = None if axes is None else tuple(int(axis) for axis in axes[: _MOST_AXES + 1])
        if mirroring is not None and mirroring not in _MIRRORED:
            raise SparseError(f"{file} is no checkpoint of nnU-Net: it mirrors {mirroring}")
        return NnUNetCheckpoint(weights, trainer, configuration, mirroring)


def _reason(error: Exception) -> str:
    """What torch says, without its advice to run what the file holds."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    text = in_one_line(error)
    if asked := _ASKED.search(text):
        return f"it asks for {asked[1]}, which nnU-Net never writes"
    if text.startswith(_REFUSED):
        return "it holds what nnU-Net never writes"
    return text[:_LONGEST_REASON]
