from pathlib import Path

import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Command, Runner, TrainingRequest, training_commands, words


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path / "logs", NnUNetPaths.below(tmp_path), num_processes=3)


def test_words_keep_values_together() -> None:
    assert words("a {} -b {}  c", Path("x y"), 2) == ["a", "x y", "-b", "2", "c"]


def test_output_goes_to_a_log(runner: Runner, tmp_path: Path) -> None:
    runner.run(Command("show the number", ["python", "-c", "print('{np}')"]))
    runner.run(Command("show paths", ["nnsparse_env"]))
    runner.run(Command("show it", ["python", "-c", "import sys; print(sys.argv[1])", "{np}"]))
    assert (tmp_path / "logs" / "3_show_it.txt").read_text("utf-8") == "3\n"
    assert "nnUNet_raw" not in (tmp_path / "logs" / "2_show_paths.txt").read_text("utf-8")


def test_a_finished_command_is_not_repeated(runner: Runner, tmp_path: Path) -> None:
    done = tmp_path / "done"
    command = Command("touch", ["python", "-c", f"open({str(done)!r}, 'x')"], done)
    assert runner.run(command) > 0
    assert runner.run(command) == 0


def test_a_failing_command_names_its_last_line(runner: Runner) -> None:
    with pytest.raises(SparseError, match=r"exit status 1, its last line: it broke .*1_fail\.txt"):
        runner.run(Command("fail", ["python", "-c", "raise SystemExit('it broke')"]))


def test_an_interrupted_training_is_continued(tmp_path: Path) -> None:
    paths = NnUNetPaths.below(tmp_path)
    training = TrainingRequest("Dataset500_A", "2d", "plansA", tmp_path / "out", "cpu", repeat=1)
    train, predict, _ = training_commands(training, paths)
    assert train.words[:4] == ["nnUNetv2_train", "Dataset500_A", "2d", "1"]
    assert "--c" not in train.words
    assert predict.words[predict.words.index("-f") + 1] == "1"
    folder = paths.results / "Dataset500_A" / "SparseTrainer__plansA__2d" / "fold_1"
    folder.mkdir(parents=True)
    (folder / "checkpoint_latest.pth").touch()
    assert training_commands(training, paths)[0].words[-1] == "--c"
