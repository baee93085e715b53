import numpy as np
from phantoms.few_cases import few_cases
from scipy import ndimage


def test_subtle_lesions_are_faint_and_missing_from_most_slices():
    made = few_cases("subtle", 10)
    share = np.mean([(c.label > 0).any(axis=(1, 2)).mean() for c in made])
    assert 0.1 < share < 0.6
    for case in made:
        if case.label.any():
            near = ndimage.binary_dilation(case.label, iterations=4) & (case.label == 0)
            inside = case.image[case.label > 0].mean()
            assert abs(inside / case.image[near].mean() - 1) < 0.6
