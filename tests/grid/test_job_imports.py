import os
from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid
from nnunetv2.utilities import find_objects

from nnunet_sparse.architectures.architecture import ARCHITECTURES, LIBRARIES
from nnunet_sparse.grid import job_imports
from nnunet_sparse.grid.job_imports import import_for_jobs


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules that are asked for; none is imported."""
    asked: list[str] = []

    def note(name: str) -> None:
        asked.append(name)
        os.environ["OF_A_LIBRARY"] = name
        asked.append(os.environ["nnUNet_def_n_proc"])
        if name == "scipy.ndimage":
            raise ImportError("broken")

    monkeypatch.setattr(job_imports, "import_module", note)
    monkeypatch.setattr(find_objects, "recursive_find_trainer_class_by_name", note)
    return asked


def test_the_environment_is_that_of_jobs_and_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imported: list[str]
) -> None:
    monkeypatch.delenv("OF_A_LIBRARY", raising=False)
    monkeypatch.setenv("nnUNet_def_n_proc", "9")
    before = dict(os.environ)
    assert import_for_jobs(write_grid(tmp_path).file, 3) == {"OF_A_LIBRARY": "SparseTrainer"}
    assert dict(os.environ) == before
    assert set(imported[1::2]) == {"3"}
    # what is broken is left to the jobs, the rest is not
    assert imported[-4::2] == ["scipy.spatial", "SparseTrainer"]


def test_libraries_of_networks_that_are_trained(tmp_path: Path, imported: list[str]) -> None:
    way = "configurations:\n  - configuration: 2d\n"
    text = TINY.replace(way, way + "    trainer: SparseTrainerSegResNet\n")
    import_for_jobs(write_grid(tmp_path, text).file, 1)
    assert imported[-4::2] == ["SparseTrainerSegResNet", "monai.networks.nets"]


def test_libraries_are_those_of_networks() -> None:
    assert LIBRARIES.keys() <= ARCHITECTURES.keys()
