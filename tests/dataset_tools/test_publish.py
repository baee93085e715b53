"""Parallel and killed calls."""

import json
import signal
import subprocess
import sys

import pytest
from conftest import BaseMaker
from failures import fail_once_to_name
from file_times import date_back, written_since
from sparse_datasets import make_dataset
from tiny import tree
from waiting import GUARD_S

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

COMMAND = (
    "from nnunet_sparse.dataset_tools.make_dataset_command import main; raise SystemExit(main())"
)
# before it gives the label of a number its name
KILLED = """\
import os, signal, sys
left = {number}
def kill(event, arguments):
    global left
    if event == "os.rename" and "labelsTr" in str(arguments[1]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
"""


def command(*arguments: str, code: str = COMMAND) -> list[str]:
    return [sys.executable, "-c", code, "-d", "4", "-np", "1", *arguments]


def test_parallel_calls_take_different_ids_and_make_each_variant_once(
    paths: NnUNetPaths, make_base: BaseMaker
) -> None:
    make_base()
    running = [
        subprocess.Popen(command("--rho", rho), stdout=subprocess.PIPE, encoding="utf-8")
        for rho in ("0.2", "0.3", "0.2", "0.3", "0.2")
    ]
    results = [process.communicate(timeout=GUARD_S)[0] for process in running]
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
    assert [process.wait(timeout=GUARD_S) for process in running] == [0] * 3
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


def test_the_old_data_set_is_put_back_where_the_new_one_cannot_have_its_name(
    paths: NnUNetPaths, make_base: BaseMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_base()
    folder = make_dataset(paths, "4", rho=0.2).folder
    assert folder is not None
    before = tree(paths.raw)
    fail_once_to_name(monkeypatch, folder)
    with pytest.raises(OSError, match="Input/output error"):
        make_dataset(paths, "4", rho=0.2, repeats=4, overwrite=True)
    # the new one, complete and hidden, waits for the next call
    now = tree(paths.raw)
    assert {key: value for key, value in now.items() if key[0] != "."} == before
    make_dataset(paths, "4", rho=0.2, repeats=4, overwrite=True)
    assert tree(paths.raw).keys() == before.keys()
    assert tree(paths.raw) != before


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
    base = make_base(num_train=20)
    partial = paths.raw / ".nnsparse_partial_500" / "labelsTr"
    done = 0
    for number in (1, 4, 2, 5):
        killed = command("--rho", "0.3", code=KILLED.format(number=number) + COMMAND)
        status = subprocess.run(killed, check=False, timeout=GUARD_S).returncode
        assert status == -signal.SIGKILL
        assert not list(paths.raw.glob("Dataset5*"))
        done += number - 1
        assert len(list(partial.glob("*.nii.gz"))) == done
    half = {path.name for path in partial.glob("*.nii.gz")}
    date_back(partial)
    subprocess.run(command("--rho", "0.3"), check=True, timeout=GUARD_S)
    (folder,) = paths.raw.glob("Dataset5*")
    written = {path.name for path in written_since(folder / "labelsTr")}
    assert half.isdisjoint(written)
    assert len(written) > 1
    folder.rename(paths.raw / "continued")
    undisturbed = make_dataset(paths, "4", rho=0.3).folder
    assert undisturbed is not None
    assert tree(undisturbed) == tree(paths.raw / "continued")
    assert base.exists()
    assert not list(paths.raw.glob(".*"))
