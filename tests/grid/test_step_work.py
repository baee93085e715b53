from pathlib import Path

import pytest
from grid_fixtures import TINY, write_grid

from nnunet_sparse.grid import step_work
from nnunet_sparse.grid.job_work import work_of
from nnunet_sparse.grid.jobs import STEPS, job_graph
from nnunet_sparse.grid.step_work import Work


@pytest.mark.parametrize(("gpus", "device"), [((), "cpu"), (("0",), "cuda")])
def test_a_gpu_is_used_where_pytorch_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: tuple[str, ...], device: str
) -> None:
    monkeypatch.setattr(step_work, "usable_gpus", lambda: gpus)
    auto = write_grid(tmp_path, TINY.replace("device: cpu", "device: auto"))
    assert Work(auto).device == device
    assert Work(write_grid(tmp_path)).device == "cpu"


def test_every_job_has_its_work(tmp_path: Path) -> None:
    text = TINY.replace("[fixed]", "[ual]") + "interpolation: {}\n"
    jobs = job_graph(write_grid(tmp_path, text)).values()
    assert {job.step for job in jobs} == set(STEPS)
    assert len({type(work_of(job)) for job in jobs}) == len(STEPS)
