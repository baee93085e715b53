"""Planes by themselves are those of nnU-Net's resampling of the whole volume."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

from nnunet_sparse.prediction.resampled_logits import AxisSampling, ResampledLogits

CPU = torch.device("cpu")
SIZE = st.tuples(*[st.integers(2, 9)] * 3)
SPACING = st.tuples(*[st.sampled_from([0.5, 1.0, 4.0])] * 3)


@settings(max_examples=60)
@given(
    SIZE,
    SIZE,
    SPACING,
    SPACING,
    st.integers(0, 2),
    st.sampled_from(
        [
            {"order": 1, "order_z": 0, "force_separate_z": None},
            {"order": 1, "order_z": 1, "force_separate_z": None},
            {"order": 0, "order_z": 0, "force_separate_z": False},
            {"order": 1, "order_z": 0, "force_separate_z": True},
            {"order": 3, "order_z": 0, "force_separate_z": None},
        ]
    ),
    st.data(),
)
def test_planes_equal_nnunets_volume(
    source: tuple[int, ...],
    shape: tuple[int, ...],
    before: tuple[float, ...],
    after: tuple[float, ...],
    axis: int,
    arguments: dict[str, Any],
    data: st.DataObject,
) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, *source)).astype(np.float16)
    expected = resample_data_or_seg_to_shape(
        torch.from_numpy(logits.copy()), shape, before, after, **arguments
    )
    ours = ResampledLogits(
        np.moveaxis(logits, axis + 1, 0),
        axis,
        shape,
        after,
        before,
        "resample_data_or_seg_to_shape",
        arguments,
    )
    first = data.draw(st.integers(0, shape[axis] - 1))
    end = data.draw(st.integers(first + 1, shape[axis]))
    found = ours.planes(first, end, CPU).numpy()
    wanted = np.moveaxis(np.asarray(expected, np.float32), axis + 1, 1)[:, first:end]
    np.testing.assert_allclose(found, wanted, atol=0.01)  # of half precision, and at ties


def test_linear_and_nearest_sampling_worked_by_hand() -> None:
    values = torch.tensor([0.0, 10.0])
    linear = AxisSampling.between(2, 4, linear=True)  # at -0.25, 0.25, 0.75, 1.25
    assert linear.apply(values, 0).tolist() == [0, 2.5, 7.5, 10]
    nearest = AxisSampling.between(2, 4, linear=False)
    assert nearest.apply(values, 0).tolist() == [0, 0, 10, 10]
    assert nearest.part(1, 3).apply(values, 0).tolist() == [0, 10]
    assert AxisSampling.between(3, 3, linear=True).is_identity


@pytest.mark.parametrize("function", ["resample_torch_fornnunet", "resample_data_or_seg_to_shape"])
def test_other_functions_are_nnunets_own(function: str) -> None:
    logits = np.zeros((4, 2, 3, 3), np.float16)
    logits[2:, 1] = 1
    arguments = {"is_seg": False, "force_separate_z": False}
    if function == "resample_torch_fornnunet":
        arguments["memefficient_seg_resampling"] = False
    ours = ResampledLogits(logits, 0, (8, 3, 3), (0.5, 1, 1), (1, 1, 1), function, arguments)
    found = ours.planes(2, 6, CPU)
    assert found.shape == (2, 4, 3, 3)
    assert (found[0] == 0).all()
    assert (found[1, :2] < 0.5).all()
    assert (found[1, 2:] > 0.5).all()
