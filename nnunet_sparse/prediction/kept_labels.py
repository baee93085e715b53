"""Labels that a network predicts, kept case by case, of which single slices are read.

``CASE.npz`` in ``labels_DIGEST_axisN`` holds each slice by itself, with a hash of the network, of
the image files' content and of the slice axis: when one of these has changed, the case is predicted
again.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_sparse.data.damaged_files import UNREADABLE_ARRAYS, first_line
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.prediction.asked_text import asked_text
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.atomic import atomic_path, remove_leftovers
from nnunet_sparse.system.devices import best_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained, in_one_line
from nnunet_sparse.system.locks import locked

if TYPE_CHECKING:
    from nnunet_sparse.prediction.loaded_network import LoadedNetwork

_VERSION = 1


class KeptLabels:
    """Predicts labels of volumes where they are not known yet.

    Parameters
    ----------
    network
        The network; its channels and labels must be those of the volumes, see
        :meth:`TrainedNetwork.check_fits`.
    axis
        Slice axis of the arrays as read.
    reader
        Class name of nnU-Net's reader.
    folder
        Where the folder of the labels is made.
    device
        Where the network predicts; None for a GPU if there is one.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        axis: int,
        reader: str,
        folder: Path,
        device: str | None = None,
    ) -> None:
        self._network, self._axis, self._reader = network, axis, reader
        self._folder, self._device = folder, device

    @cached_property
    def _loaded(self) -> "LoadedNetwork":
        with explained(lambda error: f"PyTorch cannot be imported: {in_one_line(error)}"):
            from nnunet_sparse.prediction.loaded_network import LoadedNetwork
        return LoadedNetwork(self._network, best_device(self._device))

    @property
    def cache(self) -> Path:
        """Folder of the labels."""
        return self._folder / f"labels_{self._network.digest}_axis{self._axis}"

    def load(self) -> None:
        """Bring the network into memory.

        Raises
        ------
        SparseError
            If it cannot be used, see :class:`LoadedNetwork`.
        """
        _ = self._loaded

    def find(self, case_id: str, images: Sequence[Path]) -> Path:
        """File with the label of a volume, which is predicted where that is not known.

        Of several calls for one case at the same time, one predicts and the others wait.

        Parameters
        ----------
        case_id
            The case.
        images
            Its image files.

        Returns
        -------
        Path
            For :func:`read_kept_slice`.

        Raises
        ------
        SparseError
            If the network or an image cannot be used.
        OSError
            If the disk is full, say.
        """
        asked = asked_text(self._network, images, version=_VERSION, axis=self._axis)
        file = self.cache / f"{case_id}.npz"
        if not _is_answer(file, asked):
            self.cache.mkdir(parents=True, exist_ok=True)
            with locked(self.cache / f".{case_id}.lock"):
                remove_leftovers(self.cache)
                if not _is_answer(file, asked):
                    self._predict(case_id, images, file, asked)
        return file

    def _predict(self, case_id: str, images: Sequence[Path], file: Path, asked: str) -> None:
        loaded = self._loaded
        from nnunet_sparse.prediction.probability_slab import probability_slabs

        dtype = np.min_scalar_type(self._network.label_values[-1])
        image = loaded.prepare(images, partial(read_image, reader=self._reader), case_id)
        content: dict[str, Any] = {"asked": np.array(asked)}
        for slab in probability_slabs(loaded, image, self._axis, case_id, self.cache):
            label = slab.label.cpu().numpy().astype(dtype)
            content.update({_name_of(slab.first + k): plane for k, plane in enumerate(label)})
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **content)


def read_kept_slice(file: Path, index: int) -> np.ndarray:
    """A slice of a label, (rows, columns) unsigned integers.

    Raises
    ------
    SparseError
        If the file is missing or damaged, or holds no such slice.
    """
    try:
        with np.load(file, allow_pickle=False) as content:
            return np.asarray(content[_name_of(index)])
    except UNREADABLE_ARRAYS as error:
        raise SparseError(
            f"{file}, what a network predicts, is missing or damaged: {first_line(error)}"
        ) from error


def _is_answer(file: Path, asked: str) -> bool:
    """Whether a file is there and answers what is asked."""
    try:
        with np.load(file, allow_pickle=False) as content:
            return str(content["asked"]) == asked
    except UNREADABLE_ARRAYS:
        return False


def _name_of(index: int) -> str:
    return f"slice{index}"
