"""What programs propose for the slice that is to be annotated, and taking it."""

from collections.abc import Callable
from enum import Enum
from functools import partial

import numpy as np

from nnunet_sparse.annotate.both_readings import BothReadings
from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.outcome import IN_CONFLICT, Outcome, Result
from nnunet_sparse.annotate.suggestions import copied, interpolated
from nnunet_sparse.annotate.walk import Walk


class Proposer(Enum):
    """Who proposes something for a slice."""

    SHAPE = "interpolation by shape"
    NETWORK = "the network"


class SliceProposals:
    """Proposals for the slices of a session.

    Parameters
    ----------
    readings
        The ways of the session through the slices.
    annotator
        Who takes them.
    network
        Looks at the volumes, but for second readings; None for none.
    """

    def __init__(self, readings: BothReadings, annotator: str, network: NetworkView | None) -> None:
        self._readings, self._annotator, self._network = readings, annotator, network

    @property
    def _walk(self) -> Walk:
        return self._readings.walk

    @property
    def has_network(self) -> bool:
        """Whether a network looks at the volumes."""
        return self._network is not None

    @property
    def network_says(self) -> str:
        """What the network does, or whether it has seen the volume, in words."""
        network, work = self._walk.network, self._walk.work
        if network is None:
            return ""
        if work is not None and network.knows(work.case_id):
            return f"the network has seen case {work.case_id}"
        return network.doing

    @property
    def problem(self) -> str:
        """Why the network proposes nothing in the volume; empty where it does, or will."""
        network, work = self._walk.network, self._walk.work
        return "" if network is None or work is None else network.problem(work.case_id)

    def find(self, proposer: Proposer = Proposer.SHAPE) -> np.ndarray | Outcome:
        """What is proposed for this slice, (rows, columns) labels, or why nothing is."""
        if proposer is Proposer.NETWORK:
            return self._ask(self._seen)
        plane = self._ask(interpolated)
        if isinstance(plane, Outcome) or plane.any():
            return plane
        return Outcome(Result.STAYED, "nothing lies between the annotated slices here")

    def accept(self, proposer: Proposer = Proposer.SHAPE) -> Outcome:
        """Paint what is proposed onto this slice."""
        network = self._walk.network
        is_seen = proposer is Proposer.NETWORK and network is not None
        return self._take(self.find(proposer), network.origin if network and is_seen else "")

    def copy_nearest(self) -> Outcome:
        """Paint the nearest annotated slice that shows an object onto this one."""
        return self._take(self._ask(copied))

    def put(self, index: int, plane: np.ndarray, origin: str = "") -> None:
        """Show what is proposed on a slice; ``origin`` names the network that proposes it."""
        work = self._walk.act()
        work.put(index, partial(work.volume.put, index, plane, self._annotator, origin))

    def _ask(
        self, suggest: Callable[[OpenVolume, int], np.ndarray | Outcome | None]
    ) -> np.ndarray | Outcome:
        work = self._walk.act()
        assert self._walk.current is not None
        found = suggest(work.volume, self._walk.current[1])
        if found is None:
            return Outcome(Result.STAYED, "no slice with an object is annotated in this volume yet")
        return found

    def _seen(self, volume: OpenVolume, index: int) -> np.ndarray | Outcome:
        """What the network sees on a slice."""
        network, case_id = self._walk.network, volume.case_id
        if network is None:
            return Outcome(Result.STAYED, "the network is not asked in second readings")
        network.tick()
        if problem := network.problem(case_id):
            return Outcome(Result.STAYED, problem)
        if not network.knows(case_id):
            return Outcome(Result.STAYED, f"{network.doing} press the key again in a while")
        plane = network.slice_of(case_id, index).astype(volume.label.dtype)
        if plane.shape != volume.planes.shape[1:]:
            text = f"the image of {case_id} was changed since it was opened: open it again"
            return Outcome(Result.STAYED, text)
        if not plane.any():
            return Outcome(Result.STAYED, "the network sees nothing here: O, if that is right")
        return plane

    def _take(self, found: np.ndarray | Outcome, origin: str = "") -> Outcome:
        work = self._walk.act()
        assert self._walk.current is not None
        index = self._walk.current[1]
        if index in work.volume.conflicts:
            return IN_CONFLICT
        if isinstance(found, Outcome):
            return found
        self._walk.shown = index
        self.put(index, found, origin)
        return Outcome(Result.STAYED)
