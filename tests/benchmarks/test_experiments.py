"""Experiment files that are committed: they are accepted, and amount to what their results say."""

import re
from pathlib import Path

import pytest
from conftest import BaseMaker

from nnunet_sparse.grid.grid_command import main

ROOT = Path(__file__).parents[2] / "benchmarks"
HIPPOCAMPUS = "Dataset004_Hippocampus"
TRAININGS = {
    "hippocampus_grid": 63,
    # 1 dense, and for each seed the first round and 3 more by each of 5 selectors; 2d and 3d
    **dict.fromkeys(("rounds_hippocampus", "rounds_lesion", "rounds_organ"), 2 * (1 + 3 * 16)),
    # of each of 3 tasks dense, and 2 densities by 2 selectors as they are and filled
    "self_training": 3 * 3 * (1 + 2 * 2 * 2),
}


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.yaml")), ids=lambda file: file.stem)
def test_plan_accepts_it(
    tmp_path: Path, make_base: BaseMaker, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    text = file.read_text("utf-8")
    if HIPPOCAMPUS in text:
        make_base(HIPPOCAMPUS, shapes=[(20, 6, 5)])
        text = text.replace("test: 40", "test: 2")
    here = tmp_path / file.name
    here.write_text(text)
    assert main(["plan", str(here)]) == 0
    said = capsys.readouterr().out
    (found,) = re.findall(r"in all: \d+ data sets, (\d+) trainings", said)
    assert int(found) == TRAININGS[file.stem]
    assert not re.search("[^ -~\n]", text)  # as every shell shows it
