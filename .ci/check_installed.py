"""Check an installed wheel against the repository it was built from.

Every module of the tree must be in it and importable, every command must show its help, and a
trainer must be found through nnUNet_extTrainer and survive pickling into a spawned process.
"""

import importlib
import multiprocessing
import os
import pickle
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

SOURCES = {
    "nnunet_sparse": "nnunet_sparse",
    "trainers": "nnunet_sparse.trainers",
    "planners": "nnunet_sparse.planners",
    "dataset_tools": "nnunet_sparse.dataset_tools",
}


def modules(repository: Path) -> list[str]:
    """Names of all modules in the tree."""
    names = []
    for folder, package in SOURCES.items():
        for path in sorted((repository / folder).rglob("*.py")):
            parts = path.relative_to(repository / folder).with_suffix("").parts
            names.append(".".join([package, *(p for p in parts if p != "__init__")]))
    return names


def class_name(pickled: bytes) -> str:
    """Runs in the spawned process, which knows nothing but the environment."""
    return pickle.loads(pickled).__name__


def main() -> None:
    """Run all checks; any failure ends with a traceback."""
    repository = Path(sys.argv[1])
    names = modules(repository)
    without_window = []
    for name in names:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:  # of the extra for the window
            is_of_window = name.startswith("nnunet_sparse.annotate.viewer.")
            if not is_of_window or error.name not in {"napari", "qtpy"}:
                raise
            without_window.append(name)
            continue
        assert not Path(module.__file__ or "").is_relative_to(repository), module.__file__
    print(f"{len(names) - len(without_window)} of {len(names)} modules imported")

    declared = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["scripts"]
    ours = distribution("nnunet-sparse")
    installed = {e.name for e in ours.entry_points if e.group == "console_scripts"}
    assert installed == set(declared), installed ^ set(declared)
    for command in sorted(installed):
        subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
        print(command)

    (manifest,) = (e for e in ours.entry_points if e.group == "napari.manifest")
    package, _, file = manifest.value.partition(":")
    assert Path(importlib.import_module(package).__file__ or "").with_name(file).is_file()

    shell = subprocess.run(["nnsparse_env"], check=True, capture_output=True, text=True).stdout
    (line,) = (x for x in shell.splitlines() if x.startswith("export nnUNet_extTrainer="))
    os.environ["nnUNet_extTrainer"] = line.partition("=")[2]
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    trainer = recursive_find_trainer_class_by_name("SparseTrainer")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(class_name, (pickle.dumps(trainer),)) == "SparseTrainer"
    print("SparseTrainer found through nnUNet_extTrainer and pickled")


if __name__ == "__main__":
    main()
