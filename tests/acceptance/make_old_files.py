"""Write ``old_files.tar.xz``: a small set of everything that commit 8f674e5 writes.

Made once, with the code of that commit, which ``test_old_files.py`` shows its successors to accept.
It is made by (the archive here was made by the same functions, called one after the other)::

    git worktree add ../old 8f674e5
    cp -r tests/acceptance ../old/tests/
    cd ../old
    PYTHONPATH=tests uv run --frozen --all-extras python -m acceptance.make_old_files

Networks are smaller than those of the presets and planners (:func:`shrink`), which no file of the
set tells: their sizes stand in the checkpoints and plans, from which they are built again. So a
training of a network without labels that was killed is not in the set: it would be continued with
the preset's size.

Some files hold absolute paths (``campaign.json`` and ``request.json`` those of the volumes,
``report.json`` that of the experiment, summaries those of the labels). In the archive the folder
of the set is called ``@ROOT@`` there; :mod:`archive` puts it back. Times of files are kept to the
nanosecond, since stores compare them, and so are hard and symbolic links.

Calls that were killed (:mod:`halfway`) run in a process of their own.
"""

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from acceptance.archive import ARCHIVE, pack
from acceptance.halfway import ANNOTATE, CALLS, FOLDER, annotate_most
from campaign.scans import write_scans
from published_trees import atlas_tree

KILLED = 137
BASE = "Dataset500_PhantomOrgan"
SHORT = ("num_iterations_per_epoch=2", "num_val_iterations_per_epoch=1", "save_every=1")
PLANNING = ("-c", "2d", "-pl", "SmallPlanner", "-np", "1", "--set", "num_epochs=2", *SHORT)
SMALL_PLANS, RECIPE_PLANS = "nnsparseSmallPlans", "nnsparseRecipePlans"
DATA_SETS = (
    "--rho 0.25 --s 0.5 --selector random --seed 3",
    "--budget 9 --scope dataset --selector stratified",
    "--slices_per_volume 2 --selector foreground_random --repeats 2",
    "--rho 0.25 --selector ual",
    "--rho 0.5 --selector random --positive_weight 2",
    "--rho 0.25 --interpolate shape",
    "--rho 0.25 --interpolate correspondence",
)
"""Variants, as ``nnsparse_make_dataset`` is asked for them."""
GRID = """\
tasks:
  - base: Dataset500_PhantomOrgan
configurations:
  - configuration: 2d
    planner: SmallPlanner
    settings: {num_epochs: 2, num_iterations_per_epoch: 2, num_val_iterations_per_epoch: 1,
               save_every: 1}
rho: [0.25]
s: [1]
selectors: [fixed, ual]
repeats: 1
dense: false
threads: 1
device: cpu
"""


def shrink() -> None:
    """Let networks have a few thousand weights, and trainings without labels take a second."""
    from nnunet_sparse.features import mae_presets as presets
    from nnunet_sparse.features.mae import MaeSize
    from nnunet_sparse.interpolation.network import CorrespondenceNetwork
    from nnunet_sparse.planners.small_planner import SmallPlanner

    side = presets.PRESETS["tiny"].max_side  # it decides the canvas, which is compared
    presets.PRESETS["tiny"] = presets.Preset(MaeSize(8, 1, 2, 8, 1, 2), side, 8, 2000, 5, 1, 1e-3)
    network = CorrespondenceNetwork.__init__
    network.__defaults__ = (1, 6, (2, 3, 4, 5), 4, 1.0, 0.0, 0.0)
    planner = SmallPlanner.__init__

    def small(self: Any, *args: Any, **kwargs: Any) -> None:
        planner(self, *args, **kwargs)
        self.UNet_base_num_features = 2
        self.UNet_max_features_2d = self.UNet_max_features_3d = 6

    SmallPlanner.__init__ = small  # type: ignore[method-assign]


def command(name: str, *arguments: object, allowed: tuple[int, ...] = (0,)) -> None:
    """Run a command in this process."""
    print("$", name, *arguments, file=sys.stderr, flush=True)
    (found,) = entry_points(group="console_scripts", name=name)
    before, sys.argv = sys.argv, [name, *map(str, arguments)]
    try:
        status = found.load()() or 0
    finally:
        sys.argv = before
    if status not in allowed:
        raise SystemExit(f"{name} ended with status {status}")


def killed(where: str, name: str, *arguments: object) -> None:
    """Run a command in a process that is killed at some function."""
    program = [sys.executable, "-m", "acceptance.make_old_files", "--killed", where, name]
    program += map(str, arguments)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    if (status := subprocess.run(program, env=environment, check=False).returncode) != KILLED:
        raise SystemExit(f"{name} ended with status {status} and was not killed at {where}")


def _run_killed(where: str, name: str, *arguments: str) -> None:
    module, function, *count = where.split(":")
    owner: Any = importlib.import_module(module)
    *inner, function = function.split(".")
    for part in inner:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, function)
    left = int(count[0]) if count else 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        result = original(*args, **kwargs) if count else None
        left -= 1
        if left <= 0:
            os._exit(KILLED)
        return result

    setattr(owner, function, counted)
    command(name, *arguments)


@contextmanager
def working_in(folder: Path) -> Iterator[Path]:
    """Work in a folder with nnU-Net's three folders below it."""
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(folder / name)
    with chdir(folder):
        yield folder


def make_data_sets() -> None:
    """A base, variants of it, and what is made of them."""
    command(
        *("nnsparse_make_phantom", "organ", "--shape", 8, 32, 32, "--num_train", 6),
        *("--num_test", 2, "-np", 1),
    )
    base = ("nnsparse_make_dataset", "-d", BASE, "-np", 1, "-device", "cpu")
    command(*base, "--rho", 0.25, "--val", 1)
    for options in DATA_SETS:
        command(*base, *options.split())
    atlas_tree(Path("ATLAS_2"))
    command("nnsparse_convert_atlas", "ATLAS_2", "--size", 7, 12, 11, "-np", 1)


def make_trainings(folder: Path) -> None:
    """Preprocessed data, networks, predictions and scores."""
    raw, plan = folder / "nnUNet_raw", "nnsparse_plan_and_preprocess"
    fixed, shape, ual = (
        next(raw.glob(f"Dataset*_PhantomOrgan_rho0.250_s1.000_{name}_seed0")).name
        for name in ("fixed", "fixed_mi_shape", "ual")
    )
    command(plan, "-d", fixed, *PLANNING)
    command(plan, "-d", shape, *PLANNING)
    command(
        *(plan, "-d", ual, "-c", "3d_fullres", "-pl", "SmallPlanner", "-p", RECIPE_PLANS),
        *("-np", 1, "--set", *SHORT, "recipe.iterations=4", 'recipe.network={"base_features": 1}'),
    )
    small = ("-tr", "SparseTrainer", "-p", SMALL_PLANS, "-device", "cpu")
    command("nnUNetv2_train", fixed, "2d", 0, *small)
    saved = "nnunet_sparse.trainers.sparse_trainer:SparseTrainer.save_checkpoint:1"
    killed(saved, "nnUNetv2_train", fixed, "2d", 1, *small)
    recipe = ("-tr", "SparseTrainerUNet3D", "-p", RECIPE_PLANS, "-device", "cpu")
    killed(saved, "nnUNetv2_train", ual, "3d_fullres", 1, *recipe)
    images = ("-i", raw / fixed / "imagesTs", "-o", "predictions", "-d", fixed, "-c", "2d")
    command("nnUNetv2_predict", *images, "-f", 0, *small, "-npp", 1, "-nps", 1)
    command("nnsparse_evaluate", raw / fixed / "labelsTs", "predictions", "-np", 1)


def make_grid() -> None:
    """An experiment that was done and reported on, then extended; its training was killed."""
    file = Path("grid.yaml")
    file.write_text(GRID.replace(", ual", ""), encoding="utf-8")
    command("nnsparse_grid", "run", file, "--cores", 1)
    command("nnsparse_report", file, "--formats", "svg", "-np", 1)
    killed("nnunet_sparse.report.report_folder:replace_folder", "nnsparse_report", file)
    file.write_text(GRID, encoding="utf-8")
    command("nnsparse_grid", "run", file, "--cores", 1, "--until", "prepare")
    (training,) = Path("grid/records/train").glob("*.json")
    key = training.stem.replace("_fixed_", "_ual_")
    saved = "nnunet_sparse.trainers.sparse_trainer:SparseTrainer.save_checkpoint:1"
    killed(saved, "nnsparse_grid", "step", file, "train", key)
    # as the workflow does
    log = Path("grid/logs/train") / f"{key}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("Epoch 0\n", encoding="utf-8")


def make_campaigns() -> None:
    """A campaign that is annotated in part and imported, and one that a network has chosen for."""
    write_scans(Path("scans"))
    make = ("nnsparse_worklist", "make", "scans", "--labels", "ball", "core", "-np", 1)
    command(*make, "-o", "campaign", "--slices_per_volume", 3)
    annotate_most()
    command("nnsparse_worklist", "status", "campaign", "-np", 1)
    command("nnsparse_import", "campaign", "--partial", "--annotator", "Ada", "-np", 1)
    chosen = ("--selector", "ual", "-device", "cpu")
    command(*make, "-o", "campaign_ual", "--slices_per_volume", 2, *chosen)


def make_halfway(base: Path) -> None:
    """What calls that were killed have left; the base is the same in each folder."""
    for call in CALLS:
        with working_in(Path(FOLDER).resolve() / call.name) as folder:
            if "PhantomOrgan" in " ".join((*call.before, call.command)):
                for part in ("nnUNet_raw", "nnUNet_preprocessed"):
                    shutil.copytree(base / part, folder / part, dirs_exist_ok=True)
            for source in ("scans", "truth", "ATLAS_2"):
                if source == "truth" or source in " ".join((*call.before, call.command)):
                    shutil.copytree(base / source, folder / source)
            for line in call.before:
                if line == ANNOTATE:
                    annotate_most()
                else:
                    command(*shlex.split(line))
            killed(call.where, *shlex.split(call.command))


def keep_answers(fixed: str) -> None:
    """What commands that change nothing say of the files."""
    folder = Path("answers")
    folder.mkdir()
    doctor = f"nnsparse_doctor -d {fixed} -c 2d -p {SMALL_PLANS} --no_picture -nb 2 --json -np 1"
    for name, line in (
        ("doctor", doctor),
        ("grid_status", "nnsparse_grid status grid.yaml"),
        ("advice", "nnsparse_advise grid.yaml --budget 5"),
        ("campaign_status", "nnsparse_worklist status campaign -np 1"),
    ):
        with (folder / f"{name}.txt").open("w", encoding="utf-8") as file, redirect_stdout(file):
            command(*shlex.split(line), allowed=(0, 1))


def make_everything(root: Path) -> None:
    """Fill an empty folder."""
    with tempfile.TemporaryDirectory() as start, working_in(root):
        make_data_sets()
        make_trainings(root)
        make_grid()
        make_campaigns()
        keep_answers("501")
        with working_in(Path(start)) as base:
            write_scans(Path("scans"))
            atlas_tree(Path("ATLAS_2"))
            small = ("--num_train", 4, "--num_test", 1, "-np", 1)
            command("nnsparse_make_phantom", "organ", "--shape", 8, 32, 32, *small)
            split = ("--rho", 0.5, "--val", 1, "-np", 1)
            command("nnsparse_make_dataset", "-d", BASE, *split)
            shutil.rmtree(next(Path("nnUNet_raw").glob("*_fixed_*")))
        make_halfway(base)


def main() -> None:
    os.environ |= {
        "nnUNet_n_proc_DA": "0",
        "nnUNet_def_n_proc": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "nnUNet_compile": "f",
    }
    from nnunet_sparse.system.env import EXT_TRAINER, ext_trainers_folder

    os.environ[EXT_TRAINER] = str(ext_trainers_folder())
    if sys.argv[1:2] == ["--killed"]:
        _run_killed(*sys.argv[2:])
        return
    shrink()
    root = Path(tempfile.mkdtemp(prefix="nnsparse_old_"))
    make_everything(root)
    pack(root)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes, made in {root}")


if __name__ == "__main__":
    main()
