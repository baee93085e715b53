import importlib.util
import multiprocessing
import pickle
import subprocess
import sys

import pytest

from nnunet_sparse.system.env import EXT_TRAINER, ext_trainers_folder
from nnunet_sparse.trainers.trainer_classes import OURS, find_trainer, own_trainer

SHIM = ext_trainers_folder() / "nnunet_sparse_trainers_shim.py"


@pytest.fixture
def shim():
    spec = importlib.util.spec_from_file_location("shim", SHIM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_listed_trainer_exists(shim):
    for name in OURS:
        assert getattr(shim, name).__name__ == name
        assert name in dir(shim)


def test_processes_can_be_given_the_classes():
    for name in OURS:
        trainer = own_trainer(name)
        assert pickle.loads(pickle.dumps(trainer)) is trainer
        assert find_trainer(name) is trainer


def test_other_names_do_not_exist(shim):
    assert not hasattr(shim, "nnUNetTrainer_5epochs")
    with pytest.raises(AttributeError, match="no attribute 'nnUNetTrainer'"):
        _ = shim.nnUNetTrainer


def test_nothing_is_imported_before_it_is_asked_for():
    code = f"import runpy, sys; runpy.run_path({str(SHIM)!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_nnunet_finds_the_trainer_and_other_processes_know_it(monkeypatch):
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    monkeypatch.setenv(EXT_TRAINER, str(ext_trainers_folder()))
    trainer = recursive_find_trainer_class_by_name("SparseTrainer")
    assert trainer.__module__ == "nnunet_sparse.trainers.sparse_trainer"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(repr, (trainer,)) == repr(trainer)
