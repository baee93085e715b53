"""Published weights of encoders: found in a folder of the user's, or downloaded.

They are needed when a training starts, and never afterwards: checkpoints hold all weights.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.foreign_code import explained, in_one_line

logger = logging.getLogger(__name__)

WEIGHTS_FOLDER = "NNSPARSE_WEIGHTS"
_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class PretrainedWeights:
    """Where published weights are.

    Attributes
    ----------
    name
        File or folder below the user's folder of weights.
    address
        Where it can be downloaded by hand.
    repository
        Repository of the Hugging Face hub, for a folder; empty for a single file.
    files
        Alternatives of what the folder must hold; none for a single file.
    """

    name: str
    address: str
    repository: str = ""
    files: tuple[tuple[str, ...], ...] = ()

    def is_complete(self, path: Path) -> bool:
        """Whether a file or folder holds the weights."""
        if not self.files:
            return path.is_file()
        return any(all((path / name).is_file() for name in names) for names in self.files)


PRETRAINED: dict[str, PretrainedWeights] = {
    "segformer": PretrainedWeights(
        "mit-b3",
        "https://huggingface.co/nvidia/mit-b3",
        "nvidia/mit-b3",
        (("config.json", "model.safetensors"), ("config.json", "pytorch_model.bin")),
    ),
    "cam_wnet": PretrainedWeights(
        "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth"
    ),
}
"""Weights of the encoder, by architecture."""


def find_weights(architecture: str) -> Path:
    """File or folder with the published weights of an architecture's encoder.

    It is looked for in the folder ``NNSPARSE_WEIGHTS``, then among what torch or the Hugging Face
    hub have downloaded before, and is downloaded last.

    Raises
    ------
    SparseError
        If there are none for this architecture, or they are not there and cannot be downloaded.
    """
    weights = PRETRAINED.get(architecture)
    if weights is None:
        raise SparseError(
            f"there are no pretrained weights for {architecture}, set recipe.pretrained=false"
        )
    folder = os.environ.get(WEIGHTS_FOLDER)
    if folder:
        if not Path(folder).expanduser().is_dir():
            raise SparseError(f"{WEIGHTS_FOLDER} is {folder}, which is not a folder")
        own = Path(folder).expanduser() / weights.name
        if weights.is_complete(own):
            return own
    what = weights.name
    if weights.files:
        what += " with " + " or ".join(" and ".join(names) for names in weights.files)
    where = f"in {folder}" if folder else f"in a folder and set {WEIGHTS_FOLDER} to it"
    advice = (
        f"the pretrained weights {weights.name} are not there and could not be downloaded: get "
        f"{weights.address} and put it as {what} {where}, or make plans that do without them: "
        "nnsparse_plan_and_preprocess ... -p NEW_NAME --set recipe.pretrained=false"
    )
    with explained(lambda error: f"{advice} ({in_one_line(error)[:200]})"), _short_timeout():
        return _from_hub(weights) if weights.repository else _from_torch(weights)


def _from_torch(weights: PretrainedWeights) -> Path:
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / weights.name
    if not file.is_file():
        logger.info("downloading %s", weights.address)
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = file.stem.rpartition("-")[2]
        # written under another name and renamed, when its hash is right
        torch.hub.download_url_to_file(weights.address, str(file), hash_prefix=digest)
    return file


def _from_hub(weights: PretrainedWeights) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    names = sorted({name for alternative in weights.files for name in alternative})
    fetch = partial(
        snapshot_download, weights.repository, allow_patterns=names, etag_timeout=_TIMEOUT_S
    )
    try:
        folder = Path(fetch(local_files_only=True))
    except LocalEntryNotFoundError:
        folder = Path()
    if not weights.is_complete(folder):
        _check_reachable("huggingface.co")
        logger.info("downloading %s", weights.address)
        folder = Path(fetch())
    return folder


def _check_reachable(host: str) -> None:
    """End at once where there is no network; the hub's client tries for minutes."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT")):
        return
    with socket.create_connection((host, 443), timeout=_TIMEOUT_S):
        pass


@contextmanager
def _short_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
