"""Algorithm 1: labels are propagated from annotated slices to their neighbours, slice by slice.

Zhang et al. 2026, appendix F. A first-in-first-out queue starts with every annotated slice; the
label of slice i is warped to i - 1 and i + 1; a neighbour that is neither annotated nor reached
yet, and shows an object then, gets the label and joins the queue. What is never reached is
background. Here one gap between annotated slices is filled after the other, each with a queue of
its own, which gives the same (nothing crosses an annotated slice) and needs few slices at a time.

What is propagated are shares of the classes. The paper leaves open whether they are rounded between
slices; here only a warp may do so, as that of :mod:`nnunet_sparse.interpolation.published` does.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from nnunet_sparse.interpolation.dense_label import NEVER_REACHED, DenseLabel, enclosing
from nnunet_sparse.interpolation.soft_label import SoftLabel, average

Warp = Callable[[SoftLabel, int, int], SoftLabel]
"""Label of slice i warped to slice j: ``warp(label, i, j)``."""

_NOTHING = SoftLabel((), 0, 0, np.zeros((0, 0, 0), np.float32))


def propagate(label: np.ndarray, annotated: np.ndarray, warp: Warp) -> DenseLabel:
    """Fill the slices between annotated ones by algorithm 1.

    Parameters
    ----------
    label
        (num_slices, y, x) integers from 0; slices that are not annotated are not looked at.
    annotated
        (num_slices,) bool; at least one is True.
    warp
        Moves a label from one slice to a neighbour.

    Returns
    -------
    DenseLabel
        The confidence is the share of the class that won; 1 in slices where nothing came, but 1/2
        if these lie between two annotated slices that both show an object.
    """
    result = _start(label, annotated)
    for below, above, between in _gaps(annotated):
        queue: deque[tuple[int, SoftLabel | None]] = deque()
        queue.extend((i, None) for i in (below, above) if i is not None)
        while queue:
            i, moving = queue.popleft()
            free = [j for j in (i - 1, i + 1) if j in between and result.hops[j] == NEVER_REACHED]
            if not free:
                continue
            moving = moving or SoftLabel.of_slice(label[i])
            for j in free:
                arrived = _NOTHING if moving.is_empty else warp(moving, i, j)
                if not arrived.is_empty:
                    _fill(result, j, arrived, result.source[i], result.hops[i] + 1)
                    queue.append((j, arrived))
    _lower_confidence_of_lost(result, annotated)
    return result


def propagate_both_ways(
    label: np.ndarray, annotated: np.ndarray, warp: Warp, judged: np.ndarray | None = None
) -> DenseLabel:
    """Fill every slice from the annotated slices on both of its sides.

    The labels that arrive from below and from above are averaged, each weighted by how near its
    origin is; one that does not arrive counts as background. Beyond the outermost annotated slices
    there is one side only, as in algorithm 1.

    Parameters
    ----------
    label, annotated, warp
        As for :func:`propagate`.
    judged
        (num_slices, y, x) label of which the confidence is wanted instead of that of the result.

    Returns
    -------
    DenseLabel
        The confidence is the averaged share of the class that won, so that it is low where the two
        sides disagree; in slices where nothing came as for :func:`propagate`. The source is the
        nearer origin of what arrived.
    """
    result = _start(label, annotated)
    for below, above, between in _gaps(annotated):
        if below is None or above is None:
            origin = above if below is None else below
            assert origin is not None
            way = between if below is not None else reversed(between)
            for j, arrived in _propagated(label, origin, way, warp):
                _fill(result, j, arrived, origin, abs(j - origin))
            continue
        upwards = {j: arrived.halved() for j, arrived in _propagated(label, below, between, warp)}
        downwards = _propagated(label, above, reversed(between), warp)
        for j, up, down in _paired(upwards, downwards):
            both = average(up, down, (above - j) / (above - below))
            from_below = up is not _NOTHING and (down is _NOTHING or j - below <= above - j)
            source = below if from_below else above
            _fill(result, j, both, source, abs(j - source))
            if judged is not None:
                result.confidence[j] = both.share_of(judged[j])
    _lower_confidence_of_lost(result, annotated)
    return result


def _paired(
    upwards: dict[int, SoftLabel], downwards: Iterable[tuple[int, SoftLabel]]
) -> Iterator[tuple[int, SoftLabel, SoftLabel]]:
    """Slice, label from below and label from above, for every slice that either reaches."""
    for j, down in downwards:
        yield j, upwards.pop(j, _NOTHING), down
    for j, up in upwards.items():
        yield j, up, _NOTHING


def _start(label: np.ndarray, annotated: np.ndarray) -> DenseLabel:
    """Annotated slices as they are, background everywhere else."""
    filled = np.where(annotated[:, None, None], label, 0).astype(label.dtype)
    source = np.where(annotated, np.arange(len(label)), NEVER_REACHED)
    hops = np.where(annotated, 0, NEVER_REACHED)
    return DenseLabel(filled, source, hops, np.ones(label.shape, np.float16))


def _gaps(annotated: np.ndarray) -> Iterator[tuple[int | None, int | None, range]]:
    """The annotated slices below and above every run of others, and the run.

    Nothing is propagated over an annotated slice, so that these are independent of each other.
    """
    known = [int(i) for i in np.flatnonzero(annotated)]
    for below, above in zip([None, *known], [*known, None], strict=True):
        between = range(
            0 if below is None else below + 1, len(annotated) if above is None else above
        )
        if between:
            yield below, above, between


def _lower_confidence_of_lost(result: DenseLabel, annotated: np.ndarray) -> None:
    """Lower the confidence where an object got lost between two slices that show one."""
    shown: np.ndarray = np.any(result.label > 0, axis=(1, 2))
    for j in np.flatnonzero(result.hops == NEVER_REACHED):
        below, above = enclosing(annotated, int(j))
        if below is not None and above is not None and shown[below] and shown[above]:
            result.confidence[j] = 0.5


def _propagated(
    label: np.ndarray, origin: int, way: Iterable[int], warp: Warp
) -> Iterator[tuple[int, SoftLabel]]:
    """Slice and label, for one slice after the other until no object is left."""
    moving, i = SoftLabel.of_slice(label[origin]), origin
    for j in way:
        if moving.is_empty:
            return
        moving, i = warp(moving, i, j), j
        if not moving.is_empty:
            yield j, moving


def _fill(result: DenseLabel, j: int, arrived: SoftLabel, source: int, hops: int) -> None:
    arrived.write(result.label[j], result.confidence[j])
    result.source[j], result.hops[j] = source, hops
