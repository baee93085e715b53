import argparse
from pathlib import Path

import pytest
from trained_models import write_model

from nnunet_sparse.prediction.model_options import add_model_options, open_model
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError


def opened(*argv: object) -> TrainedNetwork | None:
    parser = argparse.ArgumentParser()
    add_model_options(parser, "what predicts")
    return open_model(parser.parse_args([str(word) for word in argv]))


def test_folds_and_checkpoint(tmp_path: Path) -> None:
    model = write_model(tmp_path, folds=(0, 1, "all"))
    assert opened() is None
    every = opened("--model", model)
    assert every is not None
    assert (every.folder, every.folds) == (model, (0, 1))
    some = opened("--model", model, "-f", "1", "all")
    assert some is not None
    assert some.folds == (1, "all")
    with pytest.raises(SparseError, match=r"fold_0/checkpoint_best\.pth does not exist"):
        opened("--model", model, "-f", 0, "-chk", "checkpoint_best.pth")


@pytest.mark.parametrize("argv", [("-f", 0), ("-chk", "a.pth")])
def test_they_need_a_model(argv: tuple[object, ...]) -> None:
    with pytest.raises(SparseError, match=f"{argv[0]} works with --model"):
        opened(*argv)


def test_a_fold_is_a_number_or_all() -> None:
    with pytest.raises(SystemExit):
        opened("-f", "first")
