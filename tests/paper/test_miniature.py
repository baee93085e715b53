"""The whole paper on miniatures of its data sets, by the commands alone: ``make paper``.

Published trees, converters, ``nnsparse_grid init --preset paper``, the same file with small
networks and short trainings, ``run``, ``report``. The folder stays, so that its figures can be
looked at beside the paper's; a second call goes on where the first one ended.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from paper_miniatures import convert_all, phantom_trees

from nnunet_sparse.grid.grid_command import main as grid_main
from nnunet_sparse.report.grid.report_command import main as report_main
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.pretrained import WEIGHTS_FOLDER

FOLDER = os.environ.get("NNSPARSE_PAPER", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="takes 20 minutes: make paper"),
]
SHAPE = (48, 48, 48)
NUM_VOLUMES = 11
# densities of one budget meet: all volumes at 0.4, half of them at 0.8
RHO, S = [0.4, 0.8], [0.5, 1.0]
MIT = {
    "depths": [2, 2, 2, 2],
    "hidden_sizes": [16, 32, 40, 64],
    "num_attention_heads": [1, 2, 4, 8],
}
COLLAPSED = "DBC_Breast_rho0.800_s0.500_fixed_seed0__2d__SparseTrainerSegFormer"
"""Begin of the name of the training that is made to collapse."""
NETWORKS: dict[str, dict[str, Any]] = {
    "SparseTrainerInceptionUNet": {"channels": [8, 12, 16, 24, 32]},
    "SparseTrainerSegFormer": MIT | {"decoder_hidden_size": 64},
    "SparseTrainerCAMWNet": {
        "vgg_channels": [[8], [8], [12], [16], [16]],
        "decoder_channels": [16, 12, 8, 8],
        "channels": [8, 12, 16, 16, 16],
        "reduction": 2,
    },
    "SparseTrainerUNet3D": {"base_features": 8},
    "SparseTrainerSegResNet": {"init_filters": 8, "blocks_down": [1, 1, 1, 1]},
    "SparseTrainerUNETR": {"feature_size": 8, "hidden_size": 48, "mlp_dim": 96, "num_heads": 4},
    "SparseTrainerAttentionUNet3D": {"channels": [8, 12, 16, 20, 24]},
}
RATES = {"SparseTrainerUNet3D": 5}
"""Learning rate as a multiple of the recipe's, where 20 times is too much."""


def run(main: Callable[[list[str]], int], *arguments: object) -> None:
    """Run a command with whatever it writes on the terminal."""
    assert main([str(argument) for argument in arguments]) == 0


def random_weights(folder: Path) -> None:
    """Files of random numbers in place of the published weights, with their names and keys."""
    from transformers import SegformerConfig, SegformerForImageClassification

    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    SegformerForImageClassification(SegformerConfig(**MIT)).save_pretrained(folder / "mit-b3")
    content, before, position = {}, 3, 0
    for stage in NETWORKS["SparseTrainerCAMWNet"]["vgg_channels"]:
        for channels in stage:
            content[f"features.{position}.weight"] = 0.1 * torch.randn(channels, before, 3, 3)
            content[f"features.{position}.bias"] = torch.zeros(channels)
            before, position = channels, position + 2
        position += 1
    torch.save(content, folder / "vgg16-397923af.pth")


def shortened(text: str) -> str:
    """The paper's file with two densities, two fractions, one repeat, and small trainings."""
    content = yaml.safe_load(text)
    content |= {"rho": RHO, "s": S, "repeats": 1, "threads": 1, "device": "cpu", "mae": ["tiny"]}
    content["interpolation"] |= {
        "methods": ["published"],
        "rho": RHO,
        "changes": {"num_steps": 20, "max_side": 32},
    }
    content["interpolation"].pop("preset", None)
    for task in content["tasks"]:
        for way in task["configurations"]:
            short(way)
        # the other selectors are tried with one network, on all volumes
        others = {"selectors": ["random", "ual"]}
        exclude = [others]
        if "LiTS17" in task["base"]:
            exclude = [
                others | {"configuration": "3d_fullres"},
                others | {"s": 0.5},
                others | {"kind": "interpolated"},
            ]
        task["exclude"] = task.get("exclude", []) + exclude
    return yaml.safe_dump(content, sort_keys=False)


def short(way: dict[str, Any]) -> None:
    """A small network that is trained for seconds, with the rest of its recipe."""
    paper = PAPER[way["trainer"]].recipe
    flat = way["configuration"] == "2d"
    is_quick = flat or way["trainer"] == "SparseTrainerUNet3D"
    way["scale"] = 0.2 if flat else 0.1
    way["settings"] = {
        "num_iterations_per_epoch": 20,
        "num_val_iterations_per_epoch": 1,
        "recipe": {
            "iterations": 300 if is_quick else 80,
            "period": 20,
            "initial_lr": RATES.get(way["trainer"], 20) * paper.initial_lr,
            "network": NETWORKS[way["trainer"]],
        },
    }
    if way.get("extra"):
        way |= {"rho": [0.4], "s": [1]}


def read_results(report: Path) -> pd.DataFrame:
    """The results of a report; the column is left out where no training collapsed."""
    results = pd.read_csv(report / "results.csv")
    return results if "collapsed" in results else results.assign(collapsed=False)


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where everything is kept, with nnU-Net's folders below it in the environment."""
    found = Path(FOLDER).resolve()
    found.mkdir(exist_ok=True)
    return found


def collapse(folder: Path) -> None:
    """Have one network predict background alone, as one that has failed to converge."""
    prediction = next((folder / "paper" / "predictions").glob(f"{COLLAPSED}__*"))
    (checkpoint,) = (folder / "nnunet" / "nnUNet_results").glob(
        f"Dataset*_{COLLAPSED.replace('__2d__', '/')}__*__2d/fold_0/checkpoint_final.pth"
    )
    content = torch.load(checkpoint, weights_only=False)
    for weights in content["network_weights"].values():
        weights.zero_()
    torch.save(content, checkpoint)
    shutil.rmtree(prediction)


def test_the_whole_paper(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = NnUNetPaths.below(folder / "nnunet")
    paths.make_folders()
    for name, value in paths.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(WEIGHTS_FOLDER, str(folder / "weights"))
    if not (folder / "weights").is_dir():
        random_weights(folder / "weights")
    trees = folder / "published"
    if not trees.is_dir():
        phantom_trees(folder / "published_partial", NUM_VOLUMES, SHAPE)
        (folder / "published_partial").rename(trees)
    convert_all(trees, SHAPE)
    bases = sorted(path.name for path in paths.raw.glob("Dataset*") if "_rho" not in path.name)
    preset, file = folder / "paper_as_published.yaml", folder / "paper.yaml"
    run(grid_main, "init", "--preset", "paper", "-d", *bases, "-o", preset, "--overwrite")
    file.write_text(shortened(preset.read_text("utf-8")), "utf-8")
    run(grid_main, "plan", file)
    # in a process of its own, as Snakemake expects it
    command = [sys.executable, "-m", "nnunet_sparse.grid.grid_command", "run", str(file)]
    subprocess.run(command, check=True)
    run(report_main, file)
    report = folder / "paper" / "report"
    results = read_results(report)
    if not results["key"].str.startswith(COLLAPSED)[results["collapsed"]].any():
        collapse(folder)
        subprocess.run(command, check=True)
        run(report_main, file)
        results = read_results(report)
    assert set(results["trainer"]) == set(PAPER)
    assert set(results["kind"]) == {"dense", "sparse", "interpolated", "partner"}
    assert set(results["selector"]) == {"fixed", "random", "ual"}
    figures = {path.stem for path in (report / "figures").glob("*.png")}
    assert {f"figure{number}" for number in range(1, 6)} <= figures
    texts = {}
    for number in range(2, 6):
        table = pd.read_csv(report / "tables" / f"table{number}.csv", dtype=str, na_filter=False)
        texts[number] = [value for row in table.to_numpy() for value in row]
        assert texts[number]
        assert "missing" not in texts[number]
    # what the paper's file excludes, and what fits no network
    assert "N/A" in texts[4]
    assert "N/A" in texts[5]
    document = (report / "report.md").read_text("utf-8")
    # the networks have learned: what is compared is not noise alone
    assert results["collapsed"].any()
    assert results["collapsed"].mean() < 0.1
    assert "collapsed" in document
    # finding 1 is paired: 0.4 of all volumes and 0.8 of half of them are equally many slices
    assert "no pair of cells" not in document
    pairs = pd.read_csv(report / "tables" / "findings.csv").set_index(["finding", "task"])["cells"]
    spread = pairs["fewer slices on more volumes are better than more on fewer (same budget)"]
    # all cells, 2D and 3D with tasks as the sample, and each task in both
    assert len(spread) == 1 + 2 + 2 * len(bases)
    assert (spread > 0).all()
