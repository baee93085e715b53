import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.settings import STOCK, TrainingSettings, parse_assignments

OURS = {
    "placement": "inside",
    "padding": "ignore",
    "targets": "annotated",
    "label_interpolation": "annotated_first",
    "slice_sampling": "uniform",
}


def test_length_and_optimizer_are_those_of_nnunet():
    settings = TrainingSettings.from_block({})
    assert (settings.num_epochs, settings.num_iterations_per_epoch) == (1000, 250)
    assert (settings.optimizer, settings.initial_lr, settings.weight_decay) == ("sgd", 1e-2, 3e-5)


def test_block_names_every_setting():
    block = TrainingSettings.from_block({"num_epochs": 10, "initial_lr": 0.002}).to_block()
    names = {field.name for field in dataclasses.fields(TrainingSettings)}
    # what has its default and came later stays out
    assert set(block) == names - {"recipe", "augmentation_on"}
    assert (block["num_epochs"], block["initial_lr"], block["save_every"]) == (10, 0.002, 50)


def test_augmentation_on_the_device_is_written_down():
    settings = TrainingSettings.from_block({"augmentation_on": "device"})
    assert settings.to_block()["augmentation_on"] == "device"
    assert TrainingSettings.from_block(settings.to_block()) == settings
    # it is no other way of drawing
    assert settings.replaced(STOCK).samples_as_stock


def test_nnunets_way_is_recognised():
    assert TrainingSettings.from_block(STOCK).samples_as_stock
    assert TrainingSettings.from_block(STOCK).replaced({"dice_smooth": 1}).samples_as_stock
    for key in set(STOCK) - {"dice_smooth"}:
        assert not TrainingSettings.from_block({**STOCK, key: OURS[key]}).samples_as_stock


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "num_epochs": st.integers(1),
            "save_every": st.integers(1),
            "optimizer": st.sampled_from(["sgd", "adamw"]),
            "initial_lr": st.floats(0, 1, exclude_min=True),
            "oversample_foreground_percent": st.floats(0, 1),
        },
    )
)
def test_block_round_trip(block):
    settings = TrainingSettings.from_block(block)
    assert TrainingSettings.from_block(settings.to_block()) == settings
    assert all(getattr(settings, key) == value for key, value in block.items())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_epochs", 0),
        ("num_epochs", 1.5),
        ("num_epochs", True),
        ("num_epochs", "10"),
        ("num_val_iterations_per_epoch", 0),
        ("optimizer", "adam"),
        ("optimizer", None),
        ("initial_lr", 0.0),
        ("initial_lr", math.inf),
        ("initial_lr", math.nan),
        ("weight_decay", -1e-5),
        ("oversample_foreground_percent", 1.01),
        ("placement", "middle"),
        ("dice_smooth", 0),
        ("augmentation_on", "gpu"),
    ],
)
def test_bad_values_are_named(key, value):
    with pytest.raises(SparseError, match=f"{key} must be .*got {value!r}"):
        TrainingSettings.from_block({key: value})


def test_unknown_key_suggests_the_closest():
    with pytest.raises(SparseError, match=r"'num_epoch'.*did you mean num_epochs"):
        TrainingSettings.from_block({"num_epoch": 10})


def test_block_that_is_no_mapping():
    with pytest.raises(SparseError, match="must map settings"):
        TrainingSettings.from_block(["num_epochs"])


def test_whole_number_may_stand_for_a_float():
    settings = TrainingSettings.from_block({"initial_lr": 1})
    assert isinstance(settings.initial_lr, float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (["num_epochs=20", "initial_lr=2e-3"], {"num_epochs": 20, "initial_lr": 0.002}),
        (["optimizer=adamw"], {"optimizer": "adamw"}),
        (
            [
                "recipe.iterations=20",
                'recipe.class_weights={"target": 2}',
                "recipe.pretrained=false",
            ],
            {"recipe": {"iterations": 20, "class_weights": {"target": 2}, "pretrained": False}},
        ),
        (["recipe.augmentation=flip,affine"], {"recipe": {"augmentation": ("flip", "affine")}}),
        (['recipe.augmentation=["flip"]'], {"recipe": {"augmentation": ("flip",)}}),
    ],
)
def test_assignments(text, expected):
    assert parse_assignments(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_epochs", "key=value"),
        ("num_epochs=", "whole number.*got ''"),
        ("num_epochs=1e3", "whole number.*got '1e3'"),
        ("initial_lr=fast", "above 0, got 'fast'"),
        ("epochs=3", "unknown setting 'epochs'"),
        ("recipe=3", "mapping from keys"),
        ("recipe.iteration=3", "unknown setting 'recipe.iteration' .did you mean"),
        ("recipe.pretrained=1", "pretrained must be true or false, got 1"),
        ("recipe.pretrained=no", "pretrained must be true or false, got 'no'"),
        ("recipe.augmentation=blur", "some of bias_field"),
        ('recipe.class_weights={"liver": 1}', "class_weights must be a mapping from roles"),
        ('recipe.class_weights={"target": -1}', "class_weights must be a mapping from roles"),
    ],
)
def test_bad_assignment(text, message):
    with pytest.raises(SparseError, match=message):
        parse_assignments([text])


def test_changes_of_a_recipe_add_up():
    settings = TrainingSettings.from_block({"recipe": {"iterations": 5, "loss": "ce"}})
    changed = settings.replaced({"recipe": {"iterations": 6}})
    assert changed.recipe == {"iterations": 6, "loss": "ce"}
    assert "recipe" not in TrainingSettings().to_block()


def test_a_bad_recipe_in_a_block_is_named():
    with pytest.raises(SparseError, match=r"recipe\.iterations must be a whole number"):
        TrainingSettings.from_block({"recipe": {"iterations": 0}})
