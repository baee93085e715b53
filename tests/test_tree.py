"""The tree as CONTRIBUTING describes it: layers, faces of packages, names of tests."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("nnunet_sparse", "trainers", "planners", "dataset_tools")
# journeys through several files, and tests of all that is registered under some name
JOINT = {
    "acceptance/test_killed_calls.py",
    "acceptance/test_old_files.py",
    "annotate/test_kills_while_annotating.py",
    "annotate/test_random_actions.py",
    "architectures/test_monai_networks.py",
    "architectures/test_networks.py",
    "benchmarks/test_experiments.py",
    "browser/test_page.py",
    "campaign/test_rehearsal.py",
    "campaign/test_rounds.py",
    "campaign/test_ways_of_asking.py",
    "dataset_tools/test_selections.py",
    "doctor/test_flat_images.py",
    "doctor/test_label_values.py",
    "grid/test_factors.py",
    "grid/test_round_journey.py",
    "hostile/test_arguments.py",
    "hostile/test_forbidden_calls.py",
    "hostile/test_mutations.py",
    "hostile/test_names.py",
    "paper/test_miniature.py",
    "paper/test_specification.py",
    "selectors/test_selectors.py",
    "slurm/test_slurm.py",
    "system/test_kills.py",
    "test_docs.py",
    "test_real_data.py",
    "test_tree.py",
    "trainers/test_commands.py",
    "trainers/test_cross_validation.py",
    "trainers/test_ddp.py",
    "viewer/test_whole_campaign.py",
    "viewer/test_plug_ins.py",
    "viewer/test_window.py",
    "viewer/test_window_with_network.py",
}


def sources() -> dict[str, Path]:
    """Files of the source by the dotted name of their module."""
    found = {}
    for folder in FOLDERS:
        package = folder if folder == "nnunet_sparse" else f"nnunet_sparse.{folder}"
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(p for p in parts if p != "__init__")])] = path
    return found


def imported(path: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of ours that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else node.module for name in names}
    return found & modules.keys()


def package_of(module: str) -> str:
    """Package directly below ours."""
    return ".".join(module.split(".")[:2])


def test_faces_name_what_other_packages_use() -> None:
    modules = sources()
    used: dict[str, set[str]] = {}
    for module, path in modules.items():
        for other in imported(path, modules):
            package = package_of(other)
            if package != package_of(module) and other != package:
                used.setdefault(package, set()).add(other.removeprefix(f"{package}."))
    for package, names in used.items():
        face = ast.get_docstring(ast.parse(modules[package].read_text(encoding="utf-8"))) or ""
        shown = {name.removeprefix(f"{package}.") for name in imported(modules[package], modules)}
        named = set(re.findall(r"``([\w.]+)``", face)) | shown
        assert names <= named, f"{package}: {sorted(names - named)}"


def test_no_two_files_are_called_the_same() -> None:
    names = [path.name for path in sources().values() if path.name != "__init__.py"]
    assert sorted(names) == sorted(set(names))


def test_tests_mirror_the_source() -> None:
    tests = {path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    others = {
        str(test)
        for test in tests
        for source in [test.with_name(test.name.removeprefix("test_"))]
        if not any((folder / source).is_file() for folder in (ROOT / "nnunet_sparse", ROOT))
    }
    assert others == JOINT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("nnunet_sparse/data/split.py", "import nnunet_sparse.grid.jobs", "Layers BROKEN"),
        ("planners/plans.py", "import nnunet_sparse.trainers.seeding", "Layers BROKEN"),
        ("nnunet_sparse/system/atomic.py", "import nnunet_sparse.system.publication", "circles"),
        ("nnunet_sparse/system/errors.py", "import six", "DEP003 'six'"),
    ],
)
def test_what_the_layers_forbid_is_found(
    tmp_path: Path, file: str, line: str, contract: str
) -> None:
    """An import across layers, between siblings, in a circle, of what is not declared."""
    for name in (*FOLDERS, ".ci", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    changed = tmp_path / file
    changed.write_text(changed.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = subprocess.run(
        [str(tmp_path / ".ci" / "check_imports")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert done.returncode != 0
    assert contract in done.stdout + done.stderr
