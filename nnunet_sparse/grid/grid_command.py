"""The command ``nnsparse_grid``."""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nnunet_sparse.data.dataset_name import find_dataset, parse_dataset_name
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.grid.grid_options import add_grid_argument
from nnunet_sparse.grid.jobs import STEPS
from nnunet_sparse.grid.scored_labels import scorable_labels
from nnunet_sparse.grid.template import PRESETS, Scored, template
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import (
    CommandParser,
    positive_int,
    run_command,
    run_subcommand,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import add_output_option, add_overwrite_option
from nnunet_sparse.system.paths import configured_paths
from nnunet_sparse.system.process_end import end_if_interrupted
from nnunet_sparse.system.wording import command_line
from nnunet_sparse.training.roles import target_names

logger = logging.getLogger(__name__)


class _GridParser(CommandParser):
    """Parser that keeps what it does not know, for Snakemake."""

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse; other options are an error unless the command is ``run``."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest and parsed.command != "run":
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        parsed.snakemake = rest
        return parsed

    def error(self, message: str) -> NoReturn:
        """End the program; the command of the workflow is not offered."""
        super().error(re.sub(r", '?step'?\)", ")", message))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = _GridParser(
        "nnsparse_grid",
        "Train a whole grid of sparse annotations: every density, volume fraction and selector, "
        "as one file says.",
        "nnsparse_grid init --preset quick -o quick.yaml\n  nnsparse_grid run quick.yaml",
    )
    _add_init(parser)
    for name, work, summary, description in (
        (
            "plan",
            _plan,
            "show what there is to do",
            "Show numbers of data sets, trainings and slices, disk and time; nothing is run.",
        ),
        (
            "run",
            _run,
            "do everything that is not done",
            "Do everything that is not done, with Snakemake; its options can be added "
            "(--cores 8, --profile P, --executor slurm, --dry-run). A run that was killed goes on.",
        ),
        (
            "status",
            _status,
            "show what is done, running and failed",
            "Show what is done, running and failed, with the last lines of logs, and the time "
            "left.",
        ),
    ):
        example = f"nnsparse_grid {name} grid.yaml"
        add_grid_argument(parser.add_subcommand(name, work, description, example, summary))
    step = parser.add_subcommand(
        "step",
        _step,
        "Do one job, as the workflow does.",
        "nnsparse_grid step grid.yaml base Hippocampus",
    )
    add_grid_argument(step)
    step.add_argument("step", choices=STEPS)
    step.add_argument("key", help="data set, or training, as nnsparse_grid status names them")
    step.add_argument("--threads", type=positive_int, help="cores (default: as the file says)")
    status = run_command(parser, run_subcommand, argv)
    return end_if_interrupted(status) if argv is None else status


def _add_init(parser: CommandParser) -> None:
    init = parser.add_subcommand(
        "init",
        _init,
        "Write an experiment file with comments, to be edited.",
        "nnsparse_grid init -d 4 --preset fast -o grid.yaml",
        "write an experiment file",
    )
    init.add_argument(
        "-d",
        dest="bases",
        nargs="+",
        default=[],
        metavar="ID|NAME",
        help="dense data sets in nnUNet_raw; those of the paper, by name, get its trainers",
    )
    init.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="paper",
        help="; ".join(f"{name}: {preset.title.lower()[:-1]}" for name, preset in PRESETS.items())
        + " (default: %(default)s)",
    )
    add_output_option(init, "file (default: %(default)s)", "FILE", Path("grid.yaml"))
    add_overwrite_option(init, "replace an existing file")


def _init(args: argparse.Namespace) -> None:
    if args.output.is_dir():
        raise SparseError(f"{args.output} is a folder; -o names the file to be written")
    if args.output.exists() and not args.overwrite:
        raise SparseError(f"{args.output} exists; --overwrite replaces it")
    if not args.output.parent.is_dir():
        raise SparseError(f"{args.output.parent} is not a folder")
    bases = args.bases
    if bases:
        paths = configured_paths()
        bases = [find_dataset(paths, base) for base in bases]
        suffixes = [parse_dataset_name(base)[1] for base in bases]
        for base, suffix in zip(bases, suffixes, strict=True):
            if suffixes.count(suffix) > 1:
                raise SparseError(
                    f"{base} and another of -d are the same, or have the same name; a data set is "
                    "named once"
                )
    write_text(args.output, template(args.preset, bases, _scored(bases)))
    print(f"written: {args.output}")
    print(f"next:    {command_line('nnsparse_grid', 'plan', args.output)}")


def _scored(bases: Sequence[str]) -> dict[str, Scored]:
    """Labels of those data sets whose ``dataset.json`` can be read."""
    found: dict[str, Scored] = {}
    for base in bases:
        try:
            content = RawDataset.open(configured_paths().raw / base).dataset_json
            found[base] = Scored(scorable_labels(content), target_names(content))
        except SparseError as error:
            logger.warning("%s: %s", base, error)
    return found


def _plan(args: argparse.Namespace) -> None:
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.grid.overview import overview
    from nnunet_sparse.grid.preflight import check_experiment

    grid = open_grid(args.grid)
    check_experiment(grid)
    print(overview(grid))


def _status(args: argparse.Namespace) -> None:
    from nnunet_sparse.grid.job_states import grid_status, status_report
    from nnunet_sparse.grid.open_grid import open_grid

    print(status_report(grid_status(open_grid(args.grid))))


def _step(args: argparse.Namespace) -> None:
    from nnunet_sparse.grid.jobs import job_graph
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.grid.runner import run_job

    grid = open_grid(args.grid)
    jobs = job_graph(grid)
    name = f"{args.step}/{args.key}"
    if name not in jobs:
        raise SparseError(f"{grid.file} has no job {name}")
    run_job(grid, jobs[name], args.threads)


def _run(args: argparse.Namespace) -> int:
    from nnunet_sparse.grid.job_states import DONE, FAILED, STOPPED, grid_status
    from nnunet_sparse.grid.open_grid import open_grid
    from nnunet_sparse.grid.preflight import check_experiment
    from nnunet_sparse.grid.termination import ENDED_BY_SIGNAL
    from nnunet_sparse.grid.workflow import run_workflow

    files = [word for word in args.snakemake if Path(word).suffix in (".yaml", ".yml")]
    if not args.grid.is_file() and files:
        raise SparseError(
            "the experiment file comes first, then options of Snakemake: "
            f"{command_line('nnsparse_grid', 'run', files[-1])} ..., got {args.grid} first"
        )
    grid = open_grid(args.grid)
    check_experiment(grid)
    ended = run_workflow(grid, args.snakemake)
    if ended in ENDED_BY_SIGNAL:
        logger.info("ended by a signal; the same command goes on")
        return ended
    status = grid_status(grid)
    if ended and status.of(FAILED, STOPPED):
        shows = command_line("nnsparse_grid", "status", args.grid)
        raise SparseError(f"not everything is done: {shows} shows why")
    if ended:
        raise SparseError(
            "Snakemake ended with an error; --verbose shows more of it, and --latency-wait 300 "
            "waits longer where files of other machines appear late"
        )
    if len(status.of(DONE)) == len(status.states):
        print(f"everything is done; next: {command_line('nnsparse_report', args.grid)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
