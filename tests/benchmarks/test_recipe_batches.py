from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_time_of_a_patch_by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    from recipe_batches import PARTS, recipe_table

    names = ["SparseTrainerInceptionUNet", "SparseTrainerSegResNet"]
    header, _, *rows = recipe_table(names, 0.1, rounds=1, patches=1).splitlines()
    assert header == f"| trainer | patch | {' | '.join(PARTS)} | augmentation / nnU-Net's |"
    cells = [row.strip("| ").split(" | ") for row in rows]
    # a tenth of the sides, of multiples of 16 at least 32
    assert [row[:2] for row in cells] == [[names[0], "32x32"], [names[1], "32x32x32"]]
    times = [dict(zip(PARTS, map(float, row[2:-1]), strict=True)) for row in cells]
    for of_row in times:
        assert of_row["spatial"] > 0
        assert of_row["nnU-Net"] > 0
    # SegResNet's recipe has no bias field
    assert times[1]["bias field"] == 0
