from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.label_files import IMAGE_READER, read_label
from nnunet_sparse.system.errors import SparseError

NUMBERS = np.array([[0, 1, 2, 1], [0, 0, 1, 2], [2, 2, 0, 1]], np.uint8)
MODES = ["L", "I;16", "RGB", "RGBA", "P", "LA"]


def save(file: Path, mode: str) -> Path:
    picture = Image.fromarray(NUMBERS.astype(np.uint16) if mode == "I;16" else NUMBERS)
    picture.convert(mode).save(file)
    return file


@pytest.mark.parametrize("mode", MODES)
def test_labels_have_one_value_per_pixel(tmp_path: Path, mode: str) -> None:
    file = save(tmp_path / "a.png", mode)
    if mode in {"L", "I;16"}:
        assert read_label(file, IMAGE_READER).tolist() == [NUMBERS.tolist()]
        return
    what = "colours of a palette" if mode == "P" else mode
    with pytest.raises(SparseError, match=rf"a\.png holds {what}: several values per pixel"):
        read_label(file, IMAGE_READER)


@pytest.mark.parametrize("mode", MODES)
def test_images_are_what_nnunet_reads(tmp_path: Path, mode: str) -> None:
    file = save(tmp_path / "a.png", mode)
    if mode == "LA":
        with pytest.raises(SparseError, match=r"a\.png holds grey values and transparency"):
            read_image((file,), IMAGE_READER)
        return
    channels = {"RGB": 3, "RGBA": 4, "P": 3}.get(mode, 1)
    assert read_image((file,), IMAGE_READER)[0].shape == (channels, 1, *NUMBERS.shape)


@pytest.mark.parametrize("content", [b"html", b"", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    for read in (read_label, lambda file, reader: read_image((file,), reader)):
        with pytest.raises(SparseError, match=r"cannot (be )?read"):
            read(tmp_path / "a.png", IMAGE_READER)
