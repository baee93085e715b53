import numpy as np

from nnunet_sparse.annotate.display import (
    CT_WINDOWS,
    body_box,
    is_ct,
    label_colors,
    window_of_slices,
)


def test_windows() -> None:
    image = np.zeros((4, 10, 10))
    image[2] = np.arange(100).reshape(10, 10)
    assert window_of_slices(image, 0, [2], "MR") == (0.99, 98.01)
    assert window_of_slices(image, 0, [0], "MR") == (0, 1e-6)
    assert window_of_slices(image, 0, (), "MR")[1] < 99
    assert window_of_slices(image, 0, [2], "ct") == (-150, 250)
    assert is_ct("CT")
    assert all(low < high for low, high in CT_WINDOWS.values())


def test_colours_of_what_is_painted() -> None:
    colors = label_colors({0: "background", 1: "liver", 2: "tumour", 3: "ignore"}, 3)
    assert colors == {1: "#E69F00", 2: "#56B4E9"}


def test_the_body_is_found() -> None:
    plane = np.full((8, 9), -1000.0)
    plane[2:5, 3:8] = 40
    assert body_box(plane, (-160, 240)) == (slice(2, 5), slice(3, 8))
    assert body_box(np.full((8, 9), -1000.0), (-160, 240)) == (slice(0, 8), slice(0, 9))
