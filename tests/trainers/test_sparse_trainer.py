import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerDA5 import (
    nnUNetTrainerDA5,
)
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import (
    nnUNetTrainerNoMirroring,
)
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerCELoss import nnUNetTrainerCELoss
from training_fixtures import CASES, TINY

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.trainers import sparse_trainer
from nnunet_sparse.trainers.seeding import SeededLoader
from nnunet_sparse.trainers.sparse_trainer import SparseTrainer
from nnunet_sparse.training.settings import STOCK

IGNORE = 2
PLACES = ("workers", "device")


def make_trainer(paths, fold=0, kind=SparseTrainer, **block):
    folder = paths.preprocessed / TINY
    plans = json.loads((folder / "nnsparseSmallPlans.json").read_text("utf-8"))
    plans["continue_training"] = False
    plans["configurations"]["2d"]["nnsparse"] |= block
    dataset_json = json.loads((folder / "dataset.json").read_text("utf-8"))
    return kind(plans, "2d", fold, dataset_json, torch.device("cpu"))


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


def first_batches(trainer, count=3):
    """Copies of the first training batches, and of the first validation batch."""
    training, validation = trainer.get_dataloaders()
    batches = [next(training) for _ in range(count)] + [next(validation)]
    for loader in (training, validation):
        if hasattr(loader, "_finish"):
            loader._finish()
    return [(list(b["keys"]), b["data"].clone(), b["target"][0].clone()) for b in batches]


def same(batches, others):
    return all(
        keys == other_keys and torch.equal(data, other_data) and torch.equal(target, other_target)
        for (keys, data, target), (other_keys, other_data, other_target) in zip(
            batches, others, strict=True
        )
    )


def test_settings_come_from_the_plans(trainable):
    trainer = make_trainer(trainable, num_epochs=7, weight_decay=0.5)
    trainer.initialize()
    assert (trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.save_every) == (7, 2, 5)
    assert isinstance(trainer.optimizer, torch.optim.AdamW)
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0.5
    assert trainer.optimizer.param_groups[0]["lr"] == 2e-3


def test_plans_without_a_block_train_as_long_as_nnunet_does(trainable):
    file = trainable.preprocessed / TINY / "nnsparseSmallPlans.json"
    plans = json.loads(file.read_text("utf-8"))
    del plans["configurations"]["2d"]["nnsparse"]
    file.write_text(json.dumps(plans))
    dataset_json = json.loads((file.parent / "dataset.json").read_text("utf-8"))
    plans["continue_training"] = False
    trainer = SparseTrainer(plans, "2d", 0, dataset_json, torch.device("cpu"))
    trainer.initialize()
    assert (trainer.num_epochs, trainer.save_every, trainer.initial_lr) == (1000, 50, 1e-2)
    assert isinstance(trainer.optimizer, torch.optim.SGD)
    assert trainer.optimizer.param_groups[0]["momentum"] == 0.99


def test_settings_choose_the_loader(trainable):
    trainer = make_trainer(trainable, **STOCK)
    trainer.initialize()
    assert type(trainer.get_dataloaders()[0].loader) is nnUNetDataLoader
    trainer = make_trainer(trainable, placement="inside")
    trainer.initialize()
    for batches in trainer.get_dataloaders():
        assert batches.loader.placement == "inside"
        targets = next(batches)["target"]
        # never a slice without annotation, at any level
        assert all((target != IGNORE).any((1, 2, 3)).all() for target in targets)


def levels(trainer, label):
    """Network outputs and targets at all levels of deep supervision; one label everywhere."""
    trainer.initialize()
    outputs = trainer.network(torch.randn(2, 1, 24, 16))
    for output in outputs:
        output.retain_grad()
    targets = [torch.full((2, 1, *output.shape[2:]), label) for output in outputs]
    return outputs, targets


def test_ignored_voxels_have_no_gradient_at_any_level(trainable):
    trainer = make_trainer(trainable)
    outputs, targets = levels(trainer, IGNORE)
    for target in targets:
        target[:, :, :, 0] = 1
    trainer.loss(outputs, targets).backward()
    # the lowest level has no weight
    for output in outputs[:-1]:
        assert (output.grad[..., 1:] == 0).all()
        assert (output.grad[..., 0] != 0).any()


def test_batches_without_annotation_have_no_gradient(trainable):
    trainer = make_trainer(trainable)
    outputs, targets = levels(trainer, IGNORE)
    loss = trainer.loss(outputs, targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert all((p.grad == 0).all() for p in trainer.network.parameters() if p.grad is not None)


def test_regions_without_annotation_have_no_gradient(trainable):
    file = trainable.preprocessed / TINY / "dataset.json"
    dataset_json = json.loads(file.read_text("utf-8"))
    dataset_json["labels"] = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    dataset_json["regions_class_order"] = [1, 2]
    file.write_text(json.dumps(dataset_json))
    trainer = make_trainer(trainable)
    outputs, _ = levels(trainer, 0)
    # whole, core, ignore
    targets = [torch.zeros(2, 3, *output.shape[2:], dtype=torch.bool) for output in outputs]
    for target in targets:
        target[:, 2] = True
    loss = trainer.loss(outputs, targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert all((p.grad == 0).all() for p in trainer.network.parameters() if p.grad is not None)


@pytest.mark.parametrize("compiled", [False, True])
def test_smoothing_reaches_the_dice_loss(trainable, monkeypatch, compiled):
    trainer = make_trainer(trainable, dice_smooth=5)
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module: compile_(module, backend="eager"))
    monkeypatch.setattr(trainer, "_do_i_compile", lambda: compiled)
    trainer.enable_deep_supervision = False
    loss = trainer._build_loss()
    probability = torch.tensor([[[0.0, 0.0], [50.0, -50.0]]])[..., None]
    target = torch.tensor([[[[1], [1]]]])
    # one of two voxels found: (2 * 1 + 5) / (1 + 2 + 5)
    assert float(-loss.dc(probability, target)) == pytest.approx(7 / 8)


@pytest.mark.parametrize("fold", ["all", 3, -1])
def test_folds_beyond_the_file_are_refused(trainable, fold):
    with pytest.raises(SparseError, match="repeats are 0 to 2 in "):
        make_trainer(trainable, fold)
    assert not list(trainable.results.iterdir())


def test_a_bad_block_is_refused(trainable):
    with pytest.raises(SparseError, match="num_epochs must be"):
        make_trainer(trainable, num_epochs=-1)
    assert not list(trainable.results.iterdir())


def forget_annotation(paths, cases):
    """Make cases look as if none of their voxels were annotated."""
    for case in cases:
        stem = paths.preprocessed / TINY / "nnsparseSmallPlans_2d" / case
        file = stem.with_suffix(".pkl")
        properties = pickle.loads(file.read_bytes())
        properties["class_locations"] = {key: [] for key in properties["class_locations"]}
        properties["nnsparse"]["annotated_planes"] = np.zeros(0, np.int32)
        file.write_bytes(pickle.dumps(properties))


def test_one_annotated_case_is_enough(trainable):
    forget_annotation(trainable, CASES[1:])
    trainer = make_trainer(trainable)
    trainer.initialize()
    training, validation = trainer.get_dataloaders()
    assert set(next(training)["keys"]) == {CASES[0]}
    assert set(next(validation)["keys"]) <= set(CASES[6:])
    assert "validation after each epoch says nothing" in Path(trainer.log_file).read_text("utf-8")


def test_training_cases_without_annotation_are_refused(trainable):
    forget_annotation(trainable, CASES[:6])
    trainer = make_trainer(trainable)
    trainer.initialize()
    with pytest.raises(SparseError, match=r"none of the 6 cases .* has an annotated voxel"):
        trainer.get_dataloaders()


def test_batches_of_nnunets_way_are_nnunets(trainable, monkeypatch):
    ours = make_trainer(trainable, **STOCK)
    stock = make_trainer(trainable, kind=nnUNetTrainer)
    batches = []
    for trainer in (ours, stock):
        trainer.initialize()
        loaders = trainer.get_dataloaders()
        if trainer is stock:
            assert SparseTrainer.get_training_transforms is nnUNetTrainer.get_training_transforms
            sparse_trainer._fix_choice_of_blur(loaders[0].data_loader.transforms)
            seeds = [(stream, 0, 0) for stream in (1, 2)]
            loaders = [
                SeededLoader(augmenter.data_loader, seed, 0, 0)
                for augmenter, seed in zip(loaders, seeds, strict=True)
            ]
        monkeypatch.setattr(trainer, "get_dataloaders", lambda pair=loaders: pair)
        batches.append(first_batches(trainer, count=8))
    assert same(*batches)


@pytest.mark.parametrize("block", [{}, STOCK])
def test_loaders_only_cut_out_what_the_device_augments(trainable, block):
    batches = []
    for place in PLACES:
        trainer = make_trainer(trainable, **(block | {"augmentation_on": place}))
        trainer.initialize()
        batches += [[next(loader) for loader in trainer.get_dataloaders()]]
    loader = trainer.get_dataloaders()[0].loader
    assert loader.transforms is None
    assert (type(loader) is nnUNetDataLoader) == bool(block)
    patch = loader.generate_train_batch()
    assert patch["data"].shape[2:] == tuple(loader.patch_size[1:])
    assert patch["target"].shape == patch["data"].shape
    for augmented, on_device in zip(*batches, strict=True):
        # the same patches, and likewise augmented
        assert list(augmented["keys"]) == list(on_device["keys"])
        assert augmented["data"].shape == on_device["data"].shape
        levels = [(level.shape, level.dtype) for level in augmented["target"]]
        assert levels == [(level.shape, level.dtype) for level in on_device["target"]]
        assert set(on_device["target"][0].unique().tolist()) <= {0, 1, IGNORE}
    # validation patches are not augmented
    _, (expected, found) = zip(*batches, strict=True)
    assert torch.equal(expected["data"], found["data"])
    for level, other in zip(expected["target"], found["target"], strict=True):
        assert torch.equal(level, other)


def test_augmentation_that_may_not_run_on_a_device_is_refused(trainable):
    kind = type("Mixed", (SparseTrainer, nnUNetTrainerDA5), {})
    trainer = make_trainer(trainable, kind=kind, augmentation_on="device")
    trainer.initialize()
    with pytest.raises(SparseError, match=r"does not know whether .*augmentation_on=workers"):
        trainer.get_dataloaders()


@pytest.mark.parametrize("other", [nnUNetTrainerDA5, nnUNetTrainerNoMirroring])
def test_augmentation_of_other_trainers_is_kept(trainable, other):
    trainer = make_trainer(trainable, kind=type("Mixed", (SparseTrainer, other), {}))
    trainer.initialize()
    transforms = trainer.get_dataloaders()[0].loader.transforms.transforms
    kinds = [type(t).__name__ for t in transforms]
    assert kinds[0] == "AnnotationAwareSpatialTransform"
    assert ("MirrorTransform" in kinds) == (other is nnUNetTrainerDA5)
    assert not any(getattr(blur, "benchmark", False) for blur in every_transform(transforms))


def every_transform(transforms):
    for transform in transforms:
        yield transform
        inner = [transform.transform] if hasattr(transform, "transform") else []
        yield from every_transform([*inner, *getattr(transform, "list_of_transforms", [])])


def test_losses_of_other_trainers_are_kept(trainable):
    kind = type("Mixed", (SparseTrainer, nnUNetTrainerCELoss), {})
    trainer = make_trainer(trainable, kind=kind)
    trainer.initialize()
    assert not hasattr(trainer.loss.loss, "dc")
    with pytest.raises(SparseError, match=r"dice_smooth=2\.0 needs a Dice loss, and Mixed has Rob"):
        make_trainer(trainable, kind=kind, dice_smooth=2)._build_loss()


def test_split_keeps_what_exists(trainable):
    data = trainable.preprocessed / TINY / "nnsparseSmallPlans_2d"
    for file in data.glob("case_1*"):
        file.unlink()
    (data / "case_4.pkl").unlink()
    trainer = make_trainer(trainable)
    training, validation = trainer.do_split()
    assert training == ["case_0", "case_2", "case_3", "case_5"]
    assert validation == ["case_6", "case_7"]
    log = Path(trainer.log_file).read_text("utf-8")
    assert "2 of 6 training cases are not preprocessed, left out: case_1, case_4" in log


@pytest.mark.parametrize(("part", "cases"), [("training", CASES[:6]), ("validation", CASES[6:])])
def test_split_without_cases_is_refused(trainable, part, cases):
    for case in cases:
        (trainable.preprocessed / TINY / "nnsparseSmallPlans_2d" / f"{case}.pkl").unlink()
    with pytest.raises(SparseError, match=f"repeat 0 has no {part} case"):
        make_trainer(trainable).do_split()


def test_initial_weights_belong_to_the_repeat(trainable):
    first, again, other = (make_trainer(trainable, fold) for fold in (0, 0, 1))
    for trainer in (first, again, other):
        torch.rand(3)
        trainer.initialize()
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("place", PLACES)
def test_batches_belong_to_the_repeat(trainable, monkeypatch, place):
    by_workers = {}
    for workers in ("0", "2"):
        monkeypatch.setenv("nnUNet_n_proc_DA", workers)
        runs = []
        for fold in (0, 0, 1):
            trainer = make_trainer(trainable, fold, augmentation_on=place)
            trainer.initialize()
            np.random.rand(5)  # noqa: NPY002 - what was drawn before must not matter
            runs.append(first_batches(trainer))
        first, again, other = runs
        assert same(first, again)
        assert not same(first[:1], other[:1])
        assert not same(first[:1], first[1:2])
        by_workers[workers] = first
    assert same(by_workers["0"], by_workers["2"])


@pytest.mark.parametrize("place", PLACES)
def test_a_resumed_run_goes_on_with_the_batches(trainable, place):
    trainer = make_trainer(trainable, augmentation_on=place)
    trainer.initialize()
    batches = first_batches(trainer, count=4)[:4]
    trainer.current_epoch = 1
    assert same(first_batches(trainer, count=2)[:2], batches[2:])


@pytest.mark.parametrize(("seconds", "epochs"), [(1e9, [3]), (0, [0, 1, 2, 3])])
def test_the_figure_is_drawn_at_the_end_and_not_after_short_epochs(
    trainable, monkeypatch, seconds, epochs
):
    trainer = make_trainer(trainable, num_epochs=4)
    drawn = []

    def end_epoch(trainer):
        trainer.logger.log("val_losses", 0, trainer.current_epoch)
        trainer.logger.plot_progress_png(trainer.output_folder)
        trainer.current_epoch += 1

    monkeypatch.setattr(nnUNetTrainer, "on_epoch_end", end_epoch)
    monkeypatch.setattr(sparse_trainer, "_SECONDS_BETWEEN_FIGURES", seconds)
    monkeypatch.setattr(
        trainer.logger, "plot_progress_png", lambda _: drawn.append(trainer.current_epoch)
    )
    logger = trainer.logger
    for _ in range(4):
        trainer.on_epoch_end()
        assert trainer.logger is logger
    assert drawn == epochs
    assert logger.get_value("val_losses", step=None) == [0] * 4


def test_a_killed_save_leaves_the_old_checkpoint(trainable, monkeypatch):
    trainer = make_trainer(trainable)
    trainer.initialize()
    file = Path(trainer.output_folder) / "checkpoint_latest.pth"
    trainer.save_checkpoint(str(file))
    before = {p.name: p.read_bytes() for p in file.parent.iterdir()}

    def killed(_, target):
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(str(file))
    assert before == {p.name: p.read_bytes() for p in file.parent.iterdir()}


def test_disabled_checkpoints_write_nothing(trainable):
    trainer = make_trainer(trainable)
    trainer.initialize()
    trainer.disable_checkpointing = True
    trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_latest.pth"))
    assert not list(Path(trainer.output_folder).glob("*.pth"))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_an_interrupted_training_ends_with_the_same_weights(trainable, place):
    settings = {"num_epochs": 3, "save_every": 1, "augmentation_on": place}
    whole = make_trainer(trainable, **settings)
    whole.run_training()
    interrupted = make_trainer(trainable, **settings)
    interrupted.on_epoch_end = lambda: _stop_after_first_epoch(interrupted)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run_training()
    latest = Path(interrupted.output_folder) / "checkpoint_latest.pth"
    leftover = latest.parent / ".nnsparse_k1lled_4"  # as tempfile names them
    leftover.mkdir()
    resumed = make_trainer(trainable, **settings)
    resumed.load_checkpoint(str(latest))
    assert resumed.current_epoch == 1
    resumed.run_training()
    assert torch.equal(weights(whole), weights(resumed))
    rates = resumed.logger.get_value("lrs", None)
    assert rates == pytest.approx([2e-3 * (1 - epoch / 3) ** 0.9 for epoch in range(3)])
    assert not leftover.exists()
    assert not latest.exists()


def _stop_after_first_epoch(trainer):
    SparseTrainer.on_epoch_end(trainer)
    raise KeyboardInterrupt
