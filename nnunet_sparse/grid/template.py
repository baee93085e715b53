"""Writing an experiment file: ``nnsparse_grid init``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.grid.experiment import AUTO, PAPER_RHO, PAPER_S, PAPER_SELECTORS
from nnunet_sparse.grid.scored_labels import mean_in_words
from nnunet_sparse.grid.yaml_lines import yaml_text
from nnunet_sparse.interpolation.interpolator_presets import DEFAULT_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.methods import DEFAULT_METHOD, method_names
from nnunet_sparse.training.paper_recipes import PAPER

_FRACTIONS = {0.125: "1/8", 0.25: "1/4", 0.5: "1/2", 1.0: "1"}
_PAPER_METHODS = ("published", DEFAULT_METHOD)
# of the paper's tasks the one with positive weights, of which it gives no number, and the density
# that is then not interpolated
_WEIGHTED, _PAPER_WEIGHT, _NOT_INTERPOLATED = "ATLAS", 3, 0.8
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
    methods
        Ways of interpolation.
    mae, interpolator
        Presets of the networks that learn from images alone.
    phantom
        Whether a phantom is the base, with small networks.
    """

    title: str
    rho: tuple[float, ...]
    s: tuple[float, ...]
    selectors: tuple[str, ...]
    repeats: int
    interpolated_rho: tuple[float, ...]
    methods: tuple[str, ...] = (DEFAULT_METHOD,)
    mae: str = DEFAULT_MAE_PRESET
    interpolator: str = DEFAULT_INTERPOLATOR_PRESET
    phantom: bool = False


PRESETS = {
    "paper": GridPreset(
        "The paper's grid.",
        PAPER_RHO,
        PAPER_S,
        PAPER_SELECTORS,
        3,
        PAPER_RHO,
        _PAPER_METHODS,
        mae="small",
        interpolator="full",
    ),
    "fast": GridPreset(
        "A part of the paper's grid: budgets that can be spent in two ways, and all selectors.",
        (0.05, 0.1, 0.4),
        (0.25, 1.0),
        PAPER_SELECTORS,
        3,
        (0.1,),
    ),
    "quick": GridPreset(
        "A phantom and a small network, five minutes on two idle cores; its scores mean nothing.",
        (0.1, 0.2),
        (0.5, 1.0),
        ("fixed", "random"),
        2,
        (0.1,),
        ("shape",),
        phantom=True,
    ),
}

_PHANTOM_TASK = """\
  - phantom: {task: organ, shape: [32, 48, 48], num_train: 12, num_test: 4}
"""
_ROLES_DECIDE = "the target where dataset.json declares roles, else on the mean of all labels"
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


@dataclass(frozen=True)
class Scored:
    """Labels of a base, and those of them that ``dataset.json`` declares to be the target.

    Attributes
    ----------
    labels, targets
        Their names; no targets where it declares no roles.
    """

    labels: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def is_mean(self) -> bool:
        """Whether the score is a mean of several."""
        return len(self.targets or self.labels) > 1

    @property
    def text(self) -> str:
        """On what its networks are compared."""
        if self.targets:
            return f"its target, {mean_in_words(self.targets)}, by the roles in its dataset.json"
        why = "; its dataset.json declares no roles" if len(self.labels) > 1 else ", its only label"
        return mean_in_words(self.labels) + why


def template(
    preset: str, bases: Sequence[str], scored: Mapping[str, Scored] = MappingProxyType({})
) -> str:
    """Text of an experiment file, with comments.

    Parameters
    ----------
    preset
        Name of a preset.
    bases
        Base data sets; those of the paper, by their names, get its trainers, but for ``quick``.
    scored
        Labels of those that could be read.
    """
    of = PRESETS[preset]
    title = _SMALL_TITLE if of.phantom and bases else of.title
    tasks = _PHANTOM_TASK if of.phantom and not bases else _tasks(of, bases or ["BASE"], scored)
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
# how every data set is trained; a task can have a list of its own, and both rho and s of their own
configurations:
{_SMALL if of.phantom else _STANDARD}
# each combination is one data set
rho: {factors["rho"]:<30} # share of the slices of an annotated volume
# slices_per_volume: [1, 2]         # instead of rho, or beside it: one or two slices per volume
# budget: [120]                     # likewise: slices in all
s: {factors["s"]:<32} # share of the training volumes that are annotated
selectors: {factors["selectors"]}
# parameters: {{ual: {{clusters: [5, 10]}}}}  # of selectors; each of several values is a cell
{_networks_of_selectors(of)}
scopes: [volume]                    # dataset: slices are chosen from all volumes at once
# min_per_volume: [0]               # with scope dataset: slices that every volume gets at least
seeds: [0]                          # of the choice of volumes and slices
repeats: {of.repeats}                          # trainings of each data set
dense: true                         # all slices of all volumes, for comparison
# exclude: [{{selectors: random, rho: {of.rho[0]:g}}}]  # cells left out: N/A in the report
# collapsed: include                # figure 1 with trainings that found nothing (default: omit)

# cells whose labels are filled in between the slices, beside the same ones without
interpolation:
{_line(f"  methods: [{', '.join(of.methods)}]", ", ".join(method_names()))}
  rho: {_numbers(of.interpolated_rho)}
  s: [1]
{_network_of_interpolation(of)}
  # changes: {{num_steps: 5000}}      # values of its preset, and of that of published

# cells that are annotated in rounds: networks of one round choose the slices of the next
# rounds: {{start: 0.05, add: 0.05, count: 4, selectors: [random, stratified, entropy, clasp_pe]}}

{own}{" " * (36 - len(own))}# folder for nnU-Net's three folders (default: the environment's)
# folder: FOLDER                    # logs, predictions, scores, report (default: this file's name)
threads: {"1" if of.phantom else AUTO:<26} # cores of each job: a number, or auto: what a GPU needs
# trainings_per_gpu: auto           # several small networks at once on a GPU, or a number (1)
device: auto                        # cpu, cuda
"""


def _networks_of_selectors(preset: GridPreset) -> str:
    if preset.mae == DEFAULT_MAE_PRESET:
        return _line("# mae: [tiny]", "network of ual and coreset; small: larger, for a GPU")
    return _line(f"mae: [{preset.mae}]", "network of ual and coreset; tiny: small, for a CPU")


def _network_of_interpolation(preset: GridPreset) -> str:
    if preset.interpolator == DEFAULT_INTERPOLATOR_PRESET:
        return _line("  # preset: full", "network of correspondence: longer training, for a GPU")
    return _line(f"  preset: {preset.interpolator}", "network of correspondence; tiny: for a CPU")


def _line(key: str, comment: str) -> str:
    return f"{key:<35} # {comment}"


def _tasks(preset: GridPreset, bases: Sequence[str], scored: Mapping[str, Scored]) -> str:
    return "".join(_task(preset, base, scored.get(base)) for base in bases)


def _task(preset: GridPreset, base: str, scored: Scored | None) -> str:
    task = None if preset.phantom else _paper_task(base)
    weight = f"positive_weight: {_PAPER_WEIGHT}"
    keys = {
        f"# labels: [{yaml_text(scored.labels[-1] if scored and scored.labels else 'tumour')}]": (
            "scored on these instead; all: on the mean of all labels"
        ),
        "# val: 0.1": "share or number of validation cases; the split is made once",
        "# test: 0.2": "likewise, where the base has no test cases of its own",
        "# axis: auto": "slice axis: auto, axial, coronal, sagittal, or 0, 1, 2",
        weight if task == _WEIGHTED else f"# {weight}": (
            "where labels are interpolated: slices with foreground count more"
        ),
    }
    lines = [f"  - base: {yaml_text(base):<20} # name or ID of a dense data set in nnUNet_raw"]
    names = scored.text if scored is not None else _ROLES_DECIDE
    lines.append(f"    # scored on {''.join(c if c.isprintable() else ' ' for c in names)}")
    if task is not None and scored is not None and scored.is_mean:
        lines.append("    # (the paper scores each of its tasks on one label)")
    lines += [f"    {key:<26} # {comment}" for key, comment in keys.items()]
    if task is not None:
        lines += _paper_lines(preset, task)
    return "\n".join(lines) + "\n"


def _paper_lines(preset: GridPreset, task: str) -> list[str]:
    """The paper's ways of training, and what it does not interpolate."""
    lines = ["    configurations:            # the paper's"]
    # checks come after what they check
    for name, training in sorted(PAPER.items(), key=lambda item: not item[1].is_main):
        if training.task != task:
            continue
        if not training.is_main:
            lines.append(
                "      # the authors' check of the one before: a row of its own, not in figure 1"
            )
        lines += [
            f"      - configuration: {training.configuration}",
            f"        trainer: {name}",
            f"        planner: PaperPlanner{task}",
        ]
        if not training.is_main:
            lines.append("        extra: true")
    if task == _WEIGHTED and _NOT_INTERPOLATED in preset.interpolated_rho:
        lines += [
            "    # N/A in the paper: every slice with foreground may be annotated already",
            "    exclude:",
            f"      - {{kind: interpolated, rho: {_NOT_INTERPOLATED:g}}}",
        ]
    return lines


def _paper_task(base: str) -> str | None:
    """Task of the paper that a data set is by its name; None for those of others."""
    # a word, perhaps with a number: no Splits, MouseAtlas or ATLASmini
    found = (
        t
        for word, t in _PAPER_TASKS.items()
        if re.search(f"(?<![a-z]){word}(?![a-z])", base, re.IGNORECASE)
    )
    return next(found, None)


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(_FRACTIONS.get(value, f'{value:g}') for value in values)}]"
