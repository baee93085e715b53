"""The work of each step of an experiment."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_sparse.data.folds import SPLITS_FILE
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.split import split_file
from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE, evaluate_folder
from nnunet_sparse.grid.cells import Base, CellVariant, Training
from nnunet_sparse.grid.experiment import Grid
from nnunet_sparse.grid.gpu_slot import VISIBLE
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import Preparation
from nnunet_sparse.system.atomic import replace_folder, write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.software import software

if TYPE_CHECKING:
    from nnunet_sparse.data.training_images import TrainingImages
    from nnunet_sparse.features.mae_request import MaeRequest
    from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest

Facts = dict[str, Any]
# with fewer threads nnU-Net's processes for prediction are not worth their start
_PARALLEL_PREDICTION = 4
# in a fold: where and by what it was trained
_TRAINING_FILE = "nnsparse_training.json"


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
    from nnunet_sparse.data.training_images import open_training_images
    from nnunet_sparse.dataset_tools.make_phantom import make_phantom

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
    from nnunet_sparse.features.feature_store import slice_features

    images, request = _images(work, base), _mae(work)
    request.train(images, work.num_processes)
    slice_features(images, request, work.num_processes)
    return {}


def _features_are_there(work: Work, base: Base) -> bool:
    return _mae(work).model_of(_images(work, base)).checkpoint.is_file()


def _do_interpolator(work: Work, base: Base) -> Facts:
    """Train the network that carries labels between slices."""
    _interpolator(work).train(_images(work, base), work.num_processes)
    return {}


def _interpolator_is_there(work: Work, base: Base) -> bool:
    return _interpolator(work).model_of(_images(work, base)).checkpoint.is_file()


def _images(work: Work, base: Base) -> "TrainingImages":
    from nnunet_sparse.data.split import SplitRequest
    from nnunet_sparse.data.training_images import open_training_images

    name = _base_name(work.grid, base)
    return open_training_images(work.grid.paths, name, base.task.axis, SplitRequest())


def _mae(work: Work) -> "MaeRequest":
    from nnunet_sparse.features.mae_request import MaeRequest

    return MaeRequest(device=work.device)


def _interpolator(work: Work) -> "InterpolatorRequest":
    from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest

    return InterpolatorRequest(device=work.device)


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
    from nnunet_sparse.planners.plans import configuration_of, read_plans

    folder = work.grid.paths.preprocessed / dataset_name(work.grid, preparation.of.suffix)
    plans = read_plans(folder / f"{preparation.plans}.json")
    if plans is None or not (folder / SPLITS_FILE).is_file():
        return False
    names = [name for name in preparation.configurations if name in plans["configurations"]]
    data = [folder / configuration_of(plans, name)["data_identifier"] for name in names]
    return len(names) == len(preparation.configurations) and all(map(_is_filled, data))


def _is_filled(folder: Path) -> bool:
    return any(folder.glob("*.pkl"))


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
    """Train through nnU-Net's own function; what was interrupted is continued.

    Another experiment, with a folder of its own, may have the same training.
    """
    folder = fold_folder(work.grid, training)
    _check_same_plans(work, training, folder.parent)
    if not _trained(work, training):
        _train(work, training, folder)
        facts = {
            "device": work.device,
            "gpus": os.environ.get(VISIBLE, ""),
            "software": software(),
        }
        write_json(folder / _TRAINING_FILE, facts)
    return {
        "dataset": dataset_name(work.grid, training.of.suffix),
        **_facts_of(folder / _TRAINING_FILE),
        **_speed(folder / "checkpoint_final.pth"),
    }


def _facts_of(file: Path) -> Facts:
    """How a network was trained, by whatever experiment; empty if nobody has told."""
    if not file.is_file():
        return {}
    content: Facts = json.loads(file.read_text(encoding="utf-8"))
    return content


def _fold_lock(work: Work, training: Training) -> AbstractContextManager[None]:
    """Lock of a fold, which other experiments may train as well."""
    folder = fold_folder(work.grid, training)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # a name that nnU-Net does not take for a fold
    lock = folder.with_name(f".nnsparse_{folder.name}.lock")
    return locked(lock, f"{folder} is being trained by another process, waiting for it")


def _check_same_plans(work: Work, training: Training, model: Path) -> None:
    """Refuse to take a network for one of other plans with the same name."""
    from nnunet_sparse.planners.plans import configuration_of, difference, read_plans

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


def _train(work: Work, training: Training, folder: Path) -> None:
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
    folder = work.folder.predictions(training.key)
    if not (folder / "dataset.json").is_file():
        return False
    raw = RawDataset.open(work.grid.paths.raw / dataset_name(work.grid, training.of.suffix))
    truths = (raw.folder / "labelsTs").glob(f"*{raw.file_ending}")
    return all((folder / truth.name).is_file() for truth in truths)


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
    staging = target.with_name(f".nnsparse_{target.name}")
    shutil.rmtree(staging, ignore_errors=True)  # of a killed process
    staging.mkdir(parents=True)
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
    file = work.folder.predictions(training.key) / SUMMARY_FILE
    try:
        json.loads(file.read_text(encoding="utf-8"))["nnsparse"]["per_label"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _do_score(work: Work, training: Training) -> Facts:
    """Score the predictions on dense labels."""
    raw = work.grid.paths.raw / dataset_name(work.grid, training.of.suffix)
    predictions = work.folder.predictions(training.key)
    try:
        evaluate_folder(
            raw / "labelsTs", predictions, num_processes=work.num_processes, overwrite=True
        )
    except SparseError:
        _remove_damaged(predictions, RawDataset.open(raw))
        raise
    return {"software": software()}


def _remove_damaged(predictions: Path, raw: RawDataset) -> None:
    """Remove predictions that cannot be read, so that the next run makes them again."""
    for truth in sorted((raw.folder / "labelsTs").glob(f"*{raw.file_ending}")):
        file = predictions / truth.name
        if not file.is_file():
            continue
        try:
            read_label(file, raw.reader())
        except SparseError as error:
            file.unlink()
            raise SparseError(
                f"{file} was damaged and has been removed: the next run predicts it again ({error})"
            ) from error


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
    held
        What is held meanwhile; it is waited for before a GPU is.
    """

    asked: Callable[[Work, Any], Facts]
    is_there: Callable[[Work, Any], bool]
    do: Callable[[Work, Any], Facts]
    follows_inputs: bool = False
    held: Callable[[Work, Any], AbstractContextManager[Any]] = lambda *_: nullcontext()


STEPS_BY_NAME = {
    "base": Step(_ask_base, _base_is_there, _do_base),
    "features": Step(_ask_network, _features_are_there, _do_features),
    "interpolator": Step(_ask_network, _interpolator_is_there, _do_interpolator),
    "dataset": Step(_ask_dataset, _dataset_is_there, _do_dataset),
    "prepare": Step(_ask_prepare, _prepared, _do_prepare),
    "train": Step(_ask_train, _trained, _do_train, held=_fold_lock),
    "predict": Step(_ask_nothing, _predicted, _do_predict, follows_inputs=True),
    "score": Step(_ask_nothing, _scored, _do_score, follows_inputs=True),
}
