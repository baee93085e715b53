import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.interpolation.dense_label import PREDICTED
from nnunet_sparse.interpolation.network_method import NetworkMethod
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.prediction.predicted_volume import PredictedVolume
from nnunet_sparse.system.errors import SparseError

IGNORE = 9


def test_worked_by_hand() -> None:
    label = np.full((3, 1, 2), IGNORE, np.int16)
    label[1] = [[2, 0]]
    predicted = PredictedVolume(
        np.array([[[1, 2]], [[0, 1]], [[2, 2]]], np.uint8),
        np.array([[[0.5, 0.75]], [[0.5, 0.5]], [[1.0, 0.25]]], np.float16),
    )
    found = NetworkMethod().fill(label, np.array([0, 1, 0], bool), (1.0, 1.0), predicted)
    assert found.label.tolist() == [[[1, 2]], [[2, 0]], [[2, 2]]]
    assert found.label.dtype == np.int16
    assert found.source.tolist() == [PREDICTED, 1, PREDICTED]
    assert found.hops.tolist() == [PREDICTED, 0, PREDICTED]
    assert found.confidence.tolist() == [[[0.5, 0.75]], [[1, 1]], [[1.0, 0.25]]]
    assert found.with_ignore(0.6, IGNORE).tolist() == [[[IGNORE, 2]], [[2, 0]], [[2, IGNORE]]]


@given(st.integers(1, 6), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_annotated_slices_stay_and_others_are_not_read(
    num_slices: int, seed: int, least: float
) -> None:
    rng = np.random.default_rng(seed)
    shape = num_slices, 3, 4
    label = rng.integers(0, 4, shape).astype(np.uint8)
    annotated = rng.random(num_slices) < 0.5
    predicted = PredictedVolume(
        rng.integers(0, 4, shape).astype(np.uint8), rng.random(shape).astype(np.float16)
    )
    found = NetworkMethod().fill(label, annotated, (1.0, 1.0), predicted, least)
    np.testing.assert_array_equal(found.with_ignore(least, 4)[annotated], label[annotated])
    shuffled = label.copy()
    shuffled[~annotated] = rng.permutation(label[~annotated].ravel()).reshape(-1, 3, 4)
    other = NetworkMethod().fill(shuffled, annotated, (1.0, 1.0), predicted, least)
    for name, value in vars(found).items():
        np.testing.assert_array_equal(value, vars(other)[name])


def test_names_tell_models_apart_and_old_files_stay_what_they_are() -> None:
    way = Interpolation("network", model="0123456789abcdef", min_confidence=0.9)
    assert way.name == "mi_network_01234567_conf0.9"
    assert Interpolation(**way.to_json()) == way
    assert "model" not in Interpolation("shape").to_json()
    with pytest.raises(SparseError, match="model works with network, not with shape"):
        Interpolation("shape", model="0123")


def test_it_needs_a_prediction() -> None:
    with pytest.raises(ValueError, match="network needs a prediction"):
        NetworkMethod().fill(np.zeros((1, 1, 1), int), np.ones(1, bool), (1, 1), None)
