"""Fingerprint, plans and preprocessing with planners of ours, which nnU-Net cannot look up."""

import argparse
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_sparse.system.atomic import remove_leftovers
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.env import EXT_TRAINER, ext_trainers_folder
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.options import (
    add_num_processes_option,
    add_overwrite_option,
    default_num_processes,
)
from nnunet_sparse.system.paths import NnUNetPaths, configured_paths
from nnunet_sparse.system.wording import brief
from nnunet_sparse.training.recipe import DECIDED_BY_RECIPE
from nnunet_sparse.training.roles import resolve_roles
from nnunet_sparse.training.settings import TrainingSettings, parse_assignments

logger = logging.getLogger(__name__)

_MOST_LETTERS = 120  # folders of results are called after trainer, plans and configuration
_PLANS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OTHER_FILES = ("dataset", "dataset_fingerprint", "splits_final")


def plan_and_preprocess(
    paths: NnUNetPaths,
    dataset: str,
    *,
    planner: str = "SparsePlanner",
    scale: float = 1,
    plans_name: str | None = None,
    plans_from: str | None = None,
    configurations: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    num_processes: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a raw data set ready for training.

    Steps whose output is complete and made from the same files are skipped. Plans that need the
    same preprocessed data as others of the data set share theirs. All variants of a base get the
    same plans, made from the training cases of the base's split; its preprocessed images are shared
    as well. Calls for the same data set wait for each other.

    Parameters
    ----------
    paths
        nnU-Net's folders; exported to the environment.
    dataset
        Name or ID of a raw data set.
    planner
        Name of a planner, of ours or of nnU-Net.
    scale
        For planners of the paper: below 1 to shrink batch and patch.
    plans_name
        Name of the plans, or None for the planner's own.
    plans_from
        Data set (name or ID) whose plans are taken, or ``own`` to make them from the data set
        itself. None: for a variant its base, if that is in ``nnUNet_raw`` with labels; else
        ``own``. From a data set that is not the base, plans of that name are taken as they are, by
        whomever they were made.
    configurations
        Configurations to preprocess; all that are planned stand in the plans. None: those of
        ``2d`` and ``3d_fullres`` that are planned; images of one slice have no 3d ones.
    settings
        Training settings that differ from the planner's.
    num_processes
        Number of processes, or None for the number of cores.
    overwrite
        Whether plans and a split that differ, and preprocessed data that are not ours, are
        replaced.

    Returns
    -------
    Path
        The plans file.

    Raises
    ------
    SparseError
        If the data set, planner, a configuration or a setting does not exist or is unusable, if
        other plans or another split are there, or if nnU-Net fails.
    """
    from nnunet_sparse.data.preprocessing_record import StepRecord
    from nnunet_sparse.planners import preprocessing as steps
    from nnunet_sparse.planners.plan_source import find_source
    from nnunet_sparse.planners.planner_classes import default_plans_name, with_scale
    from nnunet_sparse.planners.plans import (
        check_configurations_exist,
        default_configurations,
        read_plans,
    )
    from nnunet_sparse.planners.training_files import open_for_training

    changes = dict(settings or {})
    TrainingSettings.from_block(changes)
    paths.export()
    planner = with_scale(planner, scale)
    default_name = default_plans_name(planner)
    plans_name = default_name if plans_name is None else plans_name
    _check_plans_name(plans_name)
    raw = open_for_training(paths, dataset)
    if roles := changes.get("recipe", {}).get("roles"):
        resolve_roles(raw.dataset_json, roles)
    folder = paths.preprocessed / raw.name
    source = find_source(paths, raw, planner, plans_name, plans_from)
    existing = (source.existing_plans, read_plans(folder / f"{plans_name}.json"))
    wanted = list(dict.fromkeys(configurations or ()))
    check_configurations_exist(wanted, [plans for plans in existing if plans is not None])
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".nnsparse.lock"):
        remove_leftovers(folder)
        target = steps.PreprocessedDataset(
            raw, folder, StepRecord(folder), num_processes or default_num_processes()
        )
        steps.copy_splits(target, overwrite)
        plans = steps.plan(
            target,
            source,
            plans_name,
            configurations=wanted,
            changes=changes,
            overwrite=overwrite,
        )
        wanted = wanted or default_configurations(plans)
        if "2d" in wanted:
            steps.check_cut(raw, plans)
        # before the long step, so that no training finds data without them
        steps.copy_dataset_json(target)
        steps.copy_labels(target)
        for configuration in wanted:
            steps.preprocess(target, plans, configuration, overwrite=overwrite)
    return folder / f"{plans_name}.json"


def _check_plans_name(name: str) -> None:
    """Refuse names that nnU-Net could not use as part of file and folder names."""
    if _PLANS_NAME.fullmatch(name) is None or "__" in name:
        raise SparseError(
            f"a plans name consists of letters, digits, '.', '-' and single '_', got {name!r}"
        )
    if len(name) > _MOST_LETTERS:
        raise SparseError(f"a plans name has at most {_MOST_LETTERS} letters, got {brief(name)}")
    if name.lower() in _OTHER_FILES or name.startswith("nnsparse_") or name.endswith(".json"):
        raise SparseError(f"the plans name {name!r} is taken by a file of another kind")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_plan_and_preprocess",
        "Make a raw data set ready for nnUNetv2_train: fingerprint, plans, preprocessing. Steps "
        "that are complete are skipped; a killed call is continued by the same call.",
        "nnsparse_plan_and_preprocess -d 500 -pl SmallPlanner -c 2d --set num_epochs=20",
    )
    parser.add_argument("-d", "--dataset", required=True, metavar="ID|NAME", help="raw data set")
    parser.add_argument(
        "-c",
        "--configurations",
        nargs="+",
        metavar="CONFIG",
        help="configurations to preprocess (default: 2d and, for volumes, 3d_fullres)",
    )
    parser.add_argument(
        "-pl",
        "--planner",
        default="SparsePlanner",
        help="SparsePlanner (default), SparseResEncPlanner, SparseResEncPlannerL, "
        "SparseResEncPlannerXL (residual encoders of nnU-Net's sizes M, L, XL), SmallPlanner "
        "(trains on a CPU), PaperPlannerLiTS17, PaperPlannerDBC, PaperPlannerATLAS (sizes of the "
        "paper, for its trainers), or one of nnU-Net's",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="with a paper's planner: shrink batch and patch for a smaller card, e.g. 0.5",
    )
    parser.add_argument(
        "-p", "--plans_name", metavar="PLANS", help="name of the plans (default: the planner's)"
    )
    parser.add_argument(
        "--plans_from",
        metavar="ID|NAME|own",
        help="data set whose plans are taken, or 'own' to make them from the data set itself "
        "(default: a variant's base if it is in nnUNet_raw with labels, else own)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        dest="assignments",
        metavar="KEY=VALUE",
        help="training settings, e.g. num_epochs=100 optimizer=adamw",
    )
    add_num_processes_option(parser)
    add_overwrite_option(
        parser, "replace plans and a split that differ, and data of nnU-Net's own preprocessing"
    )
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    settings = parse_assignments(args.assignments)
    from nnunet_sparse.planners.planner_classes import task_of
    from nnunet_sparse.planners.plans import default_configurations, read_plans
    from nnunet_sparse.planners.training_commands import comparison_line, training_lines
    from nnunet_sparse.training.paper_recipes import trainers_for

    file = plan_and_preprocess(
        configured_paths(),
        args.dataset,
        planner=args.planner,
        scale=args.scale,
        plans_name=args.plans_name,
        plans_from=args.plans_from,
        configurations=args.configurations,
        settings=settings,
        num_processes=args.num_processes,
        overwrite=args.overwrite,
    )
    print(f"plans: {file}")
    plans = read_plans(file) or {}
    configurations = list(dict.fromkeys(args.configurations or default_configurations(plans)))
    for configuration in configurations:
        for trainer in trainers_for(task_of(args.planner), configuration) or ["SparseTrainer"]:
            print("\n".join(training_lines(trainer, plans, configuration, file.parent)))
    if len(configurations) > 1 and task_of(args.planner) is None:
        print(comparison_line("SparseTrainer", plans, configurations, file.parent))
    decided = sorted(set(settings) & set(DECIDED_BY_RECIPE))
    if decided and task_of(args.planner):
        logger.warning(
            "The trainers of the paper do not use %s: their recipes have recipe.KEY for it",
            ", ".join(decided),
        )
    if str(ext_trainers_folder()) not in os.environ.get(EXT_TRAINER, "").split(os.pathsep):
        logger.info(
            '%s must hold %s (eval "$(nnsparse_env)" sees to it)',
            EXT_TRAINER,
            ext_trainers_folder(),
        )
