"""What a trained network sees of a campaign's volumes, predicted in a process beside the window.

The process loads the network at once, then looks at one volume after the other; PyTorch is in that
process alone. Nothing here waits for it but :meth:`NetworkView.wait_until_loaded`.
"""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.prediction.kept_labels import KeptLabels, read_kept_slice
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError, memory_error_message, os_error_message
from nnunet_sparse.system.foreign_code import in_one_line
from nnunet_sparse.system.workers import WorkerDiedError, Workers

logger = logging.getLogger(__name__)

_NICENESS = 10
_LOADING = ""  # no case is called so
_DIED = "its process has ended, for lack of memory perhaps"

Job = tuple[str, tuple[Path, ...]] | None
"""Case and image files of a volume that is to be looked at; None: load the network."""


@dataclass
class Looking:
    """What the process does with a job: gives the file with the label, or the network's hash.

    Attributes
    ----------
    labels
        Predicts.
    network
        Which network.
    is_nice
        Whether the process leaves the processors to others already.
    """

    labels: KeptLabels
    network: TrainedNetwork
    is_nice: bool = False

    def __call__(self, job: Job) -> str:
        """Do a job."""
        if not self.is_nice:
            self.is_nice = True
            with suppress(OSError):
                os.nice(_NICENESS)  # the window comes first
        if job is None:
            self.labels.load()
            return self.network.digest
        return str(self.labels.find(*job))


Start = Callable[[Looking], Workers[Job, str]]


def start_process(looking: Looking) -> Workers[Job, str]:
    """Start the process; a fork would share the display with the window."""
    return Workers(looking, 1, start_anew=True)


class NetworkView:
    """A network that looks at volumes.

    Parameters
    ----------
    campaign
        The campaign.
    network
        The network.
    device
        Where it predicts; None for a GPU if there is one.
    start
        Starts the process.

    Raises
    ------
    SparseError
        If the network has other channels or labels than the campaign, or no process can be started.
    """

    def __init__(
        self,
        campaign: Campaign,
        network: TrainedNetwork,
        device: str | None = None,
        start: Start = start_process,
    ) -> None:
        network.check_fits(campaign.images)
        self._campaign, self._network, self._start = campaign, network, start
        reader, folder = campaign.images.reader(), campaign.feature_paths.preprocessed
        self._looking = Looking(KeptLabels(network, campaign.axis, reader, folder, device), network)
        self._digest, self._broken = "", ""
        self._wanted: tuple[str, ...] = ()
        self._files: dict[str, Path] = {}
        self._failed: dict[str, str] = {}
        self._at_work: str | None = None
        self._process: Workers[Job, str] | None = None
        self._give(_LOADING)

    @property
    def origin(self) -> str:
        """Which network it is, for notes."""
        name = f"{self._network.dataset_name}/{self._network.folder.name}"
        return f"{name} {self._digest}"

    @property
    def doing(self) -> str:
        """What the network does, in words; empty if it has nothing to do."""
        if self._at_work is None:
            return ""
        if self._at_work == _LOADING:
            return "the network is being loaded ..."
        return f"the network looks at case {self._at_work} ..."

    def problem(self, case_id: str) -> str:
        """Why nothing will be known of a case; empty where it is, or will be."""
        reason = self._broken or self._failed.get(case_id, "")
        return f"the network proposes nothing: {reason}" if reason else ""

    def knows(self, case_id: str) -> bool:
        """Whether the network has seen a case."""
        return case_id in self._files

    def slice_of(self, case_id: str, index: int) -> np.ndarray:
        """What the network sees on a slice of a case that it knows, (rows, columns).

        Raises
        ------
        SparseError
            If what was predicted is gone or damaged; it is predicted again.
        """
        try:
            return read_kept_slice(self._files[case_id], index)
        except SparseError:
            del self._files[case_id]
            raise

    def wait_until_loaded(self) -> None:
        """Wait for the network.

        Raises
        ------
        SparseError
            If it cannot be used.
        """
        while self._at_work == _LOADING:
            self._take(None)
        if self._broken:
            raise SparseError(self._broken)

    def look_at(self, cases: Sequence[str]) -> None:
        """Say which cases are to be seen, the most urgent one first; what failed is tried again."""
        for case_id in cases:
            self._failed.pop(case_id, None)
        self._wanted = tuple(cases)
        self.tick()

    def tick(self) -> None:
        """Take what has been done, and go on; to be called every second."""
        if self._at_work is not None:
            self._take(0.0)
        if self._at_work is None and not self._broken:
            known = self._files.keys() | self._failed.keys()
            following = next((c for c in self._wanted if c not in known), None)
            if following is not None:
                self._give(following)

    def close(self) -> None:
        """End the process."""
        self._wanted, self._at_work = (), None
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _give(self, case_id: str) -> None:
        job = None if case_id == _LOADING else (case_id, self._campaign.image_files(case_id))
        try:
            if self._process is None:
                self._process = self._start(self._looking)
            self._process.give(case_id, job)
        except (SparseError, WorkerDiedError) as error:
            self._fail(case_id, error)
        else:
            self._at_work = case_id

    def _take(self, timeout: float | None) -> None:
        """Take an answer, if there is one within some seconds."""
        assert self._process is not None
        assert self._at_work is not None
        case_id = self._at_work
        try:
            for _, answer in self._process.next_results(timeout):
                self._at_work = None
                if case_id == _LOADING:
                    self._digest = answer
                else:
                    self._files[case_id] = Path(answer)
        except Exception as error:  # what the network's code raises cannot be listed
            self._at_work = None
            self._fail(case_id, error)

    def _fail(self, case_id: str, error: Exception) -> None:
        logger.debug("%s", case_id, exc_info=error)
        reason = _line(error)
        if isinstance(error, WorkerDiedError) and self._process is not None:
            self._process.kill()
            self._process = None
        if case_id == _LOADING:
            self._broken = reason
            self.close()
        else:
            self._failed[case_id] = reason


def _line(error: Exception) -> str:
    if isinstance(error, WorkerDiedError):
        return _DIED
    if isinstance(error, MemoryError):
        return memory_error_message(error)
    return os_error_message(error) if isinstance(error, OSError) else in_one_line(error)
