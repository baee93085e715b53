"""What holds over tasks: every task is one observation.

The interval of :func:`nnunet_sparse.report.grid.paired_statistics.difference` over all cells is one
for these tasks: with other test cases, repeats and seeds. Here tasks are the sample. The mean
paired difference of each of them is one value, and counts alike however many cells the task has;
their mean has a Student's t interval from their spread (summary measures, the two-stage form of a
mixed model with tasks as the random effect). The spread holds what differs between tasks and all
noise within them, which therefore is not added. With few tasks it is wide, as it should be: two
tasks hardly say anything of a third.
"""

from collections.abc import Sequence

import numpy as np

from nnunet_sparse.report.grid.paired_statistics import LEVEL, Difference

LEAST_TASKS = 2


def over_tasks(of_tasks: Sequence[Sequence[Difference]]) -> Difference | None:
    """Mean difference over tasks, with its 95 % interval for tasks of the same kind.

    Parameters
    ----------
    of_tasks
        Differences within each task: one for each way of training, whose mean is the task's.

    Returns
    -------
    Difference or None
        Pairs and cells are those of all tasks together. None with less than two tasks.
    """
    from scipy import stats

    found = [own for own in of_tasks if own]
    if len(found) < LEAST_TASKS:
        return None
    means = np.array([np.mean([one.mean for one in own]) for own in found])
    every = [one for own in found for one in own]
    mean, freedom = float(means.mean()), len(means) - 1
    error = float(means.std(ddof=1)) / np.sqrt(len(means))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    num_cells = sum(one.num_cells for one in every)
    return Difference(
        mean,
        max(-1.0, mean - half),
        min(1.0, mean + half),
        sum(one.num_pairs for one in every),
        num_cells,
        sum(one.wins * one.num_cells for one in every) / num_cells,
        len(means),
    )
