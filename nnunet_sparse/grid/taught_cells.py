"""Cells that need networks of the same experiment: annotated in rounds, or filled by predictions.

All repeats of one way of training, on the data set before, are the *teacher* of such a cell. Its
name is known before the networks are, and part of the name of the cell's data set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nnunet_sparse.grid.configuration import Configuration, plans_name
from nnunet_sparse.grid.experiment import Experiment
from nnunet_sparse.grid.rounds import Rounds
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selection.budget import Budget
from nnunet_sparse.selection.round_path import RoundPath
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import selector_class
from nnunet_sparse.system.atomic import json_digest

_DIGEST_LENGTH = 6
# parameter of a selector that is the number of rounds in which slices are added
_NUM_ROUNDS = "rounds"


def teacher_name(way: Configuration, repeats: int) -> str:
    """Name of all repeats of a way of training.

    Raises
    ------
    SparseError
        If there is no such planner.
    """
    digest = json_digest([way.trainer, plans_name(way)], _DIGEST_LENGTH)
    return f"{way.configuration}_x{repeats}_{digest}"


def taught(
    interpolation: Interpolation,
    experiment: Experiment,
    way: Configuration,
    ways: Sequence[Configuration],
) -> Interpolation:
    """A way of interpolation with its teacher, if it needs one.

    Parameters
    ----------
    interpolation
        The way of interpolation.
    experiment
        Says by which configuration the teacher is trained; by default the student's.
    way
        How the student is trained.
    ways
        How all cells of the task are.
    """
    if not interpolation.uses_model:
        return interpolation
    filling = experiment.interpolation
    wanted = filling.teacher if filling is not None else ""
    same = [each for each in ways if each.configuration == wanted]
    # that of the student's trainer, if there is any
    same.sort(key=lambda each: each.trainer != way.trainer)
    teacher = same[0] if same and way.configuration != wanted else way
    return replace(interpolation, teacher=teacher_name(teacher, experiment.repeats))


def round_variants(experiment: Experiment, way: Configuration) -> Iterator[Variant]:
    """Variants that are annotated in rounds, some more than once, each after the one before it.

    Those of selectors that ask no network are the same for all ways of training.
    """
    rounds = experiment.rounds
    if rounds is None:
        return
    amounts = [Budget(rho=rounds.add)]
    for each in experiment.combinations(rounds.selectors, experiment.scopes, rounds.s, amounts):
        added = _knowing_rounds(experiment, rounds, each)
        first = _first(experiment, rounds, added)
        yield first
        asks = selector_class(added.selector).asks_network()
        teacher = teacher_name(way, experiment.repeats) if asks else ""
        for number in range(2, rounds.count + 1):
            path = RoundPath(first, rounds.add, number, teacher)
            yield replace(added, rho=path.density(), rounds=path)


def _knowing_rounds(experiment: Experiment, rounds: Rounds, added: Variant) -> Variant:
    """With the number of rounds that add slices, where the selector asks and the file is silent."""
    known = added.make_selector().parameters
    if _NUM_ROUNDS not in known or _NUM_ROUNDS in experiment.parameters.get(added.selector, {}):
        return added
    number = max(1, rounds.count - 1)
    return replace(added, parameters={**added.parameters, _NUM_ROUNDS: number})


def _first(experiment: Experiment, rounds: Rounds, added: Variant) -> Variant:
    """First choice, which all selectors of one scope, volume fraction and seed have in common."""
    scopes = selector_class(rounds.first).scopes
    scope = added.scope if added.scope in scopes else scopes[0]
    (parameters,) = experiment.parameters_of(rounds.first)
    return Variant(
        rho=rounds.start,
        s=added.s,
        selector=rounds.first,
        parameters=parameters,
        mae=experiment.mae[0],
        scope=scope,
        min_per_volume=added.min_per_volume if scope == "dataset" else 0,
        seed=added.seed,
    )
