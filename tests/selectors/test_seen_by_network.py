"""What a network says of several volumes, and what cannot be meant."""

from dataclasses import replace

import numpy as np
import pytest

from nnunet_sparse.selectors import SeenByNetwork


def seen(*entropies: float) -> SeenByNetwork:
    size = len(entropies)
    two = np.ones((size, 2))
    return SeenByNetwork(np.array(entropies), np.zeros(size), two, two, np.arange(size) * 2.0, 1, 3)


def test_joined_and_parts() -> None:
    joined = SeenByNetwork.joined([seen(1, 2), seen(3)])
    joined.check(3)
    assert joined.entropy.tolist() == [1, 2, 3]
    assert joined.position_mm.tolist() == [0, 2, 0]
    assert joined.round_number == 3
    assert joined.part(np.array([0, 2])).entropy.tolist() == [1, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["entropy", "bald", "class_entropy", "position_mm"])
def test_what_is_no_number_is_refused(name: str, value: float) -> None:
    said = seen(1, 2)
    wrong = getattr(said, name).astype(float)
    wrong[1] = value
    with pytest.raises(ValueError, match=f"{name} must be finite numbers"):
        replace(said, **{name: wrong}).check(2)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 entropy for 3 slices"):
        seen(1, 2).check(3)
    with pytest.raises(ValueError, match=r"shape \(2, 2\), predicted \(2, 1\)"):
        replace(seen(1, 2), predicted=np.ones((2, 1))).check(2)
