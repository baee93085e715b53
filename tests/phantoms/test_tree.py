from phantoms.few_cases import few_cases
from scipy import ndimage


def test_tree_is_thin():
    for case in few_cases("tree"):
        assert 0 < case.label.mean() < 0.06
        core = ndimage.binary_erosion(case.label, iterations=2)
        assert core.sum() < 0.1 * case.label.sum()
