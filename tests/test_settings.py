import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.errors import SparseError
from nnunet_sparse.settings import TrainingSettings, parse_assignment


def test_defaults_are_those_of_nnunet():
    settings = TrainingSettings.from_block({})
    assert (settings.num_epochs, settings.num_iterations_per_epoch) == (1000, 250)
    assert (settings.optimizer, settings.initial_lr, settings.weight_decay) == ("sgd", 1e-2, 3e-5)
    assert settings.to_block() == {}


def test_block_holds_only_what_differs():
    block = {"num_epochs": 10, "optimizer": "sgd", "initial_lr": 0.002}
    assert TrainingSettings.from_block(block).to_block() == {"num_epochs": 10, "initial_lr": 0.002}


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
        ("num_epochs=20", ("num_epochs", 20)),
        ("initial_lr=2e-3", ("initial_lr", 0.002)),
        ("optimizer=adamw", ("optimizer", "adamw")),
    ],
)
def test_assignment(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_epochs", "key=value"),
        ("num_epochs=", "whole number.*got ''"),
        ("num_epochs=1e3", "whole number.*got '1e3'"),
        ("initial_lr=fast", "above 0, got 'fast'"),
        ("epochs=3", "unknown setting 'epochs'"),
    ],
)
def test_bad_assignment(text, message):
    with pytest.raises(SparseError, match=message):
        parse_assignment(text)
