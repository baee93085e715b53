"""What a result of a network depends on, as text that is kept beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_sparse.data.image_files import image_files
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.atomic import canonical_json
from nnunet_sparse.system.digests import file_digest


def asked_text(network: TrainedNetwork, files: Sequence[Path], **settings: Any) -> str:
    """Network, content of the images, and settings, as JSON.

    Parameters
    ----------
    network
        The network.
    files
        Image files of a volume, one per channel or one with all.
    settings
        All else that decides on the result, as JSON holds it.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    images = [file_digest(file) for file in image_files(files)]
    return canonical_json({"network": network.digest, "images": images, **settings})
