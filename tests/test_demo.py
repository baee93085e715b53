"""The demo with the smallest phantom and a training of two epochs, through the real commands."""

import json
from pathlib import Path

import pytest
from forked_commands import run_pipelines_forked

from nnunet_sparse import demo


@pytest.mark.slow
def test_demo_runs_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # one with all that a process of its own imports, and the workers that nnU-Net spawns
    run_pipelines_forked(monkeypatch, but=("nnUNetv2_predict",))
    monkeypatch.setattr(demo, "PHANTOM", "--shape 16 32 32 --num_train 8 --num_test 2")
    monkeypatch.setattr(
        demo,
        "PLANNING",
        "-c 2d -pl SmallPlanner --set num_epochs=2 num_iterations_per_epoch=2 "
        "num_val_iterations_per_epoch=1 save_every=1",
    )
    folder = tmp_path / "a demo"  # with a space
    assert demo.main(["--output", str(folder), "-np", "1"]) == 0
    out = capsys.readouterr().out
    assert "batched IoU" in out
    pictures = sorted(p.name for p in folder.glob("*.png"))
    assert pictures == [
        "PhantomLesion_rho0.200_s1.000_fixed_seed0_predictions.png",
        "PhantomLesion_rho0.200_s1.000_fixed_seed0_slices.png",
    ]
    (summary,) = folder.glob("predictions/*/nnsparse_summary.json")
    scores = json.loads(summary.read_text("utf-8"))["nnsparse"]
    assert scores["num_cases"] == 2
    assert set(scores["per_label"]) == {"1", "2"}


def test_a_failing_step_ends_with_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "PHANTOM", "--shape 1 1 1")
    assert demo.main(["--output", str(tmp_path), "-np", "1"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: nnsparse_make_phantom failed with exit status 2, its last line")
    assert "shape must be three numbers of at least" in error
