r"""What a GPU makes of everything that runs on one, within nine minutes, preparation included.

    python benchmarks/gpu.py -o FOLDER                                   # one large GPU, 16 cores
    python benchmarks/gpu.py -o FOLDER --part recipes --budget 300       # one part again
    python benchmarks/gpu.py -o FOLDER --device cpu --tiny               # does it run?

Every part runs in a process of its own until its budget of seconds is spent, and writes each row
when it is measured, so that parts which fail, or are ended, keep what they had. All rows stand in
``FOLDER/gpu.json`` and ``FOLDER/gpu.md``.

- ``data``: phantoms of 128 x 512 x 512 voxels, a fifth of their slices, planned by
  ``SparsePlanner``.
- ``recipes``: the paper's trainers with their published networks, batches and patches, augmented
  by worker processes and on the device.
- ``planner``: ``SparseTrainer`` and ``nnUNetTrainer`` with the plans of ``SparsePlanner``.
- ``compile``: ``SparseTrainer`` with ``torch.compile``, which is off in ``planner`` and elsewhere.
- ``affinity``: local affinity in tiles against the published way (``affinity.py``).
- ``networks``: masked autoencoder and interpolator with their large presets, on random slices.

A step is a batch, from its request to the end of the optimizer's step, of which *waiting* is the
share that passes before the batch is there. Steps are counted after as many as loaders may have
prepared in advance, or, where a row has too little time, in its second half.
"""

import argparse
import contextlib
import gc
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import affinity
import numpy as np
from bench_data import PHANTOM, BenchData, open_paths
from bench_trainer import sparse_trainer
from recipes import BASELINE, NARROW

from nnunet_sparse.planners.planner_classes import default_plans_name
from nnunet_sparse.system.atomic import write_json, write_text
from nnunet_sparse.system.command import CommandParser, positive_int, run_command
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Runner
from nnunet_sparse.system.software import software
from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.paper_tasks import TASKS, PaperSize, scaled

Row = dict[str, Any]

TASK = f"{PHANTOM}lesion"
RHO = 0.2
# seconds; together nine minutes, with the start of the processes
BUDGETS = {
    "data": 110,
    "recipes": 225,
    "planner": 60,
    "compile": 75,
    "affinity": 35,
    "networks": 35,
}
AUGMENTATION_ON = ("workers", "device")
STOCK_TRAINER = "nnUNetTrainer"
CONFIGURATIONS = ("2d", "3d_fullres")
_TINY = 0.01
_MOST_LETTERS = 120
_COLUMNS = {
    "s_per_step": "s per step",
    "waiting": "waiting",
    "steps": "steps",
    "peak_gib": "peak GiB",
    "slices_per_s": "slices/s",
    "gflops": "Gflop/s",
}


@dataclass(frozen=True)
class Bench:
    """What the parts need.

    Attributes
    ----------
    paths
        nnU-Net's folders.
    output
        Folder of the results.
    device
        ``cuda`` or ``cpu``.
    tiny
        Whether only the way is tried, at sizes that a CPU computes within seconds.
    end
        When the budget is spent, by ``time.monotonic``.
    """

    paths: NnUNetPaths
    output: Path
    device: str
    tiny: bool
    end: float

    @property
    def planner(self) -> str:
        """Planner of the phantom."""
        return "SmallPlanner" if self.tiny else "SparsePlanner"

    @property
    def seconds_left(self) -> float:
        """Seconds of the budget that are left."""
        return self.end - time.monotonic()

    def dataset(self) -> str:
        """Name of the preprocessed phantom, made where it is missing."""
        made = read_part(_file(self.output, "data")).get("rows")
        return str(made[0]["what"]) if made else self.make_dataset()

    def make_dataset(self) -> str:
        """Make the phantom and what is trained on; returns its name."""
        shape = "16 32 32" if self.tiny else "128 512 512"
        options = f"--shape {shape} --spacing 1 1 1 --num_train 3 --num_test 1"
        # processes take longer to start than tiny images to be made
        number = 1 if self.tiny else os.cpu_count() or 1
        runner = Runner(self.output / "logs", self.paths, number)
        data = BenchData(self.paths, runner, "", self.planner, CONFIGURATIONS, phantom=options)
        return data.variant(TASK, RHO)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run everything."""
    parser = CommandParser("gpu.py", "Nine minutes of one large GPU.", "gpu.py -o FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--part", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--budget", type=positive_int, help="seconds of each part")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a dry run, for a CPU")
    parser.add_argument("--one", choices=tuple(PARTS), help=argparse.SUPPRESS)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    budgets = {part: args.budget or BUDGETS[part] for part in PARTS}
    if args.one:
        run_part(args, args.one, budgets[args.one])
        return
    args.output.mkdir(parents=True, exist_ok=True)
    for part in args.part:
        _run_apart(args, part, budgets[part])
        table = gather(args.output)
    print(table, end="")


def _run_apart(args: argparse.Namespace, part: str, budget: int) -> None:
    """Run a part in a process of its own, which ends with its budget."""
    if args.device == "cpu":
        run_part(args, part, budget)
        return
    command = [sys.executable, __file__, "-o", str(args.output), "--device", args.device]
    command += ["--one", part, "--budget", str(budget), *(["--tiny"] if args.tiny else [])]
    file = _file(args.output, part)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    start = time.monotonic()
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            process.wait(budget)
            ended = f"ended with status {process.returncode}" if process.returncode else ""
        except subprocess.TimeoutExpired:
            ended = f"ended after its budget of {budget} s"
        finally:
            # with the commands and loaders that it has started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    seconds = round(time.monotonic() - start, 1)
    found = read_part(file)
    error = "; ".join(text for text in (found.get("error"), ended) if text)
    content = {"rows": []} | found | {"seconds": seconds}
    write_json(file, content | ({"error": error} if error else {}))


def run_part(args: argparse.Namespace, part: str, budget: float) -> None:
    """Run a part here; what fails is written down, row by row."""
    start = time.monotonic()
    file = _file(args.output, part)
    file.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"rows": []}
    write_json(file, content)
    try:
        # within, since nothing here works without them
        paths = open_paths(args.output)
        bench = Bench(paths, args.output, args.device, args.tiny, start + budget)
        content["machine"] = _machine(args.device)
        for row in PARTS[part](bench):
            content["rows"].append(row)
            write_json(file, content)
    except Exception as error:  # whatever it is, the other parts are to run
        content["error"] = _text(error)
    write_json(file, content | {"seconds": round(time.monotonic() - start, 1)})


def gather(output: Path) -> str:
    """Write ``gpu.json`` and ``gpu.md`` of all parts that there are; returns the table."""
    parts = {part: read_part(_file(output, part)) for part in PARTS}
    parts = {part: content for part, content in parts.items() if content}
    write_json(output / "gpu.json", parts)
    lines = [f"| part | what | {' | '.join(_COLUMNS.values())} | note |"]
    lines.append("|---" * (len(_COLUMNS) + 3) + "|")
    for part, content in parts.items():
        rows = [*content["rows"], *([{"error": content["error"]}] if "error" in content else [])]
        for row in rows:
            values = [_number(row.get(column)) for column in _COLUMNS]
            note = row.get("error", row.get("note", ""))
            lines.append(f"| {part} | {row.get('what', '')} | {' | '.join(values)} | {note} |")
    seconds = sum(content.get("seconds", 0) for content in parts.values())
    machines = {content["machine"]: None for content in parts.values() if "machine" in content}
    table = "\n".join([*lines, "", f"{'; '.join(machines)}; {seconds:.0f} s", ""])
    write_text(output / "gpu.md", table)
    return table


def read_part(file: Path) -> dict[str, Any]:
    """What a part has written, which is nothing where it was not run."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _file(output: Path, part: str) -> Path:
    return output / "parts" / f"{part}.json"


def _number(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(error: Exception) -> str:
    """Beginning of an error, which may be long."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {textwrap.shorten(lines[0], _MOST_LETTERS)}"


def _machine(device: str) -> str:
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else device
    return f"{name}, {os.cpu_count()} cores, {software()}"


def _data(bench: Bench) -> Iterator[Row]:
    start = time.monotonic()
    name = bench.make_dataset()
    yield {"what": name, "note": f"made in {time.monotonic() - start:.0f} s"}


def _recipes(bench: Bench) -> Iterator[Row]:
    tasks = []
    for name, paper in PAPER.items():
        size = TASKS[paper.task].sizes[paper.dimensions]
        recipe: dict[str, Any] = {"pretrained": False}
        if bench.tiny:
            size, recipe["network"] = scaled(size, _TINY), NARROW[name]
        for where in AUGMENTATION_ON:
            settings = {"recipe": recipe} | _augmented(where)
            tasks.append(_Training(f"{name}, {where}", name, paper.configuration, settings, size))
    yield from _trainings(bench, tasks)


def _planner(bench: Bench) -> Iterator[Row]:
    tasks = []
    for configuration in CONFIGURATIONS:
        for trainer, where in ((STOCK_TRAINER, ""), *((BASELINE, on) for on in AUGMENTATION_ON)):
            settings = _augmented(where)
            what = ", ".join(word for word in (trainer, configuration, where) if word)
            tasks.append(_Training(what, trainer, configuration, settings))
    yield from _trainings(bench, tasks)


def _augmented(where: str) -> dict[str, str]:
    """Setting for where images are augmented; nothing for the default."""
    return {"augmentation_on": where} if where == "device" else {}


def _compiled(bench: Bench) -> Iterator[Row]:
    tasks = [
        _Training(f"{BASELINE}, {configuration}", BASELINE, configuration, compiled=True)
        for configuration in CONFIGURATIONS
    ]
    yield from _trainings(bench, tasks)


@dataclass(frozen=True)
class _Training:
    """A training whose steps are timed."""

    what: str
    trainer: str
    configuration: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    size: PaperSize | None = None
    compiled: bool = False


def _trainings(bench: Bench, tasks: Sequence[_Training]) -> Iterator[Row]:
    """A row for each training; those that are left share the time that is left."""
    dataset = bench.dataset()
    for number, task in enumerate(tasks):
        seconds = bench.seconds_left / (len(tasks) - number)
        row: Row = {"what": task.what}
        try:
            row |= _steps(bench, dataset, task, time.monotonic() + seconds)
        except Exception as error:  # out of memory, or a setting that does not exist
            row["error"] = _text(error)
        yield row


def _steps(bench: Bench, dataset: str, task: _Training, end: float) -> Row:
    """Pace and memory of a training, as nnU-Net starts it, without its files."""
    import torch

    is_cuda = bench.device == "cuda"
    size = {} if task.size is None else vars(task.size)
    os.environ["nnUNet_compile"] = "true" if task.compiled else "false"
    if not is_cuda:
        os.environ["nnUNet_n_proc_DA"] = "0"
    if is_cuda:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.backends.cudnn.benchmark = True
    with (
        tempfile.TemporaryDirectory() as results,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        os.environ["nnUNet_results"] = results
        trainer = sparse_trainer(
            bench.paths,
            dataset,
            default_plans_name(bench.planner),
            task.configuration,
            settings=dict(task.settings),
            device=bench.device,
            trainer_name=task.trainer,
            **size,
        )
        trainer.on_train_start()
        try:
            trainer.on_train_epoch_start()
            waiting, whole = _timed_steps(bench, trainer, end)
        finally:
            for loader in (trainer.dataloader_train, trainer.dataloader_val):
                getattr(loader, "_finish", lambda: None)()
    patch = "x".join(str(side) for side in trainer.configuration_manager.patch_size)
    row: Row = {
        "s_per_step": sum(whole) / len(whole),
        "waiting": sum(waiting) / sum(whole),
        "steps": len(whole),
        "note": f"{trainer.batch_size} patches of {patch}",
    }
    if is_cuda:
        row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return row


def _timed_steps(bench: Bench, trainer: Any, end: float) -> tuple[list[float], list[float]]:
    """Seconds of waiting for each batch, and of the whole step with it."""
    from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

    # the first ones choose algorithms and compile; each process has up to two batches ready
    num_first = 1 if bench.tiny else max(3, 2 * get_allowed_n_proc_DA())
    most = num_first + (1 if bench.tiny else 100)
    half = time.monotonic() + (end - time.monotonic()) / 2
    waiting: list[float] = []
    whole: list[float] = []
    is_counted = False
    for step in range(most):
        start = time.perf_counter()
        batch = next(trainer.dataloader_train)
        there = time.perf_counter()
        trainer.train_step(batch)
        _synchronize(bench)
        if is_counted:
            waiting.append(there - start)
            whole.append(time.perf_counter() - start)
        is_counted = is_counted or step + 1 >= num_first or time.monotonic() > half
        if whole and time.monotonic() > end:
            break
    return waiting, whole


def _synchronize(bench: Bench) -> None:
    if bench.device == "cuda":
        import torch

        torch.cuda.synchronize()


def _affinity(bench: Bench) -> Iterator[Row]:
    sizes = ["--side", "16", "--features", "4", "--radius", "1", "--rounds", "1"]
    options = ["--device", bench.device, *(sizes if bench.tiny else [])]
    found = affinity.compare(affinity.arguments().parse_args(options))
    for name, way in found.items():
        if isinstance(way, dict):
            yield {
                "what": name,
                "s_per_step": way["s"],
                "peak_gib": way["mb"] / 2**10,
                "gflops": way["gflops"],
                "note": f"largest difference {found['difference']:.1e}",
            }
    yield {"what": "a matrix product", "gflops": found["gflops_of_a_product"]}


def _networks(bench: Bench) -> Iterator[Row]:
    for what, work in (
        ("masked autoencoder", _autoencoder),
        ("interpolator", _interpolator),
    ):
        row: Row = {"what": what}
        try:
            row |= work(bench)
        except Exception as error:
            row["error"] = _text(error)
        yield row


def _autoencoder(bench: Bench) -> Row:
    from nnunet_sparse.features.canvas import plan_canvas
    from nnunet_sparse.features.mae_presets import MAE_PRESETS
    from nnunet_sparse.features.mae_training import set_up_mae

    name = "tiny" if bench.tiny else "small"
    preset = MAE_PRESETS[name]
    if bench.tiny:
        preset = replace(preset, batch_size=4)
    canvas = plan_canvas([(512, 512)], [(1.0, 1.0)], preset.max_side)
    shape = 4 * preset.batch_size, 1, canvas.height, canvas.width
    slices = _random(shape)

    def set_up(device: Any) -> Any:
        return set_up_mae(slices, preset, canvas.grid, canvas.patch, 0, device)

    note = f"{name}, {preset.batch_size} slices of {canvas.height}x{canvas.width}"
    return _trained(bench, set_up, preset.batch_size, 0.4) | {"note": note}


def _interpolator(bench: Bench) -> Row:
    from nnunet_sparse.interpolation.interpolator_presets import INTERPOLATOR_PRESETS
    from nnunet_sparse.interpolation.interpolator_training import set_up_interpolator
    from nnunet_sparse.interpolation.slice_stack import SliceStack

    name = "tiny" if bench.tiny else "full"
    preset = INTERPOLATOR_PRESETS[name]
    if bench.tiny:
        preset = replace(preset, num_slices=3, max_side=16)
    side = 2 * preset.max_side
    volumes = {"case": SliceStack(_random((32, 1, side, side)))}

    def set_up(device: Any) -> Any:
        return set_up_interpolator(volumes, preset, 0, device)

    note = f"{name}, {preset.num_slices} slices of {preset.max_side}x{preset.max_side}"
    return _trained(bench, set_up, preset.num_slices, 0.8) | {"note": note}


def _random(shape: tuple[int, ...]) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=shape)
    return np.asarray(values, np.float16)


def _trained(bench: Bench, set_up: Callable[[Any], Any], num_slices: int, share: float) -> Row:
    """Pace and memory of a training without labels, with a share of the time that is left."""
    import torch

    device = torch.device(bench.device)
    seconds = share * bench.seconds_left
    few = 1 if bench.tiny else 5
    _train_steps(set_up(device), device, few)  # chooses algorithms
    first = _train_steps(set_up(device), device, few)
    steps = 2 if bench.tiny else int(np.clip(seconds / 2 * few / first, few, 300))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    taken = _train_steps(set_up(device), device, steps)
    row: Row = {
        "s_per_step": taken / steps,
        "steps": steps,
        "slices_per_s": num_slices * steps / taken,
    }
    if device.type == "cuda":
        row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return row


def _train_steps(setup: Any, device: Any, steps: int) -> float:
    """Seconds of some steps of a training."""
    from nnunet_sparse.system.resumable import train_resumably

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        checkpoint = Path(folder) / "checkpoint.pth"
        train_resumably(replace(setup, num_steps=steps), device, checkpoint, {}, "benchmark")
        return time.perf_counter() - start


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "data": _data,
    "recipes": _recipes,
    "planner": _planner,
    "compile": _compiled,
    "affinity": _affinity,
    "networks": _networks,
}


if __name__ == "__main__":
    sys.exit(main())
