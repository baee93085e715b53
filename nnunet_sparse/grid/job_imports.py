"""What the jobs of an experiment import, which the process that they share does for them once."""

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

from nnunet_sparse.grid.experiment import Experiment
from nnunet_sparse.grid.open_grid import open_grid
from nnunet_sparse.grid.runner import set_shared_environment
from nnunet_sparse.grid.step_work import Work

logger = logging.getLogger(__name__)

# otherwise the question whether there is a GPU starts CUDA, which no fork can use then
_ASK_DRIVER = "PYTORCH_NVML_BASED_CUDA_CHECK"

_MODULES = (
    "nnunetv2.run.run_training",
    "nnunetv2.inference.predict_from_raw_data",
    "nnunet_sparse.dataset_tools.interpolate",
    "nnunet_sparse.dataset_tools.make_dataset",
    "nnunet_sparse.planners.plan_and_preprocess",
    "nnunet_sparse.trainers.sparse_trainer",
    "scipy.ndimage",
    "scipy.spatial",
)


def import_for_jobs(file: Path, threads: int) -> dict[str, str]:
    """Import what the jobs of an experiment need, with the environment that they will have.

    What cannot be imported is left to the job that needs it, which tells why.

    Parameters
    ----------
    file
        The experiment.
    threads
        Threads of the jobs.

    Returns
    -------
    dict of str to str
        Environment variables that what was imported has set.
    """
    before = dict(os.environ)
    os.environ[_ASK_DRIVER] = "1"
    try:
        grid = open_grid(file)
        set_shared_environment(Work(grid, threads))
        ours = dict(os.environ)
        for step in _imports(grid.experiment):
            try:
                step()
            except Exception:
                logger.warning("not imported for all jobs", exc_info=True)
        return {name: value for name, value in os.environ.items() if ours.get(name) != value}
    finally:
        os.environ.clear()
        os.environ.update(before)


def _imports(experiment: Experiment) -> Iterator[Callable[[], object]]:
    for module in _MODULES:
        yield partial(import_module, module)
    ways = [
        w for task in experiment.tasks for w in task.configurations or experiment.configurations
    ]
    for name in sorted({way.trainer for way in ways}):
        # imports all that nnU-Net looks through on its way to the class
        yield partial(_find_trainer, name)


def _find_trainer(name: str) -> None:
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    from nnunet_sparse.architectures.architecture import LIBRARIES
    from nnunet_sparse.training.paper_recipes import PAPER

    recursive_find_trainer_class_by_name(name)
    if name in PAPER and (library := LIBRARIES.get(PAPER[name].architecture)):
        import_module(library)
