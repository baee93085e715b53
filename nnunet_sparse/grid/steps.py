"""Doing one job of an experiment.

A job is done once, by one process: others that are asked for it wait. What is done is known from
its record, and looked for as well, so that files that were deleted are made again.
"""

import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.atomic import replace_folder, write_json
from nnunet_sparse.env import training_environment
from nnunet_sparse.evaluate import SUMMARY_FILE, evaluate_folder
from nnunet_sparse.grid.cells import Base, CellVariant, Training
from nnunet_sparse.grid.experiment import Grid
from nnunet_sparse.grid.gpu_slot import VISIBLE, gpu_slot, visible_gpus
from nnunet_sparse.grid.jobs import ON_DEVICE, Job, Preparation, job_graph
from nnunet_sparse.grid.records import GridFolder, Record
from nnunet_sparse.locks import locked
from nnunet_sparse.split import split_file

logger = logging.getLogger(__name__)

Facts = dict[str, Any]
# with fewer threads nnU-Net's processes for prediction are not worth their start
_PARALLEL_PREDICTION = 4


@dataclass(frozen=True)
class Work:
    """What a step needs besides its subject.

    Attributes
    ----------
    grid
        The experiment.
    folder
        Its folder.
    device
        ``cpu`` or ``cuda``.
    """

    grid: Grid
    folder: GridFolder
    device: str

    @property
    def num_processes(self) -> int:
        """Processes of each job."""
        return self.grid.experiment.threads


def run_job(grid: Grid, job: Job) -> None:
    """Do a job, unless it is done; the jobs before it must be.

    Raises
    ------
    SparseError
        If it cannot be done.
    """
    folder = GridFolder(grid.folder)
    lock, failure = folder.lock(job.name), folder.failure(job.name)
    for file in (lock, failure, folder.done(job.name)):
        file.parent.mkdir(parents=True, exist_ok=True)
    _set_environment(grid)
    with locked(lock, f"{job.name} is being done by another process, waiting for it"):
        failure.unlink(missing_ok=True)
        try:
            _run_locked(grid, folder, job)
        except Exception as error:
            failure.write_text(f"{error}\n", encoding="utf-8")
            raise


def _run_locked(grid: Grid, folder: GridFolder, job: Job) -> None:
    inputs = {name: folder.read_done(name).run for name in job.inputs}
    work = Work(grid, folder, _device(grid))
    record = folder.read(job.name)
    if record is not None and _is_current(work, job, record, inputs):
        logger.info("%s was done before", job.name)
    else:
        needs_gpu = work.device == "cuda" and (job.step in ON_DEVICE or _fills(job))
        with gpu_slot() if needs_gpu else nullcontext():
            start = time.monotonic()
            facts = _STEPS[job.step].do(work, job.subject)
        seconds = round(time.monotonic() - start, 2)
        record = Record(uuid.uuid4().hex, _asked(work, job), inputs, seconds, facts)
        folder.write(job.name, record)
        logger.info("%s: done in %.0f s", job.name, seconds)
    write_json(folder.done(job.name), {"run": record.run})


def forget_outdated(grid: Grid) -> None:
    """Let Snakemake look again at jobs that are not what the file asks for now, or are gone.

    It knows the files in ``done`` alone, and takes what is there for good.
    """
    folder = GridFolder(grid.folder)
    work = Work(grid, folder, _device(grid))
    for name, job in job_graph(grid).items():
        if folder.done(name).is_file() and not _is_done(work, job):
            logger.info("%s is looked at again", name)
            folder.done(name).unlink()


def _is_done(work: Work, job: Job) -> bool:
    """Whether a job and those before it have been done as they are asked for."""
    record = work.folder.read(job.name)
    before = {name: work.folder.read(name) for name in job.inputs}
    if record is None or None in before.values():
        return False
    inputs = {name: found.run for name, found in before.items() if found is not None}
    return _is_current(work, job, record, inputs)


def _asked(work: Work, job: Job) -> Facts:
    """What a job is asked for, as a record gives it back."""
    content: Facts = json.loads(json.dumps(_STEPS[job.step].asked(work, job.subject)))
    return content


def _is_current(work: Work, job: Job, record: Record, inputs: Mapping[str, str]) -> bool:
    """Whether what a record tells of is there and is what is asked for now."""
    step = _STEPS[job.step]
    if not step.is_there(work, job.subject) or dict(record.asked) != _asked(work, job):
        return False
    return not step.follows_inputs or dict(record.inputs) == dict(inputs)


def _fills(job: Job) -> bool:
    return job.step == "dataset" and bool(job.subject.variant.interpolation)


def _device(grid: Grid) -> str:
    wanted = grid.experiment.device
    if wanted == "auto":
        return "cuda" if visible_gpus() else "cpu"
    return wanted


def _set_environment(grid: Grid) -> None:
    """Set what nnU-Net reads when it is imported."""
    threads = str(grid.experiment.threads)
    os.environ.update(training_environment(grid.paths))
    os.environ["nnUNet_def_n_proc"] = threads
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    # a process of its own for batches pays with a GPU only
    workers = grid.experiment.threads - 1 if _device(grid) == "cuda" else 0
    os.environ.setdefault("nnUNet_n_proc_DA", str(workers))


def dataset_name(grid: Grid, suffix: str) -> str:
    """Full name of a data set that the experiment has made.

    Raises
    ------
    SparseError
        If it has not been made.
    """
    return str(GridFolder(grid.folder).read_done(f"dataset/{suffix}").facts["dataset"])


def _base_name(grid: Grid, base: Base) -> str:
    if base.name is not None:
        return base.name
    return str(GridFolder(grid.folder).read_done(f"base/{base.suffix}").facts["base"])


# --- base


def _ask_base(_: Work, base: Base) -> Facts:
    task = base.task
    if task.phantom is not None:
        return {"phantom": {**asdict(task.phantom), "shape": list(task.phantom.shape)}}
    return {"base": base.name}


def _base_is_there(work: Work, base: Base) -> bool:
    name, paths = _base_name(work.grid, base), work.grid.paths
    return (paths.raw / name).is_dir() and split_file(paths, name).is_file()


def _do_base(work: Work, base: Base) -> Facts:
    """Make a phantom, and keep the split of the base."""
    from nnunet_sparse.dataset_tools.make_phantom import make_phantom
    from nnunet_sparse.training_images import open_training_images

    task, paths = base.task, work.grid.paths
    name = base.name
    if task.phantom is not None:
        name = make_phantom(
            paths,
            task.phantom.task,
            name=task.phantom.suffix,
            num_train=task.phantom.num_train,
            num_test=task.phantom.num_test,
            shape=tuple(task.phantom.shape),  # type: ignore[arg-type]
            seed=task.phantom.seed,
            num_processes=work.num_processes,
        )
    assert name is not None
    images = open_training_images(paths, name, task.axis, task.split_request(work.grid.file.parent))
    return {"base": name, "axis": images.axis, "num_train": len(images.cases)}


# --- networks without labels


def _ask_network(_: Work, base: Base) -> Facts:
    return {"axis": base.task.axis}


def _do_features(work: Work, base: Base) -> Facts:
    """Train a masked autoencoder and keep the features of all training slices."""
    from nnunet_sparse.features.store import slice_features, train_mae

    images, request = _images(work, base), _mae(work)
    where = (images.paths, images.raw, images.cases, images.axis, request, work.num_processes)
    train_mae(*where)
    slice_features(*where)
    return {}


def _features_are_there(work: Work, base: Base) -> bool:
    from nnunet_sparse.features.store import mae_model

    images = _images(work, base)
    return mae_model(images.paths, images.raw.name, _mae(work), images.axis).checkpoint.is_file()


def _do_interpolator(work: Work, base: Base) -> Facts:
    """Train the network that carries labels between slices."""
    from nnunet_sparse.interpolation.store import InterpolatorRequest, train_interpolator

    images = _images(work, base)
    train_interpolator(
        images.paths,
        images.raw,
        images.cases,
        images.axis,
        InterpolatorRequest(device=work.device),
        work.num_processes,
    )
    return {}


def _interpolator_is_there(work: Work, base: Base) -> bool:
    from nnunet_sparse.interpolation.store import InterpolatorRequest, interpolator_model

    images = _images(work, base)
    model = interpolator_model(images.paths, images.raw.name, InterpolatorRequest(), images.axis)
    return model.checkpoint.is_file()


def _images(work: Work, base: Base) -> Any:
    from nnunet_sparse.split import SplitRequest
    from nnunet_sparse.training_images import open_training_images

    name = _base_name(work.grid, base)
    return open_training_images(work.grid.paths, name, base.task.axis, SplitRequest())


def _mae(work: Work) -> Any:
    from nnunet_sparse.features.store import MaeRequest

    return MaeRequest(device=work.device)


# --- data sets


def _ask_dataset(work: Work, cell: CellVariant) -> Facts:
    repeats = work.grid.experiment.repeats
    return {"variant": cell.variant.to_json(), "axis": cell.base.task.axis, "repeats": repeats}


def _dataset_is_there(work: Work, cell: CellVariant) -> bool:
    return (work.grid.paths.raw / dataset_name(work.grid, cell.suffix)).is_dir()


def _do_dataset(work: Work, cell: CellVariant) -> Facts:
    """Make the data set of a variant."""
    from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
    from nnunet_sparse.dataset_tools.make_dataset import make_dataset
    from nnunet_sparse.interpolation.request import Interpolation

    paths, variant = work.grid.paths, cell.variant
    if variant.interpolation:
        filled = interpolate_dataset(
            paths,
            dataset_name(work.grid, cell.sparse.suffix),
            Interpolation(**variant.interpolation),
            device=work.device,
            num_processes=work.num_processes,
        )
        return {"dataset": filled.folder.name, "num_slices": filled.selection.budget}
    made = make_dataset(
        paths,
        _base_name(work.grid, cell.base),
        rho=variant.rho,
        s=variant.s,
        selector=variant.selector,
        scope=variant.scope,
        axis=cell.base.task.axis,
        positive_weight=variant.positive_weight,
        seed=variant.seed,
        mae=_mae(work),
        repeats=work.grid.experiment.repeats,
        num_processes=work.num_processes,
    )
    assert made.folder is not None
    return {"dataset": made.folder.name, "num_slices": made.selection.budget}


# --- plans and preprocessed data


def _ask_prepare(work: Work, preparation: Preparation) -> Facts:
    way = preparation.first
    return {
        "repeats": work.grid.experiment.repeats,
        "planner": way.planner,
        "scale": way.scale,
        "settings": way.settings,
        "configurations": list(preparation.configurations),
    }


def _prepared(work: Work, preparation: Preparation) -> bool:
    name = dataset_name(work.grid, preparation.of.suffix)
    return (work.grid.paths.preprocessed / name / f"{preparation.plans}.json").is_file()


def _do_prepare(work: Work, preparation: Preparation) -> Facts:
    """Plan and preprocess; images and plans of the base are shared."""
    from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess

    way = preparation.first
    plan_and_preprocess(
        work.grid.paths,
        dataset_name(work.grid, preparation.of.suffix),
        planner=way.planner,
        scale=way.scale,
        plans_name=preparation.plans,
        configurations=preparation.configurations,
        settings=way.settings,
        num_processes=work.num_processes,
    )
    return {}


# --- training


def fold_folder(grid: Grid, training: Training) -> Path:
    """Folder that nnU-Net trains in."""
    return _model_folder(grid, training) / f"fold_{training.repeat}"


def _model_folder(grid: Grid, training: Training) -> Path:
    way = training.configuration
    model = f"{way.trainer}__{training.plans}__{way.configuration}"
    return grid.paths.results / dataset_name(grid, training.of.suffix) / model


def _ask_train(_: Work, training: Training) -> Facts:
    way = training.configuration
    return {
        "configuration": way.configuration,
        "trainer": way.trainer,
        "plans": training.plans,
        "planner": way.planner,
        "scale": way.scale,
        "settings": way.settings,
        "repeat": training.repeat,
    }


def _trained(work: Work, training: Training) -> bool:
    folder = fold_folder(work.grid, training)
    names = ("checkpoint_final.pth", "validation/summary.json")
    return all((folder / name).is_file() for name in names)


def _do_train(work: Work, training: Training) -> Facts:
    """Train through nnU-Net's own function; what was interrupted is continued."""
    import torch
    from nnunetv2.run.run_training import run_training

    name = dataset_name(work.grid, training.of.suffix)
    folder = fold_folder(work.grid, training)
    begun = any((folder / f"checkpoint_{kind}.pth").is_file() for kind in ("latest", "final"))
    way = training.configuration
    run_training(
        name,
        way.configuration,
        training.repeat,
        trainer_class_name=way.trainer,
        plans_identifier=training.plans,
        continue_training=begun,
        device=torch.device(work.device),
    )
    facts = {"dataset": name, "device": work.device, "gpus": os.environ.get(VISIBLE, "")}
    return facts | _speed(folder / "checkpoint_final.pth")


def _speed(checkpoint: Path) -> Facts:
    """Length of a training and its pace, from what nnU-Net logs of each epoch."""
    import torch

    content = torch.load(checkpoint, map_location="cpu", weights_only=False)
    log = content["logging"]
    times = zip(log["epoch_start_timestamps"], log["epoch_end_timestamps"], strict=False)
    return {
        "epochs": content["current_epoch"],
        "training_s": round(sum(b - a for a, b in times), 2),
    }


# --- test cases


def _ask_nothing(_: Work, __: Training) -> Facts:
    return {}


def _predicted(work: Work, training: Training) -> bool:
    return (work.folder.predictions(training.key) / "dataset.json").is_file()


def _do_predict(work: Work, training: Training) -> Facts:
    """Predict the test cases through nnU-Net's own functions."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    device = torch.device(work.device)
    predictor = nnUNetPredictor(
        device=device, perform_everything_on_device=device.type == "cuda", allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(
        str(_model_folder(work.grid, training)), (training.repeat,), "checkpoint_final.pth"
    )
    images = work.grid.paths.raw / dataset_name(work.grid, training.of.suffix) / "imagesTs"
    target = work.folder.predictions(training.key)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".nnsparse_", dir=target.parent))
    try:
        if work.num_processes < _PARALLEL_PREDICTION:
            predictor.predict_from_files_sequential(str(images), str(staging))
        else:
            half = work.num_processes // 2
            predictor.predict_from_files(
                str(images),
                str(staging),
                num_processes_preprocessing=half,
                num_processes_segmentation_export=half,
            )
        replace_folder(target, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {}


def _scored(work: Work, training: Training) -> bool:
    return (work.folder.predictions(training.key) / SUMMARY_FILE).is_file()


def _do_score(work: Work, training: Training) -> Facts:
    """Score the predictions on dense labels."""
    raw = work.grid.paths.raw / dataset_name(work.grid, training.of.suffix)
    evaluate_folder(
        raw / "labelsTs",
        work.folder.predictions(training.key),
        num_processes=work.num_processes,
        overwrite=True,
    )
    return {}


@dataclass(frozen=True)
class Step:
    """How one kind of job is done.

    Attributes
    ----------
    asked
        What defines the result.
    is_there
        Whether the files of a job that was done are still there.
    do
        Does it; returns what is worth knowing.
    follows_inputs
        Whether it is done again after a job before it was.
    """

    asked: Callable[[Work, Any], Facts]
    is_there: Callable[[Work, Any], bool]
    do: Callable[[Work, Any], Facts]
    follows_inputs: bool = False


_STEPS = {
    "base": Step(_ask_base, _base_is_there, _do_base),
    "features": Step(_ask_network, _features_are_there, _do_features),
    "interpolator": Step(_ask_network, _interpolator_is_there, _do_interpolator),
    "dataset": Step(_ask_dataset, _dataset_is_there, _do_dataset),
    "prepare": Step(_ask_prepare, _prepared, _do_prepare),
    "train": Step(_ask_train, _trained, _do_train),
    "predict": Step(_ask_nothing, _predicted, _do_predict, follows_inputs=True),
    "score": Step(_ask_nothing, _scored, _do_score, follows_inputs=True),
}
