import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import run_training
from scipy.stats import chisquare
from training_fixtures import CASES, PAPER_PLANS, TINY, use_threads

from nnunet_sparse.data.annotation import PROPERTY
from nnunet_sparse.data.compressed_array import read_array
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.trainers import paper_trainers
from nnunet_sparse.trainers.sparse_loader import NoAnnotationError
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.pretrained import WEIGHTS_FOLDER

CPU = torch.device("cpu")
IGNORE = 2
# sizes with which a training takes seconds
TINY_NETWORKS = {
    "SparseTrainerInceptionUNet": {"channels": [2, 3, 4, 5, 6]},
    "SparseTrainerSegFormer": {
        "depths": [1, 1, 1, 1],
        "hidden_sizes": [4, 8, 12, 16],
        "num_attention_heads": [1, 2, 3, 4],
        "decoder_hidden_size": 8,
    },
    "SparseTrainerCAMWNet": {
        "vgg_channels": [[4], [4], [6], [8], [8]],
        "decoder_channels": [8, 6, 4, 4],
        "channels": [4, 6, 8, 8, 8],
        "reduction": 2,
    },
    "SparseTrainerUNet3D": {"base_features": 2},
    "SparseTrainerSegResNet": {"init_filters": 8, "blocks_down": [1, 1, 1, 1]},
    "SparseTrainerUNETR": {"feature_size": 2, "hidden_size": 12, "mlp_dim": 16, "num_heads": 2},
    "SparseTrainerAttentionUNet3D": {"channels": [2, 4, 6, 8, 10]},
}


def write_recipe(paths, name, *, plans_name=PAPER_PLANS, settings=(), **recipe):
    """Change the plans: the recipe of the trainer's configuration, and some settings."""
    file = paths.preprocessed / TINY / f"{plans_name}.json"
    plans = json.loads(file.read_text("utf-8"))
    block = plans["configurations"][PAPER[name].configuration]["nnsparse"]
    block |= dict(settings)
    block["recipe"] = {
        "iterations": 3,
        "pretrained": False,
        "network": TINY_NETWORKS[name],
    } | recipe
    file.write_text(json.dumps(plans))
    return plans


def make_trainer(paths, name, *, fold=0, labels=None, settings=(), **recipe):
    plans = write_recipe(paths, name, settings=settings, **recipe) | {"continue_training": False}
    dataset_json = json.loads((paths.preprocessed / TINY / "dataset.json").read_text("utf-8"))
    if labels is not None:
        dataset_json["labels"] = labels
    configuration = PAPER[name].configuration
    return getattr(paper_trainers, name)(plans, configuration, fold, dataset_json, CPU)


def output_folder(paths, name):
    configuration = PAPER[name].configuration
    return paths.results / TINY / f"{name}__{PAPER_PLANS}__{configuration}"


def train(name, **options):
    run_training(TINY, PAPER[name].configuration, 0, name, PAPER_PLANS, device=CPU, **options)


def weights_of(checkpoint):
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)
    return content["network_weights"], content["optimizer_state"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_stock_nnunet_trains_continues_validates_and_predicts(
    recipe_trainable, name, tmp_path, monkeypatch
):
    """What the commands call; test_commands.py tries the commands with one of the trainers."""
    use_threads(monkeypatch)
    write_recipe(recipe_trainable, name)
    train(name)
    folder = output_folder(recipe_trainable, name)
    final = folder / "fold_0" / "checkpoint_final.pth"
    summary = folder / "fold_0" / "validation" / "summary.json"
    assert len(json.loads(summary.read_text("utf-8"))["metric_per_case"]) == 2
    recipe = json.loads((folder / "fold_0" / "recipe.json").read_text("utf-8"))
    assert recipe["recipe"]["iterations"] == 3
    assert recipe["recipe"]["loss"] == PAPER[name].recipe.loss
    assert recipe["labels_of_roles"] == {
        "target": [1],
        "context": [],
        "background": [0],
        "unannotated": [IGNORE],
    }
    before = weights_of(final)[0]

    summary.unlink()
    train(name, only_run_validation=True)
    assert summary.is_file()
    train(name, continue_training=True)
    after = weights_of(final)[0]
    assert all(torch.equal(before[key], after[key]) for key in before)

    predictor = nnUNetPredictor(device=CPU, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), (0,), "checkpoint_final.pth")
    image = recipe_trainable.raw / "Dataset776_Base" / "imagesTr" / f"{CASES[0]}_0000.nii.gz"
    (tmp_path / "predictions").mkdir()
    predictor.predict_from_files_sequential([[str(image)]], str(tmp_path / "predictions"))
    (predicted,) = (tmp_path / "predictions").glob("*.nii.gz")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(predicted)))
    assert array.shape == (16, 24, 24)
    assert set(np.unique(array)) <= {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "place"),
    [(name, "workers") for name in PAPER]
    + [("SparseTrainerInceptionUNet", "device"), ("SparseTrainerUNet3D", "device")],
)
def test_a_killed_training_ends_with_the_same_weights(recipe_trainable, name, place):
    """Dropout, batch statistics, momentum and schedules included."""
    settings = {"save_every": 1, "augmentation_on": place}
    options = {"settings": settings, "iterations": 5, "period": 2}
    trainer = make_trainer(recipe_trainable, name, **options)
    trainer.run_training()
    folder = output_folder(recipe_trainable, name) / "fold_0"
    weights, state = weights_of(folder / "checkpoint_final.pth")
    (folder / "checkpoint_final.pth").unlink()

    killed = make_trainer(recipe_trainable, name, **options)
    original, steps = killed.train_step, []

    def step(batch):
        if len(steps) == 3:
            raise KeyboardInterrupt
        steps.append(batch)
        return original(batch)

    killed.train_step = step
    with pytest.raises(KeyboardInterrupt):
        killed.run_training()
    again = make_trainer(recipe_trainable, name, **options)
    again.load_checkpoint(str(folder / "checkpoint_latest.pth"))
    assert again.current_epoch == 1
    again.run_training()
    continued, continued_state = weights_of(folder / "checkpoint_final.pth")
    assert all(torch.equal(weights[key], continued[key]) for key in weights)
    assert state["param_groups"] == continued_state["param_groups"]
    for one, other in zip(state["state"].values(), continued_state["state"].values(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one if torch.is_tensor(one[key]))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"initial_lr": 1e-3, "loss": "ce"}, "initial_lr, loss"),
        ({"settings": {"num_iterations_per_epoch": 1}}, "num_iterations_per_epoch"),
        ({"settings": {"padding": "ignore"}}, "padding"),
    ],
)
def test_a_training_is_not_continued_with_another_recipe(recipe_trainable, changes, named):
    """Whatever has become of the file that holds the recipe."""
    name = "SparseTrainerUNETR"
    make_trainer(recipe_trainable, name).run_training()
    folder = output_folder(recipe_trainable, name) / "fold_0"
    (folder / "recipe.json").write_text(recipe := "{")
    changed = make_trainer(recipe_trainable, name, **changes)
    changed.load_checkpoint(str(folder / "checkpoint_final.pth"))
    with pytest.raises(SparseError, match=rf"begun with another recipe \({named}\)"):
        changed.run_training()
    assert (folder / "recipe.json").read_text("utf-8") == recipe


def test_another_network_is_refused_before_its_weights_are_loaded(recipe_trainable):
    name = "SparseTrainerInceptionUNet"
    make_trainer(recipe_trainable, name).run_training()
    file = output_folder(recipe_trainable, name) / "fold_0" / "checkpoint_final.pth"
    channels = [value + 1 for value in TINY_NETWORKS[name]["channels"]]
    changed = make_trainer(recipe_trainable, name, network={"channels": channels})
    with pytest.raises(SparseError, match=r"begun with another recipe \(network\)"):
        changed.load_checkpoint(str(file))


def test_a_lost_record_is_written_again(recipe_trainable):
    name = "SparseTrainerUNETR"
    make_trainer(recipe_trainable, name).run_training()
    folder = output_folder(recipe_trainable, name) / "fold_0"
    before = json.loads((folder / "recipe.json").read_text("utf-8"))
    assert before["weights"] == "none"
    (folder / "recipe.json").unlink()
    again = make_trainer(recipe_trainable, name)
    again.load_checkpoint(str(folder / "checkpoint_final.pth"))
    again.run_training()
    after = json.loads((folder / "recipe.json").read_text("utf-8"))
    assert after == before | {"weights": "unknown"}


@pytest.mark.parametrize("name", PAPER)
def test_learning_rates_of_ten_iterations(recipe_trainable, name):
    trainer = make_trainer(
        recipe_trainable, name, settings={"num_iterations_per_epoch": 4}, iterations=10, period=3
    )
    trainer.initialize()
    batch = next(trainer.get_dataloaders()[0])
    assert trainer.num_epochs == 3
    seen = []
    for epoch in range(trainer.num_epochs):
        trainer.current_epoch = epoch
        trainer.on_train_epoch_start()
        for _ in range(trainer.num_iterations_per_epoch):
            seen.append(trainer.optimizer.param_groups[0]["lr"])
            trainer.train_step({key: batch[key] for key in ("data", "target")})
    first = PAPER[name].recipe.initial_lr
    k = np.arange(10)
    expected = {
        "constant": np.full(10, first),
        "poly": first * (1 - k / 10) ** 0.8,
        "step": first * 0.7 ** (k // 3),
        "cosine": first * (1 + np.cos(np.pi * k / 10)) / 2,
    }[PAPER[name].recipe.schedule]
    np.testing.assert_allclose(seen, expected, rtol=1e-9)


@pytest.mark.parametrize("name", PAPER)
def test_optimizer_and_loss_are_the_recipes(recipe_trainable, name):
    trainer = make_trainer(recipe_trainable, name)
    trainer.initialize()
    recipe = PAPER[name].recipe
    kinds = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    assert type(trainer.optimizer) is kinds[recipe.optimizer]
    (group,) = trainer.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (recipe.initial_lr, recipe.weight_decay)
    if recipe.optimizer == "sgd":
        assert (group["momentum"], group["nesterov"]) == (0.9, False)
    logits = torch.randn(2, 2, *trainer.configuration_manager.patch_size, requires_grad=True)
    target = torch.full((2, 1, *logits.shape[2:]), IGNORE)
    target[..., 0] = 1
    trainer.loss(logits, target).backward()
    assert (logits.grad[..., 1:] == 0).all()
    assert (logits.grad[..., 0] != 0).any()


def test_adam_of_the_first_version(recipe_trainable):
    trainer = make_trainer(recipe_trainable, "SparseTrainerSegResNet", optimizer="adam")
    trainer.initialize()
    assert type(trainer.optimizer) is torch.optim.Adam
    (group,) = trainer.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (3e-4, 1e-5)
    assert not group["decoupled_weight_decay"]


@pytest.mark.parametrize(
    ("name", "centres", "groups"),
    [
        (
            "SparseTrainerSegResNet",
            {"background": 0.3, "target": 0.55, "unannotated": 0.15},
            ["background", "target", "unannotated"],
        ),
        ("SparseTrainerUNETR", {}, []),
    ],
)
def test_patch_centres_of_the_first_version(recipe_trainable, name, centres, groups):
    trainer = make_trainer(recipe_trainable, name, patch_centres=centres)
    trainer.initialize()
    loader = trainer.get_dataloaders()[0].loader
    assert [group.name for group in loader.groups] == groups


def test_labels_that_are_shrunk_with_the_patch(recipe_trainable):
    """A step moves weights only through annotated voxels that are nearest to a coarse one."""
    name = "SparseTrainerUNet3D"
    network = TINY_NETWORKS[name] | {"shrink_labels": True}
    trainer = make_trainer(recipe_trainable, name, network=network, weight_decay=0)
    trainer.initialize()
    trainer.on_train_epoch_start()
    size = trainer.configuration_manager.patch_size
    data, target = torch.randn(2, 1, *size), torch.full((2, 1, *size), IGNORE)
    before = [p.detach().clone() for p in trainer.network.parameters()]
    target[..., ::2, :, :] = 1
    assert trainer.train_step({"data": data, "target": target})["loss"] == 0
    assert all(map(torch.equal, before, trainer.network.parameters()))
    target[..., 5, :, :] = 1
    assert trainer.train_step({"data": data, "target": target})["loss"] > 0
    assert not all(map(torch.equal, before, trainer.network.parameters()))
    # what is validated and predicted has the patch's own size
    trainer.network.eval()
    assert trainer.validation_step({"data": data, "target": target})["loss"] > 0


def voxels_of(trainer, count):
    """Label at every drawn centre, and the case."""
    folder = Path(trainer.preprocessed_dataset_folder)
    labels = {case: read_array(folder / f"{case}_seg.b2nd")[0] for case in CASES}
    loader = trainer.get_dataloaders()[0].loader
    loader.transforms = None
    found = []
    while len(found) < count:
        batch = loader.generate_train_batch()
        assert batch["centres"].shape == (loader.batch_size, 3)
        for case, centre in zip(batch["keys"], batch["centres"].tolist(), strict=True):
            found.append((case, tuple(centre), int(labels[case][tuple(centre)])))
    return found[:count], labels


def test_patch_centres_have_the_shares_of_the_recipe(recipe_trainable):
    np.random.seed(0)  # noqa: NPY002
    trainer = make_trainer(recipe_trainable, "SparseTrainerUNETR")
    trainer.initialize()
    found, labels = voxels_of(trainer, 4000)
    counts = [sum(value == label for *_, label in found) for value in (0, 1, IGNORE)]
    assert chisquare(counts, [0.3 * 4000, 0.55 * 4000, 0.15 * 4000]).pvalue > 1e-3
    # within a role every plane is drawn as often as it has voxels
    case = CASES[0]
    for value in (0, 1, IGNORE):
        planes = (labels[case] == value).sum((1, 2))
        drawn = [centre[0] for _, centre, label in found if label == value]
        observed = np.bincount(drawn, minlength=len(planes))
        assert (observed[planes == 0] == 0).all()
        assert (
            chisquare(observed[planes > 0], planes[planes > 0] / planes.sum() * len(drawn)).pvalue
            > 1e-3
        )


def test_joined_roles_are_drawn_as_one(recipe_trainable):
    np.random.seed(1)  # noqa: NPY002
    trainer = make_trainer(recipe_trainable, "SparseTrainerUNet3D")
    trainer.initialize()
    found, labels = voxels_of(trainer, 2000)
    # there is no context: its half is shared by the others
    counts = np.array([sum(value == label for *_, label in found) for value in (0, 1, IGNORE)])
    assert chisquare([counts[1], counts[0] + counts[2]], [1200, 800]).pvalue > 1e-3
    voxels = [(labels[CASES[0]] == value).sum() for value in (0, IGNORE)]
    expected = (counts[0] + counts[2]) * np.array(voxels) / sum(voxels)
    assert chisquare([counts[0], counts[2]], expected).pvalue > 1e-3


def test_a_role_that_one_case_has_keeps_its_share(recipe_trainable):
    np.random.seed(2)  # noqa: NPY002
    folder = recipe_trainable.preprocessed / TINY
    trainer = make_trainer(recipe_trainable, "SparseTrainerUNETR")
    data = folder / trainer.configuration_manager.data_identifier
    for case in CASES[1:6]:
        file = data / f"{case}.pkl"
        properties = load_pickle(str(file))
        properties["class_locations"][1] = np.zeros((0, 4), np.int16)
        properties[PROPERTY]["class_planes"][1] = np.zeros(0, np.int32)
        file.unlink()
        file.write_bytes(pickle.dumps(properties))
    trainer.initialize()
    found, _ = voxels_of(trainer, 1000)
    of_target = [case for case, _, label in found if label == 1]
    assert set(of_target) == {CASES[0]}
    assert chisquare([len(of_target), 1000 - len(of_target)], [550, 450]).pvalue > 1e-3


def test_without_patch_centres_patches_are_uniform(recipe_trainable):
    np.random.seed(3)  # noqa: NPY002
    trainer = make_trainer(recipe_trainable, "SparseTrainerSegResNet")
    trainer.initialize()
    found, labels = voxels_of(trainer, 900)
    shape, patch = labels[CASES[0]].shape, trainer.configuration_manager.patch_size
    for axis in range(3):
        rooms = max(0, shape[axis] - patch[axis])
        starts = [centre[axis] - patch[axis] // 2 for _, centre, _ in found]
        assert set(starts) == set(range(rooms + 1))
        if rooms:
            assert chisquare(np.bincount(starts)).pvalue > 1e-3


def test_slices_are_drawn_uniformly(recipe_trainable):
    np.random.seed(4)  # noqa: NPY002
    trainer = make_trainer(recipe_trainable, "SparseTrainerInceptionUNet")
    trainer.initialize()
    loader = trainer.get_dataloaders()[0].loader
    assert not any(loader.get_do_oversample(k) for k in range(loader.batch_size))
    drawn = []
    cut = loader._cut
    loader._cut = lambda placed: drawn.append((placed.case, placed.corner[0])) or cut(placed)
    for _ in range(600 // loader.batch_size):
        loader.generate_train_batch()
    _, counts = np.unique([f"{case} {plane}" for case, plane in drawn], return_counts=True)
    assert len(counts) == len(loader.slices) == 6 * 6
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("name", ["SparseTrainerUNet3D", "SparseTrainerInceptionUNet"])
@pytest.mark.parametrize("place", ["workers", "device"])
def test_targets_are_the_label_where_the_image_is(recipe_trainable, name, place):
    """Without augmentation every target is the label of its voxel, and padding is background."""
    settings = {"augmentation_on": place}
    trainer = make_trainer(recipe_trainable, name, augmentation=(), settings=settings)
    trainer.initialize()
    folder = Path(trainer.preprocessed_dataset_folder)
    labels = {case: read_array(folder / f"{case}_seg.b2nd")[0] for case in CASES}
    batches, boxes = trainer.get_dataloaders()[0], []
    loader = batches.loader
    cut = loader._cut
    loader._cut = lambda placed: boxes.append((placed.case, placed.corner)) or cut(placed)
    targets = next(batches)["target"][:, 0].numpy()
    assert len(boxes) == len(targets)
    ignored = 0
    for (case, corner), target in zip(boxes, targets, strict=True):
        size = loader.final_patch_size
        padded = np.pad(labels[case], 32)
        box = tuple(
            slice(32 + low, 32 + low + side) for low, side in zip(corner, size, strict=True)
        )
        np.testing.assert_array_equal(target.reshape(size), padded[box])
        ignored += int((target == IGNORE).sum())
    assert (ignored > 0) == (name == "SparseTrainerUNet3D")


def test_weights_of_roles_reach_the_loss(recipe_trainable):
    labels = {"background": 0, "object": 1, "tumour": 2, "ignore": 3}
    trainer = make_trainer(
        recipe_trainable,
        "SparseTrainerInceptionUNet",
        labels=labels,
        roles={"target": ["tumour"]},
    )
    trainer.initialize()
    torch.testing.assert_close(trainer.loss.weights, torch.tensor([0.04, 0.25, 1.4]))


def test_pretrained_weights_are_missing(recipe_trainable, monkeypatch, tmp_path):
    name = "SparseTrainerCAMWNet"
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    trainer = make_trainer(recipe_trainable, name, pretrained=True)
    with pytest.raises(SparseError, match=r"vgg16-397923af\.pth.*put it as .*pretrained=false"):
        trainer.run_training()
    assert not trainer.was_initialized


def _no_network(*_, **__):
    raise OSError("no network")


def test_the_encoder_starts_from_pretrained_weights(recipe_trainable, monkeypatch, tmp_path):
    """And a training that goes on, or is validated, does not need them."""
    name = "SparseTrainerCAMWNet"
    trainer = make_trainer(recipe_trainable, name)
    trainer.initialize()
    encoder = {
        key.removeprefix("coarse.encoder."): torch.randn_like(value)
        for key, value in trainer.network.state_dict().items()
        if key.startswith("coarse.encoder.")
    }
    assert encoder
    torch.save(encoder, tmp_path / "vgg16-397923af.pth")
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    trainer = make_trainer(recipe_trainable, name, pretrained=True, initial_lr=1e-9)
    trainer.run_training()
    state = trainer.network.state_dict()
    for key, value in encoder.items():
        torch.testing.assert_close(state[f"coarse.encoder.{key}"], value, rtol=1e-4, atol=1e-6)
    recipe = json.loads((Path(trainer.output_folder) / "recipe.json").read_text("utf-8"))
    assert recipe["weights"] == "vgg16-397923af.pth"

    (tmp_path / "vgg16-397923af.pth").unlink()
    train(name, only_run_validation=True)


@pytest.mark.parametrize(
    ("name", "recipe", "message"),
    [
        ("SparseTrainerUNETR", {"iterations": 0}, "iterations must be a whole number"),
        ("SparseTrainerInceptionUNet", {"loss": "mse"}, "loss must be one of"),
        ("SparseTrainerUNETR", {"roles": {"target": ["lung"]}}, "no label 'lung'"),
    ],
)
def test_bad_recipes_are_refused_before_anything_is_written(
    recipe_trainable, name, recipe, message
):
    with pytest.raises(SparseError, match=message):
        make_trainer(recipe_trainable, name, **recipe)
    assert not list(recipe_trainable.results.iterdir())


def test_a_network_for_slices_refuses_volumes(recipe_trainable):
    plans = write_recipe(recipe_trainable, "SparseTrainerUNETR") | {"continue_training": False}
    dataset_json = json.loads(
        (recipe_trainable.preprocessed / TINY / "dataset.json").read_text("utf-8")
    )
    with pytest.raises(SparseError, match=r"2 dimensions.*have 3: choose 2d"):
        paper_trainers.SparseTrainerCAMWNet(plans, "3d_fullres", 0, dataset_json, CPU)


def test_networks_without_weights_cannot_be_pretrained(recipe_trainable):
    trainer = make_trainer(recipe_trainable, "SparseTrainerUNETR", pretrained=True)
    with pytest.raises(SparseError, match="no pretrained weights for unetr"):
        trainer.run_training()


def test_the_log_says_what_the_recipe_decides(recipe_trainable):
    trainer = make_trainer(
        recipe_trainable,
        "SparseTrainerUNETR",
        settings={"num_epochs": 7, "save_every": 3},
        class_weights={"target": 2},
        initial_lr=1.23456e-5,
    )
    trainer.run_training()
    log = Path(trainer.log_file).read_text("utf-8")
    assert "in place of these settings of the plans: num_epochs, optimizer," in log
    assert "trained from scratch" in log
    assert "recipe.class_weights is for cross entropy and is not used by dice_focal" in log
    assert "Learning rate of iteration 0: 1.23456e-05" in log
    # at least ten checkpoints on the way where there are so many epochs
    assert (trainer.num_epochs, trainer.save_every) == (2, 1)


def test_patch_centres_are_not_for_slices(recipe_trainable):
    trainer = make_trainer(
        recipe_trainable, "SparseTrainerInceptionUNet", patch_centres={"target": 1}
    )
    trainer.run_training()
    assert "patch_centres is for 3d and is not used" in Path(trainer.log_file).read_text("utf-8")


def test_validation_without_a_role_is_uniform(recipe_trainable):
    trainer = make_trainer(recipe_trainable, "SparseTrainerUNETR", patch_centres={"target": 1})
    folder = Path(trainer.preprocessed_dataset_folder)
    for case in CASES[6:]:
        properties = load_pickle(str(folder / f"{case}.pkl"))
        properties["class_locations"][1] = np.zeros((0, 4), np.int16)
        (folder / f"{case}.pkl").unlink()
        (folder / f"{case}.pkl").write_bytes(pickle.dumps(properties))
    trainer.initialize()
    training, validation = trainer.get_dataloaders()
    assert [group.name for group in training.loader.groups] == ["target"]
    assert validation.loader.groups == []
    assert next(validation)["data"].shape[0] == 5


def test_weights_that_were_given_are_not_replaced(recipe_trainable, tmp_path, monkeypatch):
    """``nnUNetv2_train -pretrained_weights`` initialises the trainer and changes the network."""
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    trainer = make_trainer(recipe_trainable, "SparseTrainerCAMWNet", pretrained=True)
    trainer.initialize()
    with torch.no_grad():
        next(trainer.network.parameters()).add_(1)
    trainer.run_training()
    recipe = json.loads((Path(trainer.output_folder) / "recipe.json").read_text("utf-8"))
    assert recipe["weights"] == "-pretrained_weights"


def test_a_trainer_that_was_initialised_still_needs_its_weights(recipe_trainable, monkeypatch):
    monkeypatch.setattr("nnunet_sparse.trainers.recipe_trainer.find_weights", _no_network)
    trainer = make_trainer(recipe_trainable, "SparseTrainerCAMWNet", pretrained=True)
    trainer.initialize()
    with pytest.raises(OSError, match="no network"):
        trainer.run_training()


def test_a_trainer_that_was_initialised_trains(recipe_trainable):
    trainer = make_trainer(recipe_trainable, "SparseTrainerCAMWNet")
    trainer.initialize()
    trainer.run_training()
    assert "trained from scratch" in Path(trainer.log_file).read_text("utf-8")


def test_cascades_are_refused(recipe_trainable):
    plans = write_recipe(recipe_trainable, "SparseTrainerUNETR") | {"continue_training": False}
    plans["configurations"]["3d_fullres"]["previous_stage"] = "3d_lowres"
    dataset_json = json.loads(
        (recipe_trainable.preprocessed / TINY / "dataset.json").read_text("utf-8")
    )
    with pytest.raises(SparseError, match="cascade"):
        paper_trainers.SparseTrainerUNETR(plans, "3d_fullres", 0, dataset_json, CPU)


def test_no_annotation_at_all(recipe_trainable):
    trainer = make_trainer(recipe_trainable, "SparseTrainerUNETR")
    folder = recipe_trainable.preprocessed / TINY / trainer.configuration_manager.data_identifier
    for case in CASES[:6]:
        file = folder / f"{case}.pkl"
        properties = load_pickle(str(file))
        properties[PROPERTY]["annotated_planes"] = np.zeros(0, np.int32)
        file.unlink()
        file.write_bytes(pickle.dumps(properties))
    trainer.initialize()
    with pytest.raises(NoAnnotationError):
        trainer.get_dataloaders()
