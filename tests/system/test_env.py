import os
import subprocess
from pathlib import Path

import pytest

from nnunet_sparse.system.env import EXT_TRAINER, ext_trainers_folder, main, training_environment
from nnunet_sparse.system.paths import ENV_NAMES, NnUNetPaths

OURS = str(ext_trainers_folder())


@pytest.fixture(autouse=True)
def _unset(monkeypatch, tmp_path):
    for name in (*ENV_NAMES, EXT_TRAINER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", OURS),
        (OURS, OURS),
        ("/theirs", f"/theirs{os.pathsep}{OURS}"),
        (f"{OURS}{os.pathsep}/theirs{os.pathsep}{OURS}", f"/theirs{os.pathsep}{OURS}"),
    ],
)
def test_folder_is_appended_once(monkeypatch, before, after):
    monkeypatch.setenv(EXT_TRAINER, before)
    assert training_environment()[EXT_TRAINER] == after


def test_paths_are_added(tmp_path):
    paths = NnUNetPaths.below(tmp_path)
    assert training_environment(paths).items() >= paths.environment().items()
    assert not training_environment().keys() & paths.environment().keys()


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.delenv("nnUNet_def_n_proc", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    variables = training_environment()
    assert "OMP_WAIT_POLICY" not in variables
    assert int(variables["nnUNet_def_n_proc"]) >= 1


def test_folder_holds_the_shim_alone():
    modules = {file.name for file in Path(OURS).glob("*.py")}
    assert modules == {"__init__.py", "nnunet_sparse_trainers_shim.py"}


def test_lines_work_in_a_shell(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main([]) == 0
    assert not list(folder.iterdir())
    script = f'{capsys.readouterr().out}\nprintf %s "$nnUNet_results:$nnUNet_extTrainer"'
    result = subprocess.run(["sh", "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert result.stdout == f"{folder}/nnsparse_data/nnUNet_results:{OURS}"
    assert (folder / "nnsparse_data" / "nnUNet_raw").is_dir()


def test_set_paths_stay(tmp_path, monkeypatch, capsys):
    for name in ENV_NAMES:
        monkeypatch.setenv(name, str(tmp_path / name))
    assert main([]) == 0
    assert capsys.readouterr().out == f"export {EXT_TRAINER}={OURS}\n"
