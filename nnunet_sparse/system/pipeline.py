"""Running commands one after the other, as a user would type them, with their output in logs."""

import logging
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nnunet_sparse.system.env import training_environment
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.nnunet_model import fold_folder, nnunet_model_name
from nnunet_sparse.system.paths import NnUNetPaths

logger = logging.getLogger(__name__)

TRAINER = "SparseTrainer"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes
    ----------
    title
        What it does; names its log file.
    words
        The command and its arguments.
    output
        File that is there once it is complete; None for commands that find that out themselves.
    """

    title: str
    words: list[str]
    output: Path | None = None


@dataclass(frozen=True)
class TrainingRequest:
    """What is trained, and where its predictions go.

    Attributes
    ----------
    dataset
        Full name of a data set with ``imagesTs`` and ``labelsTs``.
    configuration
        Configuration in the plans, as ``2d``.
    plans
        Name of the plans.
    predictions
        Folder for the predicted test cases.
    device
        ``cpu`` or ``cuda``.
    repeat
        Number of the repeat.
    """

    dataset: str
    configuration: str
    plans: str
    predictions: Path
    device: str
    repeat: int = 0


def training_commands(training: TrainingRequest, paths: NnUNetPaths) -> list[Command]:
    """Train, predict the test cases, and score them; an interrupted training is continued."""
    raw, dataset = paths.raw / training.dataset, training.dataset
    model = nnunet_model_name(TRAINER, training.plans, training.configuration)
    trained = fold_folder(paths.results / dataset / model, training.repeat)
    begun = any((trained / f"checkpoint_{name}.pth").exists() for name in ("latest", "final"))
    network = f"-tr {TRAINER} -p {training.plans} -device {training.device}"
    where = f"{training.configuration} {training.repeat}"
    return [
        Command(
            "train",
            words(f"nnUNetv2_train {{}} {where} {network} {'--c' if begun else ''}", dataset),
            trained / "validation" / "summary.json",
        ),
        Command(
            "predict",
            words(
                f"nnUNetv2_predict -i {{}} -o {{}} -d {{}} -c {training.configuration} "
                f"-f {training.repeat} {network} -npp {{np}} -nps {{np}}",
                raw / "imagesTs",
                training.predictions,
                dataset,
            ),
        ),
        Command(
            "score",
            words(
                "nnsparse_evaluate {} {} --overwrite -np {np}",
                raw / "labelsTs",
                training.predictions,
            ),
        ),
    ]


def words(template: str, *values: object) -> list[str]:
    """Words of a command, with each ``{}`` replaced by a value, which may hold spaces."""
    rest = iter(values)
    return [str(next(rest)) if word == "{}" else word for word in template.split()]


class Runner:
    """Runs commands one after the other and shows each of them.

    Parameters
    ----------
    logs
        Folder for the output of the commands, one file each.
    paths
        nnU-Net's folders that the commands are to use.
    num_processes
        Takes the place of ``{np}`` in commands.
    """

    def __init__(self, logs: Path, paths: NnUNetPaths, num_processes: int) -> None:
        self.logs = logs
        self.num_processes = str(num_processes)
        self.count = 0
        numbers = ("OMP_NUM_THREADS", "nnUNet_n_proc_DA", "nnUNet_def_n_proc")
        self.environment = {
            **os.environ,
            **training_environment(paths),
            **{name: self.num_processes for name in numbers if name not in os.environ},
            "PYTHONUNBUFFERED": "1",
        }
        logs.mkdir(parents=True, exist_ok=True)

    def run(self, command: Command) -> float:
        """Run a command, unless it is done; returns the seconds that it took.

        Raises
        ------
        SparseError
            If the command fails; its last line is named.
        """
        self.count += 1
        words = [self.num_processes if word == "{np}" else word for word in command.words]
        logger.info("[%d] %s\n    %s", self.count, command.title, shlex.join(words))
        if command.output is not None and command.output.exists():
            logger.info("    done before")
            return 0.0
        log = self.logs / f"{self.count}_{command.title.replace(' ', '_')}.txt"
        start = time.monotonic()
        status = self._run_logged(words, log, command.title)
        if status != 0:
            raise SparseError(
                f"{words[0]} failed with exit status {status}, its last line: {_last_line(log)} "
                f"(all of it: {log})"
            )
        seconds = time.monotonic() - start
        logger.info("    %.0f s, log: %s", seconds, log)
        return seconds

    def _run_logged(self, words: list[str], log: Path, title: str) -> int:
        program = Path(sys.executable).with_name(words[0])
        with (
            naming(log),
            log.open("w", encoding="utf-8") as file,
            subprocess.Popen(
                [str(program), *words[1:]],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            ) as process,
            tqdm(
                desc=title, bar_format="    {elapsed} {postfix}", leave=False, disable=None
            ) as bar,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                bar.set_postfix_str(line.strip()[:100])
        return process.returncode


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return lines[-1] if lines else "(none)"
