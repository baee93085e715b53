"""Commands that need no network, in a process that cannot import what networks need.

``python light_commands.py FOLDER``; a worker that is started for them cannot do it either.
"""

import contextlib
import importlib.abc
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

HEAVY = ("torch", "monai", "torchvision", "napari")


class _Refuser(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"{name} is imported by a command that needs no network")


def _run(module: str, *words: object) -> None:
    status = import_module(f"nnunet_sparse.{module}").main([str(word) for word in words])
    assert status == 0, (module, words)


def _work(folder: Path) -> None:
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir()
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    shape = ["--shape", 16, 32, 32, "--num_train", 6, "--num_test", 2]
    _run("dataset_tools.make_phantom", "organ", *shape, "-np", 2)
    for selector in ("fixed", "stratified"):
        ways: Sequence[object] = ["--rho", 0.4, "--selector", selector]
        _run("dataset_tools.make_dataset_command", "-d", 500, *ways, "-np", 2)
    for method in ("shape", "nearest"):
        _run("dataset_tools.interpolate_command", "-d", 501, "--method", method, "-np", 2)
    ways = ["--rho", 0.4, "--methods", "shape", "-o", folder / "quality"]
    _run("report.interpolation.quality_command", "-d", 500, *ways, "-np", 2)
    _run("report.selection.show_selection", 501, "-o", folder / "slices.png")
    _run("doctor.doctor_command", "-d", 501, "-np", 2)
    (base,) = (folder / "raw").glob("Dataset500*")
    shutil.copytree(base / "labelsTs", folder / "predictions")
    _run("evaluation.evaluate", base / "labelsTs", folder / "predictions", "-np", 2)
    campaign = folder / "campaign"
    asked = ["--budget", 10, "--labels", "breast", "-np", 2]
    _run("campaign.worklist_command", "make", base / "imagesTr", "-o", campaign, *asked)
    _run("campaign.worklist_command", "status", campaign)
    ways = ["--annotations", base / "labelsTr", "--drop_extra", "--confirm_empty", "-np", 2]
    _run("campaign.import_command", campaign, *ways)
    _run("grid.grid_command", "init", "--preset", "paper", "-d", 500, "-o", folder / "grid.yaml")
    _run("grid.grid_command", "plan", folder / "grid.yaml")
    with contextlib.suppress(SystemExit):
        _run("annotate.annotate_command", "--help")
    _run("front.nnsparse_command")


if __name__ == "__main__":
    sys.meta_path.insert(0, _Refuser())
    _work(Path(sys.argv[1]))
