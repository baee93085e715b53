"""The paper's settings, held once as data, against what the preset, plans and trainers do.

``specification.yaml`` is read by nothing else. What is compared with it is not the tables of the
software but what comes of them: converted data sets, the cells of the experiment file that
``nnsparse_grid init`` writes, plans, the batches, losses, rates and lengths of started trainers.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import torch.nn.functional as F
import yaml
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunet_shortcuts import draw_few_samples
from paper_miniatures import convert_all, small_trees
from training_fixtures import use_paths

from nnunet_sparse.dataset_tools.convert.published_tasks import PUBLISHED_TASKS
from nnunet_sparse.dataset_tools.make_dataset import make_dataset
from nnunet_sparse.evaluation.metrics import Counts, pool
from nnunet_sparse.grid.cell_kinds import DENSE, INTERPOLATED, SPARSE
from nnunet_sparse.grid.cells import Base, Training, bases
from nnunet_sparse.grid.configuration import Configuration
from nnunet_sparse.grid.grid_command import main as grid_main
from nnunet_sparse.grid.jobs import TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid, open_grid
from nnunet_sparse.grid.results import METRICS
from nnunet_sparse.grid.scored_labels import counted_labels, labels_of
from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess
from nnunet_sparse.planners.planner_classes import find_planner
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.trainers import paper_trainers
from nnunet_sparse.training.paper_recipes import PAPER

SPECIFICATION: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "specification.yaml").read_text("utf-8")
)
GRID, TASKS, MODELS = (SPECIFICATION[key] for key in ("grid", "tasks", "models"))
CPU = torch.device("cpu")
CONFIGURATIONS = {2: "2d", 3: "3d_fullres"}
NUM_DRAWN = 400
# files in which the published weights lie
WEIGHTS = {"MiT-B3": "mit-b3", "VGG16": "vgg16-397923af.pth"}


def name_of(model: dict[str, Any]) -> str:
    return f"{'+'.join(model['tasks'])} {model['dimensions']}D {model['network']}"


def configuration_of(model: dict[str, Any]) -> str:
    return CONFIGURATIONS[model["dimensions"]]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """The paper's experiment on converted data sets of a few voxels."""
    folder = tmp_path_factory.mktemp("paper")
    paths = NnUNetPaths.below(folder / "nnunet")
    paths.make_folders()
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_paths(paths, monkeypatch)
        small_trees(folder)
        convert_all(folder, (24, 40, 40))
        file = folder / "paper.yaml"
        names = sorted(path.name for path in paths.raw.iterdir() if path.is_dir())
        assert grid_main(["init", "--preset", "paper", "-d", *names, "-o", str(file)]) == 0
        yield open_grid(file)


@pytest.fixture
def in_folders(paper: Grid, monkeypatch: pytest.MonkeyPatch) -> Grid:
    use_paths(paper.paths, monkeypatch)
    return paper


def trainings(grid: Grid) -> list[Training]:
    return [job.subject for job in jobs_of(job_graph(grid), TrainJob)]


def models_of(task: str, configuration: str) -> list[dict[str, Any]]:
    return [m for m in MODELS if task in m["tasks"] and configuration_of(m) == configuration]


def base_of(grid: Grid, task: str) -> Base:
    return next(base for base in bases(grid) if base.suffix == task)


def way_of(grid: Grid, model: dict[str, Any], task: str) -> Configuration:
    """How the experiment trains a model of the paper."""
    (way,) = {
        training.configuration.trainer: training.configuration
        for training in trainings(grid)
        if training.of.base.suffix == task
        and training.configuration.configuration == configuration_of(model)
        and PAPER[training.configuration.trainer].network.startswith(model["network"])
    }.values()
    return way


# the grid


def test_every_task_is_there(paper: Grid) -> None:
    assert sorted(base.suffix for base in bases(paper)) == sorted(TASKS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dimensions", GRID["dimensions"])
def test_the_cells_planned(paper: Grid, task: str, dimensions: int) -> None:
    """Counted: 5 densities x 4 fractions x 3 selectors x 3 repeats, and so on."""
    configuration = CONFIGURATIONS[dimensions]
    models = models_of(task, configuration)
    found = [
        t
        for t in trainings(paper)
        if t.of.base.suffix == task and t.configuration.configuration == configuration
    ]
    kinds = Counter(t.of.kind for t in found)
    cells = len(GRID["rho"]) * len(GRID["s"]) * len(GRID["selectors"])
    assert kinds[SPARSE] == cells * GRID["repeats"] * len(models)
    assert kinds[DENSE] == GRID["repeats"] * len(models)
    for kind, values in (
        (SPARSE, {"rho": GRID["rho"], "s": GRID["s"]}),
        (INTERPOLATED, {"rho": interpolated_rho(task), "s": GRID["interpolated"]["s"]}),
    ):
        of_kind = [t.of.variant for t in found if t.of.kind == kind]
        for factor, expected in values.items():
            assert {v.value(factor) for v in of_kind} == set(expected)
        assert {v.selector for v in of_kind} == set(GRID["selectors"])
        assert {v.scope for v in of_kind} == {GRID["scope"]}
    ways = {t.of.variant.interpolation for t in found if t.of.kind == INTERPOLATED}
    published = [way for way in ways if way is not None and way.method == "published"]
    assert len(published) == 1
    one = [t for t in found if t.of.variant.interpolation == published[0]]
    filled = len(interpolated_rho(task)) * len(GRID["selectors"]) * GRID["repeats"]
    assert len(one) == filled * len(models)
    assert {t.repeat for t in found} == set(range(GRID["repeats"]))


def interpolated_rho(task: str) -> list[float]:
    left_out = [e["rho"] for e in SPECIFICATION["excluded"] if e["task"] == task]
    return [rho for rho in GRID["interpolated"]["rho"] if rho not in left_out]


@pytest.mark.parametrize("task", TASKS)
def test_who_draws_positive_slices_likelier(paper: Grid, task: str) -> None:
    """Of interpolated volumes only, whatever selects the slices."""
    weights = {
        (t.of.kind == INTERPOLATED, t.of.variant.positive_weight > 1)
        for t in trainings(paper)
        if t.of.base.suffix == task and t.of.kind in (SPARSE, INTERPOLATED)
    }
    stratified = task in SPECIFICATION["stratified_by_positives"]
    assert weights == {(False, False), (True, stratified)}


@pytest.mark.parametrize("task", TASKS)
def test_slices_are_axial(in_folders: Grid, task: str) -> None:
    base = base_of(in_folders, task)
    assert base.name is not None
    assert base.task.axis == "auto"
    made = make_dataset(
        in_folders.paths, base.name, Variant(0.5, 1.0, "fixed", seed=9), axis="auto"
    )
    assert made.selection.axis == 0
    (image, *_) = (in_folders.paths.raw / base.name / "imagesTr").iterdir()
    direction = np.reshape(sitk.ReadImage(str(image)).GetDirection(), (3, 3))
    assert abs(direction[2, 2]) == 1  # z of the array is superior-inferior


# what is planned and scored


@pytest.mark.parametrize("task", TASKS)
def test_converted_data_have_the_papers_size(task: str) -> None:
    made = next(made for made in PUBLISHED_TASKS.values() if made.name == task)
    assert list(reversed(made.size)) == TASKS[task]["size"]
    assert list(reversed(made.spacing_mm)) == TASKS[task]["spacing_mm"]
    assert [made.split.train, made.split.val, made.split.test] == TASKS[task]["split"]
    names = sorted(made.labels, key=lambda name: made.labels[name])
    assert names == TASKS[task]["classes"]


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_plans_for_images_of_the_papers_size(
    in_folders: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]
) -> None:
    """Nothing of these images is read but their size and spacing."""
    for task in model["tasks"]:
        way, base = way_of(in_folders, model, task), base_of(in_folders, task)
        assert base.name is not None
        content = load_json(str(in_folders.paths.raw / base.name / "dataset.json"))
        paths = NnUNetPaths.below(tmp_path / task)
        for folder in (paths.raw / base.name, paths.preprocessed / base.name):
            folder.mkdir(parents=True)
        # nnU-Net's planners give that number to torch
        for name, value in {**paths.environment(), "nnUNet_n_proc_DA": "1"}.items():
            monkeypatch.setenv(name, value)
        content |= {"dataset": {"case": {"images": ["case.nii.gz"], "label": "case.nii.gz"}}}
        (paths.raw / base.name / "dataset.json").write_text(json.dumps(content))
        z_first = [list(reversed(TASKS[task][key])) for key in ("spacing_mm", "size")]
        numbers = dict.fromkeys(("mean", "std", "percentile_00_5", "percentile_99_5"), 1.0)
        fingerprint = {
            "spacings": [z_first[0]],
            "shapes_after_crop": [z_first[1]],
            "foreground_intensity_properties_per_channel": {"0": numbers},
            "median_relative_size_after_cropping": 1.0,
        }
        file = paths.preprocessed / base.name / "dataset_fingerprint.json"
        file.write_text(json.dumps(fingerprint))
        assert (way.scale, way.settings) == (1, {})
        planner = find_planner(way.planner)(base.name)
        planner.save_plans = lambda _: None
        plan = planner.plan_experiment()["configurations"][way.configuration]
        assert plan["batch_size"] == model["batch"]
        assert list(reversed(plan["patch_size"])) == model["patch"]
        assert list(plan["spacing"]) == z_first[0][-model["dimensions"] :]


# started trainers


@pytest.fixture(scope="module")
def planned(paper: Grid) -> dict[str, Path]:
    """Plans of a sparse data set of each task, preprocessed, as the experiment has them."""
    found = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_paths(paper.paths, monkeypatch)
        draw_few_samples(monkeypatch)
        for task in TASKS:
            base = base_of(paper, task)
            assert base.name is not None
            variant = Variant(GRID["rho"][-1], 1.0, "fixed")
            made = make_dataset(paper.paths, base.name, variant).folder
            assert made is not None
            planners = {
                way_of(paper, model, task).planner for model in MODELS if task in model["tasks"]
            }
            (planner,) = planners
            found[task] = plan_and_preprocess(
                paper.paths,
                made.name,
                planner=planner,
                configurations=["2d", "3d_fullres"],
                num_processes=1,
            )
    return found


@pytest.fixture(
    params=[(model, task) for model in MODELS for task in model["tasks"]],
    ids=[f"{name_of(model)} on {task}" for model in MODELS for task in model["tasks"]],
    scope="module",
)
def started(
    request: pytest.FixtureRequest, paper: Grid, planned: dict[str, Path]
) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """A model of the paper, a task of it, and the trainer that has been set up for them."""
    model, task = request.param
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_paths(paper.paths, monkeypatch)
        way = way_of(paper, model, task)
        plans = json.loads(planned[task].read_text("utf-8")) | {"continue_training": False}
        dataset_json = json.loads((planned[task].parent / "dataset.json").read_text("utf-8"))
        trainer = getattr(paper_trainers, way.trainer)(
            plans, way.configuration, 0, dataset_json, CPU
        )
        trainer.initialize()
        yield model, task, trainer


@pytest.mark.slow
def test_the_trainers_optimiser_and_rates(started: tuple[dict[str, Any], str, Any]) -> None:
    model, _, trainer = started
    expected = model["optimiser"]
    assert type(trainer.optimizer).__name__ == expected["name"]
    (group,) = trainer.optimizer.param_groups
    assert group["weight_decay"] == expected["weight_decay"]
    assert group.get("momentum", 0) == expected.get("momentum", 0)
    number = model["iterations"]
    rates = []
    trainer.lr_scheduler.step(0)
    for _ in range(number):
        rates.append(group["lr"])
        trainer.lr_scheduler.advance()
    wanted = [expected["lr"] * rate_at(model["schedule"], i, number) for i in range(number)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-9, atol=1e-12)
    per_epoch = trainer.iterations_per_epoch
    assert (trainer.num_epochs - 1) * per_epoch < number <= trainer.num_epochs * per_epoch
    assert trainer.record["recipe"]["iterations"] == number


def rate_at(schedule: dict[str, float], iteration: int, number: int) -> float:
    """Share of the first learning rate."""
    if "poly" in schedule:
        return float((1 - iteration / number) ** schedule["poly"])
    if "factor" in schedule:
        return float(schedule["factor"] ** (iteration // schedule["every"]))
    if "cosine" in schedule:
        end = schedule["cosine"]
        return end + (1 - end) * (1 + math.cos(math.pi * iteration / number)) / 2
    return 1.0


@pytest.mark.slow
def test_the_trainers_loss(started: tuple[dict[str, Any], str, Any]) -> None:
    """On annotated voxels what the paper says, on the others nothing."""
    model, task, trainer = started
    classes = TASKS[task]["classes"]
    shape = (3, *([6] * model["dimensions"]))
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, len(classes) + 1, (shape[0], 1, *shape[1:]), generator=generator)
    logits = torch.randn(shape[0], len(classes), *shape[1:], generator=generator)
    assert trainer.label_manager.ignore_label == len(classes)
    loss = trainer.loss(logits, target)
    torch.testing.assert_close(loss, expected_loss(model["loss"], classes, logits, target[:, 0]))


def expected_loss(
    terms: dict[str, Any], classes: Sequence[str], logits: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    annotated = target < len(classes)
    columns, values = logits.movedim(1, -1)[annotated], target[annotated]
    total = torch.zeros(())
    for term, option in terms.items():
        if term == "cross_entropy":
            weights = torch.tensor([float(option.get(name, 1)) for name in classes])
            total = total + F.cross_entropy(columns, values, weights)
        elif term == "focal":
            own = columns.softmax(1).gather(1, values[:, None])
            total = total - ((1 - own) ** option * own.log()).mean()
        else:
            assert term == "soft_dice"
            shares = []
            for image, label, known in zip(logits, target, annotated, strict=True):
                for value in range(1, len(classes)):
                    shown = image.softmax(0)[value][known]
                    truth = (label == value)[known].float()
                    both = 2 * (shown * truth).sum() + option
                    shares.append(both / (shown.sum() + truth.sum() + option))
            total = total + 1 - torch.stack(shares).mean()
    return total


@pytest.mark.slow
def test_the_trainers_augmentation_and_weights(started: tuple[dict[str, Any], str, Any]) -> None:
    model, _, trainer = started
    recipe = trainer.record["recipe"]
    assert sorted(recipe["augmentation"]) == model["augmentation"]
    assert recipe["pretrained"] == ("starts_from" in model)
    if "starts_from" in model:
        from nnunet_sparse.training.pretrained import PRETRAINED

        needed = PRETRAINED[trainer.record["architecture"]]
        assert needed.name == WEIGHTS[model["starts_from"]]


@pytest.mark.slow
def test_where_the_trainers_patches_lie(started: tuple[dict[str, Any], str, Any]) -> None:
    """Labels at the centres of drawn patches; slices that are drawn are annotated ones."""
    model, task, trainer = started
    np.random.seed(0)  # noqa: NPY002 - nnU-Net's loaders draw from it
    loader = trainer.get_dataloaders()[0].loader
    loader.transforms = None
    if model["dimensions"] == 2:
        for _ in range(5):
            target = loader.generate_train_batch()["target"]
            annotated = target != len(TASKS[task]["classes"])
            assert annotated.flatten(1).any(1).all()
        return
    found, places = Counter[str](), set()
    while found.total() < NUM_DRAWN:
        batch = loader.generate_train_batch()
        places |= {tuple(centre) for centre in batch["centres"].tolist()}
        for case, centre in zip(batch["keys"], batch["centres"].tolist(), strict=True):
            _, label, *_ = loader._data.load_case(case)
            value = int(np.asarray(label[(0, *centre)]))
            found[[*TASKS[task]["classes"], "unannotated"][max(value, 0)]] += 1
    total = found.total()
    if "centres" not in model:
        volumes = [loader._data.load_case(case)[0].shape[1:] for case in loader.indices]
        rooms = abs(np.subtract(volumes, loader.final_patch_size)).max(0)
        assert [len(set(along)) for along in zip(*places, strict=True)] == [1 + r for r in rooms]
    for group, share in model.get("centres", {}).items():
        drawn = sum(found[name] for name in group.split("+"))
        # five standard deviations of a binomial distribution
        assert abs(drawn - share * total) < 5 * math.sqrt(share * (1 - share) * total), found


@pytest.mark.parametrize("task", TASKS)
def test_the_target_is_scored(in_folders: Grid, task: str) -> None:
    """Whatever else the network finds, as the liver around a tumour."""
    base = base_of(in_folders, task)
    found = counted_labels(in_folders, base, labels_of(in_folders, base))
    assert found == [TASKS[task]["scored"]]


def test_the_score() -> None:
    """Voxels of all test cases together: 2 + 6 true, 1 + 1 false positive, 1 + 5 false negative."""
    assert GRID["metric"] == "batched IoU"
    assert next(name for name in METRICS if name.startswith("batched")) == "batched_IoU"
    assert pool([Counts(2, 1, 1), Counts(6, 1, 5)]).iou == 8 / 16
