"""Pictures of why slices were chosen."""

import numpy as np
import pytest
from PIL import Image

from nnunet_sparse.campaign.uncertainty_picture import dashes, uncertainty_picture
from nnunet_sparse.data.label_colors import label_color


def grey(width: int = 60, height: int = 40) -> Image.Image:
    return Image.new("L", (width, height), 100)


def test_what_is_certain_stays_grey() -> None:
    nothing = np.zeros((4, 6), np.uint8)
    picture = np.asarray(uncertainty_picture(grey(), nothing, nothing))
    assert picture.shape == (40, 60, 3)
    assert (picture == 100).all()


def test_the_less_certain_the_redder() -> None:
    uncertainty = np.zeros((4, 6), np.uint8)
    uncertainty[:, 2:4], uncertainty[:, 4:] = 100, 255
    picture = np.asarray(uncertainty_picture(grey(), uncertainty, np.zeros((4, 6), int)))
    red = picture[..., 0].astype(int) - picture[..., 2]
    assert (red[:, 2], red[0, 25] > 20, red[0, 55] > red[0, 25]) == (pytest.approx(0), True, True)


def test_the_outline_is_dashed_and_lies_around_the_label() -> None:
    label = np.zeros((4, 6), np.uint8)
    label[1:3, 2:5] = 1  # pixels 20 to 50 and 10 to 30 of the picture
    drawn = np.asarray(uncertainty_picture(grey(), np.zeros((4, 6), np.uint8), label))
    colour = tuple(int(label_color(1)[i : i + 2], 16) for i in (1, 3, 5))
    on = (drawn == colour).all(axis=-1)
    rows, columns = np.nonzero(on)
    assert 8 <= rows.min() <= 12
    assert 28 <= rows.max() <= 32
    assert 18 <= columns.min() <= 22
    assert 48 <= columns.max() <= 52
    assert not on[15:25, 26:44].any()
    along = on[9:12, 25:46].any(axis=0)
    assert along.any()
    assert not along.all()


def test_dashes_by_hand() -> None:
    found = list(dashes(np.array([[0.0, 0], [3, 0], [3, 9]])))
    # 5 on, 4 off: from 0 to 5 around the corner at 3, and from 9 to 12
    assert [dash.tolist() for dash in found] == [[[0, 0], [3, 0], [3, 2]], [[3, 6], [3, 9]]]
