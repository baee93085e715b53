"""Experiment files that are committed: they are accepted, and amount to what their results say."""

import re
from pathlib import Path

import pytest
from conftest import BaseMaker

from nnunet_sparse.grid.grid_command import main

ROOT = Path(__file__).parents[2] / "benchmarks"
TRAININGS = {
    "hippocampus_grid": 63,
    # 1 dense, and for each seed the first round and 3 more by each of 5 selectors; 2d and 3d
    **dict.fromkeys(("rounds_hippocampus", "rounds_lesion", "rounds_organ"), 2 * (1 + 3 * 16)),
    # of each of 3 tasks dense, and 2 densities by 2 selectors as they are and filled
    "self_training": 3 * 3 * (1 + 2 * 2 * 2),
    # 3 numbers of slices, 2 fractions, 2 seeds by 4 selectors in 2d and by 2 in 3d; each number and
    # seed filled by 2 methods and by 1; dense
    "left_atrium": 3 * ((3 * 2 * 2 * 4 + 3 * 2 * 2 + 1) + (3 * 2 * 2 * 2 + 3 * 2 + 1)),
    # of each of 4 tasks 2 densities, 2 fractions, 2 seeds by 4 selectors; each density and seed
    # filled by 2 methods; dense
    "findings_2d": 4 * (2 * 2 * 2 * 4 + 2 * 2 * 2 + 1),
    # 2 densities, 2 fractions by 2 selectors, one density filled by 2 methods, dense; on one of 4
    # tasks 2 more networks with one selector
    "findings_3d": 2 * (4 * (2 * 2 * 2 + 2 + 1) + 2 * (2 * 2 + 1)),
    # of each of 8 tasks 5 numbers of slices by 3 selectors, 3 of a quarter by one, dense; where all
    # of 16 slices are annotated, by one selector
    "regime": 8 * (2 * (5 * 3 + 3) + 1) - 2 * 2,
    "hippocampus_3d": 3 * (2 * 5 + 1),
    # of each of 3 tasks 2 selectors within volumes, and with 2 least numbers over all; dense
    "dataset_scope": 3 * 3 * (2 + 2 * 2 + 1),
}


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.yaml")), ids=lambda file: file.stem)
def test_plan_accepts_it(
    tmp_path: Path, make_base: BaseMaker, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    text = file.read_text("utf-8")
    for base in re.findall(r"base: (\w+)", text):
        make_base(base, shapes=[(20, 6, 5)])
    here = tmp_path / file.name
    here.write_text(re.sub(r"\b(test|val): \d+", r"\1: 2", text))
    assert main(["plan", str(here)]) == 0
    said = capsys.readouterr().out
    (found,) = re.findall(r"in all: \d+ data sets, (\d+) trainings", said)
    assert int(found) == TRAININGS[file.stem]
    assert not re.search("[^ -~\n]", text)  # as every shell shows it
