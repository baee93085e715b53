import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tiny import read_json

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, whose environment variables are taken back."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import gpu

    before = dict(os.environ)
    yield gpu
    os.environ.clear()
    os.environ.update(before)


def test_the_parts_fit_into_nine_minutes(gpu: ModuleType) -> None:
    assert list(gpu.BUDGETS) == list(gpu.PARTS)
    assert sum(gpu.BUDGETS.values()) <= 9 * 60


def test_a_part_that_fails_keeps_its_rows(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object):  # type: ignore[no-untyped-def]
        yield {"what": "first", "s_per_step": 0.25, "steps": 4}
        assert read_json(tmp_path / "parts" / "compile.json")["rows"][0]["what"] == "first"
        raise RuntimeError("CUDA out of memory\nand so on")

    monkeypatch.setitem(gpu.PARTS, "compile", failing)
    args = argparse.Namespace(output=tmp_path, device="cpu", tiny=True)
    gpu.run_part(args, "compile", 1)
    table = gpu.gather(tmp_path)
    assert "| compile | first | 0.25 |  | 4 |" in table
    assert "| RuntimeError: CUDA out of memory |" in table
    assert read_json(tmp_path / "gpu.json")["compile"]["error"].startswith("RuntimeError")


@pytest.mark.slow
def test_a_part_ends_with_its_budget(gpu: ModuleType, tmp_path: Path) -> None:
    args = argparse.Namespace(output=tmp_path, device="cuda", tiny=True)
    gpu._run_apart(args, "networks", 0)
    assert "| ended after its budget of 0 s |" in gpu.gather(tmp_path)


@pytest.mark.slow
def test_dry_run_of_all_parts(
    gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every part at sizes that a CPU computes within seconds."""
    assert gpu.main(["-o", str(tmp_path), "--device", "cpu", "--tiny"]) == 0
    shown = capsys.readouterr().out
    parts = read_json(tmp_path / "gpu.json")
    numbers = {part: len(content["rows"]) for part, content in parts.items()}
    # each of seven recipes in two ways; in 2d and 3d nnU-Net's trainer, and ours in two ways
    assert numbers == {
        "data": 1,
        "recipes": 14,
        "planner": 6,
        "compile": 2,
        "affinity": 3,
        "networks": 2,
    }
    for content in parts.values():
        assert "error" not in content
        for row in content["rows"]:
            # a setting that this version does not have fails alone
            assert "error" not in row or "'augmentation_on'" in row["error"], row
            assert 0 <= row.get("waiting", 0) <= 1
            assert row.get("s_per_step", 1) > 0
    assert (tmp_path / "gpu.md").read_text("utf-8") in shown
