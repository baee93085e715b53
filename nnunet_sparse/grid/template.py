"""Writing an experiment file: ``nnsparse_grid init``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_sparse.grid.experiment import AUTO, PAPER_RHO, PAPER_S, PAPER_SELECTORS
from nnunet_sparse.training.paper_recipes import PAPER

_FRACTIONS = {0.125: "1/8", 0.25: "1/4", 0.5: "1/2", 1.0: "1"}
# how the paper's data sets are recognised by their names
_PAPER_TASKS = {"lits": "LiTS17", "dbc": "DBC", "duke": "DBC", "atlas": "ATLAS"}


@dataclass(frozen=True)
class GridPreset:
    """Factors of an experiment, by and large.

    Attributes
    ----------
    title
        What it is.
    rho, s, selectors
        Factors of the grid.
    repeats
        Trainings of each cell.
    interpolated_rho
        Densities with interpolation.
    method
        Way of interpolation.
    phantom
        Whether a phantom is the base, with small networks.
    """

    title: str
    rho: tuple[float, ...]
    s: tuple[float, ...]
    selectors: tuple[str, ...]
    repeats: int
    interpolated_rho: tuple[float, ...]
    method: str = "correspondence"
    phantom: bool = False


PRESETS = {
    "paper": GridPreset("The paper's grid.", PAPER_RHO, PAPER_S, PAPER_SELECTORS, 3, PAPER_RHO),
    "fast": GridPreset(
        "A part of the paper's grid: budgets that can be spent in two ways, and all selectors.",
        (0.05, 0.1, 0.4),
        (0.25, 1.0),
        PAPER_SELECTORS,
        3,
        (0.1,),
    ),
    "quick": GridPreset(
        "A phantom and a small network, 9 minutes on two idle cores; its scores mean nothing.",
        (0.1, 0.2),
        (0.5, 1.0),
        ("fixed", "random"),
        2,
        (0.1,),
        "shape",
        True,
    ),
}

_PHANTOM_TASK = """\
  - phantom: {task: organ, shape: [32, 48, 48], num_train: 12, num_test: 4}
"""
_BASE_TASK = """\
  - base: BASE                 # name or ID of a dense data set in nnUNet_raw
    # labels: [tumour]         # labels whose scores count (all)
    # val: 0.1                 # share or number of validation cases; the split is made once
    # test: 0.2                # likewise, where the base has no test cases of its own
    # axis: auto               # slice axis: auto, axial, coronal, sagittal, or 0, 1, 2
    # positive_weight: 3       # with interpolation and selector random: slices with foreground
                               # are drawn that much likelier
"""
_SMALL_TITLE = "A small network that is trained for seconds; its scores mean nothing."
_SMALL = """\
  - configuration: 2d
    trainer: SparseTrainer
    planner: SmallPlanner
    settings: {num_epochs: 4, num_iterations_per_epoch: 25, num_val_iterations_per_epoch: 1,
               save_every: 1}
"""
_STANDARD = """\
  - configuration: 2d
    trainer: SparseTrainer
    planner: SparsePlanner     # as nnsparse_plan_and_preprocess -pl
    # settings: {num_epochs: 250}
  - configuration: 3d_fullres
    trainer: SparseTrainer
    planner: SparsePlanner
"""


def template(preset: str, bases: Sequence[str]) -> str:
    """Text of an experiment file, with comments.

    Parameters
    ----------
    preset
        Name of a preset.
    bases
        Base data sets; those of the paper, by their names, get its trainers, but for ``quick``.
    """
    of = PRESETS[preset]
    title = _SMALL_TITLE if of.phantom and bases else of.title
    tasks = _PHANTOM_TASK if of.phantom and not bases else _tasks(of, bases or ["BASE"])
    factors = {
        "rho": _numbers(of.rho),
        "s": _numbers(of.s),
        "selectors": f"[{', '.join(of.selectors)}]",
    }
    own = "nnunet: nnunet" if of.phantom and not bases else "# nnunet: FOLDER"
    return f"""\
# {title}  nnsparse_grid plan FILE, then nnsparse_grid run FILE
version: 1

tasks:
{tasks}
# how every data set is trained; a task can have a list of its own
configurations:
{_SMALL if of.phantom else _STANDARD}
# each combination is one data set
rho: {factors["rho"]:<30} # share of the slices of an annotated volume
# slices_per_volume: [3]            # instead of rho, or beside it: slices of each volume
# budget: [120]                     # likewise: slices in all
s: {factors["s"]:<32} # share of the training volumes that are annotated
selectors: {factors["selectors"]}
# parameters: {{ual: {{clusters: [5, 10]}}}}  # of selectors; each of several values is a cell
# mae: [tiny]                       # network of ual and coreset; small: larger, for a GPU
scopes: [volume]                    # dataset: slices are chosen from all volumes at once
# min_per_volume: [0]               # with scope dataset: slices that every volume gets at least
seeds: [0]                          # of the choice of volumes and slices
repeats: {of.repeats}                          # trainings of each data set
dense: true                         # all slices of all volumes, for comparison

# cells whose labels are filled in between the slices, beside the same ones without
interpolation:
  methods: [{of.method}]            # correspondence, shape, nearest
  rho: {_numbers(of.interpolated_rho)}
  s: [1]
  # preset: full                    # network of correspondence: longer training, for a GPU
  # changes: {{num_steps: 5000}}      # values of its preset

{own}{" " * (36 - len(own))}# folder for nnU-Net's three folders (default: the environment's)
# folder: FOLDER                    # logs, predictions, scores, report (default: this file's name)
threads: {"1" if of.phantom else AUTO:<26} # cores of each job: a number, or auto: what a GPU needs
device: auto                        # cpu, cuda
"""


def _tasks(preset: GridPreset, bases: Sequence[str]) -> str:
    texts = [_BASE_TASK.replace("BASE ", f"{base} ".ljust(5), 1) for base in bases]
    if preset.phantom:
        return "".join(texts)
    return "".join(text + _paper(base) for text, base in zip(texts, bases, strict=True))


def _paper(base: str) -> str:
    """The paper's configurations of a data set; empty for those of others."""
    # a word, perhaps with a number: no Splits, MouseAtlas or ATLASmini
    found = (
        t
        for word, t in _PAPER_TASKS.items()
        if re.search(f"(?<![a-z]){word}(?![a-z])", base, re.IGNORECASE)
    )
    task = next(found, None)
    if task is None:
        return ""
    lines = ["    configurations:            # the paper's"]
    for name, training in PAPER.items():
        if training.task == task and training.is_main:
            lines += [
                f"      - configuration: {training.configuration}",
                f"        trainer: {name}",
                f"        planner: PaperPlanner{task}",
            ]
    return "\n".join(lines) + "\n"


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(_FRACTIONS.get(value, f'{value:g}') for value in values)}]"
