import pytest

from nnunet_sparse.dataset_tools.convert.paper_split import SplitSizes, split_by_patient
from nnunet_sparse.system.errors import SparseError


# test: n * 25 / 131, val: n * 10 / 131, rounded
@pytest.mark.parametrize(
    ("num_cases", "expected"),
    [(131, (96, 10, 25)), (3, (1, 1, 1)), (20, (14, 2, 4)), (10, (7, 1, 2)), (262, (192, 20, 50))],
)
def test_split_in_the_papers_proportions(num_cases: int, expected: tuple[int, int, int]) -> None:
    assert SplitSizes(96, 10, 25).scaled(num_cases) == SplitSizes(*expected)


def test_split_is_seeded_and_keeps_patients_together() -> None:
    patients = {f"c{k:02d}": f"p{k // 3}" for k in range(30)}
    sizes = SplitSizes(20, 4, 6)
    split = split_by_patient(patients, sizes, 1)
    assert split == split_by_patient(dict(reversed(patients.items())), sizes, 1)
    assert split != split_by_patient(patients, sizes, 2)
    owners = [{patients[c] for c in part} for part in (split.train, split.val, split.test)]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 10
    assert (len(split.val), len(split.test)) == (6, 6)  # whole patients of three cases


def test_too_few_cases_or_patients() -> None:
    with pytest.raises(SparseError, match="2 cases are too few"):
        SplitSizes(96, 10, 25).scaled(2)
    with pytest.raises(SparseError, match="2 patients are too few"):
        split_by_patient({"a": "p", "b": "p", "c": "q"}, SplitSizes(1, 1, 1), 0)
