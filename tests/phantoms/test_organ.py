import numpy as np
from phantoms.few_cases import few_cases
from scipy import ndimage


def test_organ_is_one_large_smooth_object_per_side():
    for case in few_cases("organ"):
        assert 0.01 < case.label.mean() < 0.25
        components, _ = ndimage.label(case.label)
        sizes = np.sort(np.bincount(components.ravel())[1:])[::-1]
        assert sizes[:2].sum() > 0.97 * sizes.sum()
        _, y, _ = np.nonzero(case.label)
        body = np.nonzero(case.image > case.image.mean())[1]
        assert y.mean() < body.mean()  # in front
