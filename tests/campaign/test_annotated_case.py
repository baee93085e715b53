from pathlib import Path

import numpy as np
import pytest
from campaign.conftest import CampaignWriter

from nnunet_sparse.campaign.annotated_case import AnnotatedCase, first_few
from nnunet_sparse.system.errors import SparseError


@pytest.fixture
def case(write_campaign: CampaignWriter) -> AnnotatedCase:
    labels = {"big lesion": 1, "Big_Lesion": 2, "organ": 3}
    return AnnotatedCase(write_campaign({"a": (1,)}, labels=labels), "a")


@pytest.mark.parametrize(
    ("name", "value"),
    [("big lesion", 1), ("Big_Lesion", 2), ("BIG LESION", None), ("ORGAN", 3), ("vessel", None)],
)
def test_case_of_letters_decides_between_similar_names(
    case: AnnotatedCase, name: str, value: int | None
) -> None:
    assert case.find_value(name) == value


def test_values_that_are_no_labels_are_refused(case: AnnotatedCase) -> None:
    file = Path("a.nii.gz")
    case.check_values(np.arange(5), file)  # 4 is ignore
    with pytest.raises(SparseError, match=r"holds the values 5, 6, 7, 8, 9 \.\.\.; allowed are 0 "):
        case.check_values(np.arange(11), file)


def test_lists_in_messages_end_after_five() -> None:
    assert first_few("abcde") == "a, b, c, d, e"
    assert first_few("abcdef") == "a, b, c, d, e ..."
