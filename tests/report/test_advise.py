from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from grid_fixtures import write_grid
from grid_results import result

from nnunet_sparse.errors import SparseError
from nnunet_sparse.grid.experiment import Grid
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report import advise as module
from nnunet_sparse.report.advise import advice, choices, main

TEXT = """\
nnunet: nnunet
tasks:
  - base: 4
    val: 2
    test: 2
configurations:
  - configuration: 2d
  - configuration: 3d_fullres
"""


def grid_of_results() -> list[Result]:
    """More volumes are better, and random is better than fixed."""
    rng = np.random.default_rng(0)
    return [
        result(
            0.5
            + 0.03 * np.log(rho)
            + 0.06 * np.log(s)
            + 0.02 * (selector == "random")
            + rng.normal(0, 0.002),
            task="Tiny",
            rho=rho,
            s=s,
            selector=selector,
            num_slices=round(1000 * rho * s),
            repeat=repeat,
            size=100_000,
        )
        for rho in (0.1, 0.2, 0.4)
        for s in (0.25, 0.5, 1.0)
        for selector in ("fixed", "random")
        for repeat in range(2)
    ]


def test_the_best_choice_is_found() -> None:
    found = choices(grid_of_results(), 100, 1000)
    best = found[0]
    assert best.annotation.selector == "random"
    assert best.annotation.s == pytest.approx(1.0)
    assert best.annotation.rho == pytest.approx(0.1)
    truth = 0.5 + 0.03 * np.log(0.1) + 0.02
    assert best.low < truth < best.high
    assert best.high - best.low < 0.02
    assert sum(choice.probability for choice in found) == pytest.approx(1)
    for choice in found:
        assert choice.annotation.rho * choice.annotation.s == pytest.approx(0.1, rel=1e-4)
        assert 0.1 - 1e-9 <= choice.annotation.rho <= 0.4 + 1e-6


def test_budgets_out_of_range_have_no_choice() -> None:
    results = grid_of_results()
    assert choices(results, 20, 1000) == []  # less than the smallest density and fraction
    assert choices(results, 500, 1000) == []
    assert choices(results[:2], 100, 1000) == []


@pytest.fixture
def grid(tmp_path: Path, make_base: BaseMaker) -> Grid:
    make_base()
    return write_grid(tmp_path, TEXT)


def test_without_results_the_papers_rule(grid: Grid, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(grid.file), "--budget", "5"]) == 0
    text = capsys.readouterr().out
    assert "arXiv 2412.08081" in text
    total = next(int(word) for word in text.split() if word.isdigit() and int(word) > 5)
    assert f"2D: --rho {5 / total:.3f} --s 1.000 --selector fixed (6 volumes)" in text
    assert f"3D: --rho 0.200 --s {5 / total / 0.2:.3f} --selector fixed" in text


def test_with_results(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_results", lambda _: grid_of_results())
    text = advice(grid, 6)
    assert "Tiny, 2d, from 36 trainings:" in text
    assert "best: --rho 0.1" in text
    assert "--selector random (6 volumes), batched IoU 0.4" in text
    assert "best selector: random 100%, fixed 0%" in text


def test_more_than_there_is(grid: Grid) -> None:
    with pytest.raises(SparseError, match="slices, fewer than the budget 5000"):
        advice(grid, 5000)
