import numpy as np
import pytest
from matplotlib.figure import Figure

from nnunet_sparse.interpolation import interpolator_pictures as pictures
from nnunet_sparse.interpolation.interpolator_pictures import draw_reconstructions
from nnunet_sparse.interpolation.network import CorrespondenceNetwork
from nnunet_sparse.interpolation.slice_stack import SliceStack


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((40, 2, 20, 30), 4), ((2, 1, 12, 12), 1), ((5, 1, 300, 12), 2)],
)
def test_examples_from_all_over_a_volume(tmp_path, monkeypatch, shape, rows):
    figures: list[Figure] = []
    monkeypatch.setattr(pictures, "save_figure", lambda figure, _: figures.append(figure))
    images = np.random.default_rng(0).normal(size=shape).astype(np.float16)
    network = CorrespondenceNetwork(shape[1], 2, (4,), 4).eval()
    draw_reconstructions(network, SliceStack(images), tmp_path / "x.png")
    axes = figures[0].axes
    assert len(axes) == 4 * rows
    titles = [panel.get_title() for panel in axes[:4]]
    assert titles == ["reference", "target", "reconstruction", "flow from the reference"]
    shown = [panel.images[0].get_array() for panel in axes]
    assert all(max(image.shape) <= 256 for image in shown)
    whole = images[:, 0, 22:278] if shape[2] == 300 else images[:, 0]
    gap = min(3, shape[0] - 1)
    for reference, target in zip(shown[::4], shown[1::4], strict=True):
        (first,) = (k for k in range(shape[0]) if np.array_equal(whole[k], reference))
        np.testing.assert_array_equal(whole[first + gap], target)
