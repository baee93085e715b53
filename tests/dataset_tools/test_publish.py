"""Parallel and killed calls."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import BaseMaker
from sparse_datasets import make_dataset
from tiny import tree

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

COMMAND = (
    "from nnunet_sparse.dataset_tools.make_dataset_command import main; raise SystemExit(main())"
)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", COMMAND, "-d", "4", "-np", "1", *arguments]


def test_parallel_calls_take_different_ids_and_make_each_variant_once(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    running = [
        subprocess.Popen(command("--rho", rho), stdout=subprocess.PIPE, encoding="utf-8")
        for rho in ("0.2", "0.3", "0.2", "0.3", "0.2")
    ]
    results = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 5
    assert sum("made:" in result for result in results) == 2
    assert sum("exists:" in result for result in results) == 3
    names = [p.name for p in paths.raw.glob("Dataset5*")]
    assert len(names) == len({name[:10] for name in names}) == 2
    assert not list(paths.raw.glob(".nnsparse_partial*"))


def test_parallel_overwriting_calls_leave_one_of_their_results(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    running = [
        subprocess.Popen(command("--rho", "0.2", "--overwrite", "--repeats", repeats))
        for repeats in "345"
    ]
    assert [process.wait(timeout=120) for process in running] == [0] * 3
    (folder,) = paths.raw.glob("Dataset5*")
    assert len(json.loads((folder / "splits_final.json").read_text("utf-8"))) in {3, 4, 5}
    assert not list(paths.raw.glob(".*"))


def test_leftovers_of_a_killed_replacement_do_no_harm(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    folder = make_dataset(paths, "4", rho=0.2).folder
    assert folder is not None
    left = paths.raw / f".nnsparse_old_{folder.name}"
    left.mkdir()
    (left / "x").touch()
    assert make_dataset(paths, "4", rho=0.2, repeats=4, overwrite=True).folder == folder
    assert not left.exists()


def test_a_failing_call_does_not_take_the_split_of_another_back(
    paths: NnUNetPaths, make_base: BaseMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_base()

    def other_call_first(*_: object) -> None:
        monkeypatch.undo()
        make_dataset(paths, "4", rho=0.3)
        raise SparseError("failed")

    monkeypatch.setattr(
        "nnunet_sparse.dataset_tools.make_dataset.write_sparse_folder", other_call_first
    )
    with pytest.raises(SparseError, match="failed"):
        make_dataset(paths, "4", rho=0.2)
    assert (paths.preprocessed / "Dataset004_Tiny" / "nnsparse_split.json").exists()


@pytest.mark.slow
def test_killed_calls_are_continued(paths: NnUNetPaths, make_base: BaseMaker) -> None:
    base = make_base(num_train=40, shapes=[(60, 60, 50)])
    arguments = command("--rho", "0.3")
    kills = 0
    for wait in (0.05, 0.2, 0.1, 0.3):
        process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        while process.poll() is None and not list(paths.raw.glob(".nnsparse_partial_500/labelsTr")):
            time.sleep(0.01)
        time.sleep(wait)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        assert not list(paths.raw.glob("Dataset5*")) or kills < 4
    partial = paths.raw / ".nnsparse_partial_500" / "labelsTr"
    half = {p.name: p.stat().st_mtime_ns for p in partial.glob("*.nii.gz")}
    assert kills > 0
    subprocess.run(arguments, check=True, timeout=120)
    (folder,) = paths.raw.glob("Dataset5*")
    assert (
        half.items()
        <= {p.name: p.stat().st_mtime_ns for p in (folder / "labelsTr").iterdir()}.items()
    )
    folder.rename(paths.raw / "continued")
    undisturbed = make_dataset(paths, "4", rho=0.3).folder
    assert undisturbed is not None
    assert tree(undisturbed) == tree(paths.raw / "continued")
    assert base.exists()
    assert not list(paths.raw.glob(".*"))
