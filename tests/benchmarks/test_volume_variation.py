from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import volume_variation

    return volume_variation


@pytest.mark.parametrize("deviations", [(1.0, 0.0, 0.5), (0.0, 2.0, 1.0), (1.0, 1.0, 1.0)])
def test_components_that_were_drawn_are_found(
    script: ModuleType, deviations: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(0)
    volume, position, rest = deviations
    shape = (60, 12, 400)
    described = (
        volume * rng.normal(size=(60, 1, 400))
        + position * rng.normal(size=(1, 12, 400))
        + rest * rng.normal(size=shape)
    )
    found = script.shares(described * rng.uniform(1, 9, 400) + 3)
    variances = np.square(deviations)
    expected = variances / variances.sum()
    assert (found.volume, found.position, found.rest) == pytest.approx(expected, abs=0.05)
    # slices of one volume share what is the volume's alone
    assert found.icc == pytest.approx(expected[0], abs=0.05)


def test_worked_by_hand(script: ModuleType) -> None:
    # two volumes that differ by 2 everywhere: all variance is between them
    found = script.shares(np.array([[[0.0], [0.0]], [[2.0], [2.0]]]))
    assert (found.volume, found.position, found.rest, found.icc) == (1, 0, 0, 1)
    # and positions that differ by 2 in every volume
    found = script.shares(np.array([[[0.0], [2.0]], [[0.0], [2.0]]]))
    assert (found.volume, found.position, found.rest, found.icc) == (0, 1, 0, 0)


def test_slices_are_looked_at_in_the_middles_of_equal_parts(script: ModuleType) -> None:
    assert script._at_positions(np.arange(24.0)[:, None]).ravel().tolist() == list(range(1, 24, 2))
