import numpy as np
import pytest

from nnunet_sparse.campaign.import_campaign import imported_label
from nnunet_sparse.campaign.import_documents import ImportedCase

# slices:            asked    left out  extra    extra with background  none
LABEL = np.array([[1, 0, 2], [1, 2, 2], [1, 2, 2], [1, 0, 2], [2, 2, 2]])
IMPORTED = [[1, 0, 2], [2, 2, 2], [1, 0, 0], [1, 0, 2], [2, 2, 2]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_imported_label(axis: int) -> None:
    label, expected = (np.moveaxis(np.array(a)[:, None], 0, axis) for a in (LABEL, IMPORTED))
    case = ImportedCase(asked=(0,), empty=(), extra=(2, 3), left_out=(1,))
    found = imported_label(label, axis, case, ignore_label=2)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


def test_the_type_has_room_for_the_ignore_label() -> None:
    case = ImportedCase(asked=(), empty=(), extra=(), left_out=())
    found = imported_label(np.zeros((1, 1, 1), np.uint8), 0, case, ignore_label=256)
    assert (found.dtype, found.item()) == (np.uint16, 256)
