import numpy as np
import pytest
from phantoms.few_cases import SHAPE, few_cases
from scipy import ndimage


def test_lesion_is_in_hounsfield_units():
    for case in few_cases("lesion"):
        assert case.image.min() >= -1024
        assert np.median(case.image[:, :2]) == pytest.approx(-1000, abs=20)  # air in front
        liver = np.median(case.image[case.label == 1])
        assert 30 < liver < 150


def test_tumours_lie_inside_the_liver_and_differ_from_it():
    found = [case for case in few_cases("lesion", 10) if (case.label == 2).any()]
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
    for case in few_cases("lesion"):
        _, _, x = np.nonzero(case.label)
        assert x.mean() < (SHAPE[2] - 1) / 2
        areas = (case.label > 0).sum(axis=(1, 2))
        assert areas[0] == areas[-1] == 0
