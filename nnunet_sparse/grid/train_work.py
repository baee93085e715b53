"""The step ``train``: through nnU-Net's own function."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.jobs import TrainJob
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, dataset_name
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.devices import VISIBLE
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.nnunet_model import fold_folder, nnunet_model_name
from nnunet_sparse.system.software import software

# in a fold: where and by what it was trained
_TRAINING_FILE = "nnsparse_training.json"


def model_folder(grid: Grid, training: Training) -> Path:
    """Folder of a network and its repeats."""
    way = training.configuration
    model = nnunet_model_name(way.trainer, training.plans, way.configuration)
    return grid.paths.results / dataset_name(grid, training.of.suffix) / model


def training_folder(grid: Grid, training: Training) -> Path:
    """Folder that nnU-Net trains in."""
    return fold_folder(model_folder(grid, training), training.repeat)


class TrainWork(StepWork[TrainJob]):
    """Trains; what was interrupted is continued.

    Another experiment, with a folder of its own, may have the same training.
    """

    def asked(self, work: Work, job: TrainJob) -> Facts:  # noqa: ARG002
        """How it is trained."""
        training, way = job.subject, job.subject.configuration
        return {
            "configuration": way.configuration,
            "trainer": way.trainer,
            "plans": training.plans,
            "planner": way.planner,
            "scale": way.scale,
            "settings": way.settings,
            "repeat": training.repeat,
        }

    def is_there(self, work: Work, job: TrainJob) -> bool:
        """Whether the network is, and was validated."""
        return _is_trained(training_folder(work.grid, job.subject))

    def do(self, work: Work, job: TrainJob) -> Facts:
        """Train, unless another experiment has."""
        training = job.subject
        folder = training_folder(work.grid, training)
        check_same_plans(work, training, folder.parent)
        if not _is_trained(folder):
            train(work, training, folder)
            facts = {
                "device": work.device,
                "gpus": os.environ.get(VISIBLE, ""),
                "software": software(),
            }
            write_json(folder / _TRAINING_FILE, facts)
        return {
            "dataset": dataset_name(work.grid, training.of.suffix),
            **_facts_of(folder / _TRAINING_FILE),
            **speed(folder / "checkpoint_final.pth"),
        }

    def held(self, work: Work, job: TrainJob) -> AbstractContextManager[None]:
        """Lock of a fold, which other experiments may train as well."""
        folder = training_folder(work.grid, job.subject)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # a name that nnU-Net does not take for a fold
        lock = folder.with_name(f".nnsparse_{folder.name}.lock")
        return locked(lock, f"{folder} is being trained by another process, waiting for it")


def _is_trained(folder: Path) -> bool:
    names = ("checkpoint_final.pth", "validation/summary.json")
    return all((folder / name).is_file() for name in names)


def _facts_of(file: Path) -> Facts:
    """How a network was trained, by whatever experiment; empty if nobody has told."""
    if not file.is_file():
        return {}
    content = read_json(file)
    return content if isinstance(content, dict) else {}


def check_same_plans(work: Work, training: Training, model: Path) -> None:
    """Refuse to take a network for one of other plans with the same name."""
    from nnunet_sparse.data.plans_configuration import configuration_of
    from nnunet_sparse.planners.plans import difference, read_plans

    preprocessed = work.grid.paths.preprocessed / dataset_name(work.grid, training.of.suffix)
    wanted, used = read_plans(preprocessed / f"{training.plans}.json"), model / "plans.json"
    trained, name = read_plans(used), training.configuration.configuration
    if trained is None or wanted is None:
        return
    # others may have been added
    before, now = (
        {**plans, "configurations": {name: configuration_of(plans, name)}}
        for plans in (trained, wanted)
    )
    if differs := difference(before, now):
        raise SparseError(
            f"{model} was trained with other plans of the same name ({differs} differs): delete "
            "it, or give the configuration another name with plans: NAME"
        )


def train(work: Work, training: Training, folder: Path) -> None:
    """Train and validate through nnU-Net, going on where that was interrupted."""
    import torch
    from nnunetv2.run.run_training import run_training

    # a training that was killed while it was validated is not continued, but validated
    trained = (folder / "checkpoint_final.pth").is_file()
    begun = (folder / "checkpoint_latest.pth").is_file()
    way = training.configuration
    run_training(
        dataset_name(work.grid, training.of.suffix),
        way.configuration,
        training.repeat,
        trainer_class_name=way.trainer,
        plans_identifier=training.plans,
        continue_training=begun and not trained,
        only_run_validation=trained,
        device=torch.device(work.device),
    )


def speed(checkpoint: Path) -> Facts:
    """Length of a training and its pace, from what nnU-Net logs of each epoch."""
    import torch

    content = torch.load(checkpoint, map_location="cpu", weights_only=False)
    log = content["logging"]
    times = zip(log["epoch_start_timestamps"], log["epoch_end_timestamps"], strict=False)
    return {
        "epochs": content["current_epoch"],
        "training_s": round(sum(b - a for a, b in times), 2),
    }
