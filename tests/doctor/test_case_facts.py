import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from nnunet_sparse.doctor.case_facts import nonzero_mask


@given(
    images=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 2), *(st.integers(1, 5) for _ in range(3))),
        elements=st.sampled_from([0.0, 1.0, -0.5, np.nan]),
    )
)
def test_non_zero_voxels_are_those_of_nnunet(images: np.ndarray) -> None:
    assert np.array_equal(nonzero_mask(images), create_nonzero_mask(images))


def test_holes_belong_to_the_mask() -> None:
    image = np.zeros((1, 5, 5, 5), np.float32)
    image[0, 1:4, 1:4, 1:4] = 1
    image[0, 2, 2, 2] = 0
    assert nonzero_mask(image).sum() == 27
