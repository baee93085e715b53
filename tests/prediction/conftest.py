"""A small image with empty borders, and where nnU-Net's predictions of it are kept."""

from pathlib import Path

import numpy as np
import pytest
from tiny import write_volume

SHAPE = (9, 14, 11)


@pytest.fixture(scope="session")
def bordered_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 1 channel with spacings of 2, 1.5 and 1 mm along z, y and x."""
    image = np.random.default_rng(0).normal(50, 10, SHAPE).astype(np.float32)
    image[:2], image[-1], image[:, :3], image[:, :, -2:] = 0, 0, 0, 0
    file = tmp_path_factory.mktemp("bordered") / "case_0000.nii.gz"
    write_volume(file, image, spacing=(1.0, 1.5, 2.0))
    return file
