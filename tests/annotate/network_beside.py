"""Networks for a phantom's campaign, and one that looks without a process of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotate.phantom_campaign import Kind
from trained_models import dataset_json, never_background, plans, write_model

from nnunet_sparse.annotate.network_view import Job, Looking, NetworkView
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.workers import WorkerDiedError, Workers


def phantom_network(results: Path, kind: Kind, **options: Any) -> Path:
    """Folder of a training whose network has a campaign's channels and labels."""
    labels = {"background": 0, **{f"organ {k + 1}": k + 1 for k in range(kind.num_labels)}}
    described = dataset_json(labels, kind.channels)
    content = plans(channels=len(kind.channels), spacing=(1.0, 1.0, 1.0))
    folder = write_model(results, content, described, sharpness=40.0, **options)
    never_background(folder)
    return folder


class WhenAsked(Workers[Job, str]):
    """Does a job at the moment in which its result is asked for, once it is allowed to."""

    def __init__(self, looking: Looking) -> None:
        self._looking, self.jobs = looking, list[tuple[str, Job]]()
        self.done, self.may_work, self.is_killed, self.dies = list[str](), True, False, False

    def give(self, case_id: str, argument: Job, at_once: int = 1) -> bool:
        assert len(self.jobs) < at_once
        self.jobs.append((case_id, argument))
        return True

    def next_results(self, timeout: float | None = None) -> Iterator[tuple[str, str]]:
        while self.jobs and (self.may_work or timeout is None):
            case_id, job = self.jobs.pop(0)
            if self.dies:
                raise WorkerDiedError
            self.done.append(case_id)
            yield case_id, self._looking(job)

    def kill(self) -> None:
        self.is_killed = True


class Beside:
    """A network view whose process is in the hands of a test."""

    def __init__(self, campaign: Campaign, model: Path) -> None:
        self.processes: list[WhenAsked] = []

        def start(looking: Looking) -> WhenAsked:
            looking.is_nice = True  # of the process that runs the tests
            self.processes.append(WhenAsked(looking))
            return self.processes[-1]

        self.view = NetworkView(campaign, TrainedNetwork.open(model), "cpu", start)

    @property
    def process(self) -> WhenAsked:
        return self.processes[-1]
