import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.features.canvas import Canvas, plan_canvas


def test_small_slices_keep_their_pixels():
    # 50 x 35 pixels of 1 mm: patches of 4 (16 along the longer side), whole patches
    assert plan_canvas([(50, 35), (44, 33)], [(1, 1), (1, 1)], 64) == Canvas(1.0, 52, 36, 4)


def test_large_slices_are_shrunk_to_fit():
    canvas = plan_canvas([(512, 256)], [(0.5, 1.0)], 64)
    assert canvas == Canvas(4.0, 64, 64, 4)
    assert canvas.grid == (16, 16)


def test_volumes_of_other_spacing_share_the_scale():
    # the same 40 mm at 1 mm and at 2 mm
    canvas = plan_canvas([(40, 40), (20, 20), (40, 40)], [(1, 1), (2, 2), (1, 1)], 64)
    assert (canvas.pixel_mm, canvas.height) == (1.0, 42)


sizes = st.tuples(st.integers(1, 600), st.integers(1, 600))
spacings = st.tuples(st.floats(0.1, 9), st.floats(0.1, 9))


@given(st.lists(st.tuples(sizes, spacings), min_size=1, max_size=4), st.sampled_from([16, 64, 128]))
def test_every_slice_fits_and_the_canvas_is_made_of_patches(volumes, max_side):
    shapes, spacing = [v[0] for v in volumes], [v[1] for v in volumes]
    canvas = plan_canvas(shapes, spacing, max_side)
    limits = (canvas.height, canvas.width)
    for shape, mm in volumes:
        for axis, limit in enumerate(limits):
            median = np.median([n[axis] * side[axis] for n, side in volumes])
            extent = min(shape[axis] * mm[axis], 2 * median)
            assert extent <= limit * canvas.pixel_mm * (1 + 1e-6)
    assert canvas.height % canvas.patch == canvas.width % canvas.patch == 0
    assert max(limits) <= max_side + canvas.patch
    assert 1 <= min(canvas.grid) <= max(canvas.grid) <= 16
    assert max(canvas.grid) > 1


@pytest.mark.parametrize("axis", [0, 1])
def test_one_pixel_along_a_side(axis):
    shape = [9, 9]
    shape[axis] = 1
    canvas = plan_canvas([tuple(shape)], [(1, 1)], 64)
    assert canvas.grid[axis] == 1
