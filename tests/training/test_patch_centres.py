import numpy as np
import pytest
from scipy.stats import chisquare

from nnunet_sparse.training import patch_centres
from nnunet_sparse.training.patch_centres import draw_pixel, draw_voxel


@pytest.mark.parametrize("tries", [0, 50])
def test_every_voxel_is_drawn_alike(tries, monkeypatch):
    """Also where the planes hold different numbers of them, with and without a search."""
    monkeypatch.setattr(patch_centres, "_TRIES", tries)
    rng = np.random.default_rng(0)
    label = np.zeros((4, 3, 5), int)
    label[0, 0, :] = 1
    label[2, 1, 2] = 2
    label[3] = 1  # not among the planes
    found = [draw_voxel(label, (1, 2), np.array([0, 2]), rng) for _ in range(3000)]
    voxels, counts = np.unique(found, axis=0, return_counts=True)
    assert voxels.tolist() == [[0, 0, x] for x in range(5)] + [[2, 1, 2]]
    assert chisquare(counts).pvalue > 1e-3


def test_a_single_voxel_is_found():
    label = np.zeros((9, 40, 50), int)
    label[4, 39, 49] = 7
    assert draw_voxel(label, (7,), np.arange(9), np.random.default_rng(0)) == (4, 39, 49)


@pytest.mark.parametrize(("values", "planes"), [((3,), [0, 1]), ((), [0]), ((0,), [])])
def test_there_is_none(values, planes):
    label = np.zeros((2, 3, 3), int)
    assert draw_voxel(label, values, np.array(planes, int), np.random.default_rng(0)) is None


def test_pixel_by_hand():
    plane = np.array([[0, 0, 0], [0, 0, 5]])
    assert draw_pixel(plane, (5,), np.random.default_rng(0)) == (1, 2)
