"""What is particular to each of the four tasks."""

import numpy as np
import pytest
from scipy import ndimage

from nnunet_sparse.phantoms import PhantomCase, make_case

SHAPE = (24, 64, 64)


def cases(task: str, count: int = 6) -> list[PhantomCase]:
    return [make_case(task, 0, k, SHAPE) for k in range(count)]


def test_lesion_is_in_hounsfield_units():
    for case in cases("lesion"):
        assert case.image.min() >= -1024
        assert np.median(case.image[:, :2]) == pytest.approx(-1000, abs=20)  # air in front
        liver = np.median(case.image[case.label == 1])
        assert 30 < liver < 150


def test_tumours_lie_inside_the_liver_and_differ_from_it():
    found = [case for case in cases("lesion", 10) if (case.label == 2).any()]
    assert len(found) >= 5
    for case in found:
        inside = ndimage.binary_fill_holes(case.label > 0)
        assert not ((case.label == 2) & ~inside).any()
        assert (case.label == 2).sum() < (case.label == 1).sum()
    contrast = [
        np.median(c.image[c.label == 2].astype(float)) - np.median(c.image[c.label == 1])
        for c in found
    ]
    assert np.median(np.abs(contrast)) > 20
    assert min(contrast) < 0  # most are darker


def test_liver_is_on_the_patients_right_and_tapers_off_along_z():
    for case in cases("lesion"):
        _, _, x = np.nonzero(case.label)
        assert x.mean() < (SHAPE[2] - 1) / 2
        areas = (case.label > 0).sum(axis=(1, 2))
        assert areas[0] == areas[-1] == 0


def test_organ_is_one_large_smooth_object_per_side():
    for case in cases("organ"):
        assert 0.01 < case.label.mean() < 0.25
        components, _ = ndimage.label(case.label)
        sizes = np.sort(np.bincount(components.ravel())[1:])[::-1]
        assert sizes[:2].sum() > 0.97 * sizes.sum()
        _, y, _ = np.nonzero(case.label)
        body = np.nonzero(case.image > case.image.mean())[1]
        assert y.mean() < body.mean()  # in front


def test_tree_is_thin():
    for case in cases("tree"):
        assert 0 < case.label.mean() < 0.06
        core = ndimage.binary_erosion(case.label, iterations=2)
        assert core.sum() < 0.1 * case.label.sum()


def test_subtle_lesions_are_faint_and_missing_from_most_slices():
    made = cases("subtle", 10)
    share = np.mean([(c.label > 0).any(axis=(1, 2)).mean() for c in made])
    assert 0.1 < share < 0.6
    for case in made:
        if case.label.any():
            near = ndimage.binary_dilation(case.label, iterations=4) & (case.label == 0)
            inside = case.image[case.label > 0].mean()
            assert abs(inside / case.image[near].mean() - 1) < 0.6
