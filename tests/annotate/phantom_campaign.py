"""A small campaign with a dense truth, and somebody who paints it by the truth."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from nnunet_sparse.annotate.lease import Holder
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.campaign.asked_round import Round
from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.round_work import finish_round
from nnunet_sparse.campaign.worklist import Answers, write_worklist
from nnunet_sparse.selection.variant import Variant

SHAPE = (9, 8, 7)
# axes of the file turned, flipped and oblique; voxels of 0.7 x 1.1 x 3 mm
TURNED = np.array(
    [[0.0, -1.0, 0.3, 5.0], [-0.6, 0.0, 0.0, -7.5], [0.0, 0.2, 3.0, 2.25], [0, 0, 0, 1]]
)


@dataclass(frozen=True)
class Kind:
    """What a campaign is like."""

    axis: int = 0
    shape: tuple[int, int, int] = SHAPE
    affine: np.ndarray | None = None
    channels: tuple[str, ...] = ("CT",)
    num_labels: int = 2
    cases: tuple[str, ...] = ("a", "b")
    asked: tuple[int, ...] = (0, 2, 5)
    second: tuple[int, ...] = ()


class SameThread(Executor):
    """Does everything at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Later(Executor):
    """Does nothing before it is told to."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append(lambda: future.set_result(fn(*args, **kwargs)))
        return future

    def work(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


def truth_of(case_id: str, kind: Kind) -> np.ndarray:
    """Dense label (z, y, x): a slab of each label, none on slice 2."""
    rng = np.random.default_rng(sum(case_id.encode()))
    label = rng.integers(0, kind.num_labels + 1, kind.shape).astype(np.uint8)
    planes = np.moveaxis(label, kind.axis, 0)
    planes[:, 0] = 0
    if len(planes) > 2:
        planes[2] = 0
    return label


def phantom_campaign(folder: Path, kind: Kind) -> Campaign:
    """Write a campaign as ``nnsparse_worklist make`` does, without the guide."""
    affine = np.eye(4) if kind.affine is None else kind.affine
    labels = {"background": 0, **{f"organ {k + 1}": k + 1 for k in range(kind.num_labels)}}
    number = kind.shape[kind.axis]
    asked = tuple(i for i in kind.asked if i < number)
    second = dict.fromkeys(kind.cases, kind.second) if kind.second else {}
    asking = Round(
        Variant(0.4, 1.0, "random"),
        dict.fromkeys(kind.cases, asked),
        second_share=0.5 if second else 0.0,
        second_slices=second,
    )
    campaign = Campaign(
        folder,
        {"channel_names": {str(k): c for k, c in enumerate(kind.channels)}, "labels": labels},
        kind.axis,
        "axial",
        {case_id: CampaignVolume(number, (f"{case_id}.nii.gz",)) for case_id in kind.cases},
        (asking,),
    )
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for case_id in kind.cases:
        image = 100.0 * truth_of(case_id, kind) + np.random.default_rng(0).random(kind.shape)
        for channel, file in enumerate(campaign.image_files(case_id)):
            voxels = (image + channel).astype(np.int16 if channel else np.float32).T
            nibabel.save(nibabel.Nifti1Image(voxels, affine), file)
    if second:
        return finish_round(campaign, 1)
    prefill(campaign, 1)
    campaign = campaign.completed()
    campaign.write()
    write_worklist(campaign, Answers())
    return campaign


class Person:
    """Somebody who annotates by the truth.

    Sessions of a person can be killed: what is in memory is gone, their process is not there.
    """

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        name: str = "mk",
        executor: Executor | None = None,
        mortal: bool = True,
        **options: Any,
    ) -> None:
        self.folder, self.kind, self.name, self.clock = folder, kind, name, Clock()
        self.executor, self._mortal, self._options = executor or SameThread(), mortal, options
        self._sessions = 0
        self.start()

    def start(self) -> None:
        self._sessions += 1
        token = f"{sum(self.name.encode()) % 256:02x}{self._sessions:06x}"
        holder = Holder.here(self.name, token)
        if self._mortal:  # any other session finds that its process has ended
            holder = replace(holder, started="long ago")
        self.session = AnnotationSession(
            self.folder,
            self.name,
            now=self.clock,
            executor=self.executor,
            holder=holder,
            **self._options,
        )

    @property
    def volume(self) -> OpenVolume:
        assert self.session.volume is not None
        return self.session.volume

    @property
    def key(self) -> tuple[str, int]:
        assert self.session.current is not None
        return self.session.current

    def true_plane(self, index: int | None = None) -> np.ndarray:
        case_id, current = self.key
        truth = np.moveaxis(truth_of(case_id, self.kind), self.kind.axis, 0)
        return truth[current if index is None else index]

    def paint(self, plane: np.ndarray | int, index: int | None = None) -> str | None:
        """Paint on the label as a window does: into its array, then say so."""
        index = self.key[1] if index is None else index
        self.volume.planes[index] = plane
        return self.session.painted([index])

    def annotate_slice(self, seconds: float = 10.0) -> Outcome:
        """Paint the slice by the truth and go on; of an empty one say that it is."""
        self.clock.pass_(seconds)
        if not self.true_plane().any():
            return self.session.nothing_here()
        self.paint(self.true_plane())
        return self.session.next()

    def annotate_all(self) -> None:
        for _ in range(1000):
            if self.session.current is None or not self.session.queue.num_open:
                return
            if self.annotate_slice().result is Result.FINISHED:
                return
        raise AssertionError("the queue does not end")


def saved_label(campaign: Campaign, case_id: str) -> np.ndarray:
    """Label file as nibabel reads it, (z, y, x)."""
    image: Any = nibabel.load(campaign.label_file(case_id))  # type: ignore[attr-defined]
    return np.asarray(image.dataobj).T


def expected_label(campaign: Campaign, case_id: str, kind: Kind, slices: Sequence[int]) -> Any:
    """Truth on slices, background on others that were asked for, ignore elsewhere."""
    label = np.full(kind.shape, campaign.ignore_label, np.uint8)
    planes = np.moveaxis(label, kind.axis, 0)
    planes[list(campaign.asked(case_id))] = 0
    truth = np.moveaxis(truth_of(case_id, kind), kind.axis, 0)
    planes[list(slices)] = truth[list(slices)]
    return label
