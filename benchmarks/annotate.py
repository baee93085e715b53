"""How fast nnsparse_annotate answers on large CTs, and how much memory it takes.

xvfb-run -s "-screen 0 1400x900x24" python benchmarks/annotate.py [--shape 600 512 512]

Prints a table: seconds of the clock, and in brackets those of the processor; the longest of all
times. Without a display the window's rows are left out.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.campaign.asked_round import Round
from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.worklist import Answers, write_worklist
from nnunet_sparse.selection.variant import Variant

NUM_ASKED = 12
NUM_CASES = 3
NUM_PAGES = 40


def write_campaign(folder: Path, shape: tuple[int, int, int]) -> Campaign:
    """Noisy CTs, of which a dozen slices each are asked for."""
    asked = tuple(range(shape[0] // (2 * NUM_ASKED), shape[0], shape[0] // NUM_ASKED))[:NUM_ASKED]
    cases = [f"case_{k}" for k in range(NUM_CASES)]
    campaign = Campaign(
        folder,
        {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "tumour": 2}},
        0,
        "axial",
        {case_id: CampaignVolume(shape[0], ("scan",)) for case_id in cases},
        (Round(Variant(0.02, 1.0, "random"), dict.fromkeys(cases, asked)),),
    )
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    y, x = np.indices(shape[1:])
    body = np.hypot(y / shape[1] - 0.5, x / shape[2] - 0.5) < 0.4
    voxels = np.empty(shape, np.int16)
    for plane in voxels:
        plane[...] = np.where(body, rng.normal(40, 15, shape[1:]), -1000)
    files = [campaign.image_files(case_id)[0] for case_id in cases]
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([0.7, 0.7, 1.0, 1.0])), files[0])
    for file in files[1:]:
        file.symlink_to(files[0].name)
    prefill(campaign, 1)
    campaign = campaign.completed()
    campaign.write()
    write_worklist(campaign, Answers())
    return campaign


@dataclass
class Times:
    """Longest time that each action took, and the memory of this process."""

    volume_mib: float
    longest: dict[str, tuple[float, float]] = field(default_factory=dict)
    before_mib: float = 0.0

    def begin(self) -> None:
        """What follows is counted; what was imported so far is not."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.before_mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure a block."""
        begun, used = time.perf_counter(), time.process_time()
        yield
        taken = time.perf_counter() - begun, time.process_time() - used
        self.longest[name] = max(taken, self.longest.get(name, (0.0, 0.0)))

    def show(self, where: str) -> None:
        """Print the rows of the table."""
        for name, (seconds, used) in self.longest.items():
            print(f"| {where}: {name} | {seconds:.2f} ({used:.2f}) s |")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self.before_mib
        share = peak / self.volume_mib
        print(f"| {where}: memory | {peak:.0f} MiB, {share:.2f} times the volume |", flush=True)


def work_through(
    session: AnnotationSession,
    times: Times,
    following: Callable[[], Outcome | None],
    told: Callable[[], None],
) -> None:
    """Paint every slice and press N."""
    while session.volume is not None and session.queue.num_open:
        assert session.current is not None
        case_id, index = session.current
        plane = session.volume.planes[index]
        rows, columns = plane.shape
        plane[rows // 3 : rows // 2, columns // 3 : columns // 2] = 1
        del plane  # holds the label
        with times.of("a stroke"):
            session.painted([index])
            told()
        count = session.progress[0]
        is_last = index == session.campaign.asked(case_id)[-1]
        with times.of("next, in another volume" if is_last else "next"):
            outcome = following()
            told()
        assert session.progress[0] == count + 1
        if outcome is not None and outcome.result is Result.FINISHED:
            return
        session.tick()


def measure_session(campaign: Campaign, times: Times) -> None:
    """The session without its window."""
    times.begin()
    with times.of("opening"):
        session = AnnotationSession(campaign.folder, "mk")
    work_through(session, times, session.next, lambda: None)
    with times.of("closing"):
        session.close()
    times.show("session")


def measure_window(campaign: Campaign, times: Times) -> None:
    """The window, drawn each time."""
    import napari
    from qtpy.QtWidgets import QApplication

    from nnunet_sparse.annotate.viewer.open_window import open_window

    def draw() -> None:
        for _ in range(3):
            QApplication.processEvents()

    with times.of("starting napari, with its first layers"):
        viewer = napari.Viewer()
        viewer.window._qt_window.resize(1250, 800)
        draw()
        viewer.add_image(np.zeros((2, 2, 2)))
        viewer.add_labels(np.zeros((2, 2, 2), np.uint8))
        draw()
    times.begin()
    with times.of("opening"):
        window = open_window(viewer, campaign.folder, "jr")
        draw()
    draw()
    for _ in range(NUM_PAGES):
        with times.of("paging"):
            window.actions.look_beside("1")
            draw()
    window.actions.return_to_slice()
    work_through(window.session, times, window.actions.next, draw)
    with times.of("closing"):
        viewer.window._qt_window.close()
        while viewer.window._qt_window.isVisible():
            QApplication.processEvents()
    times.show("window")


def main() -> None:
    """Measure, and print a row for each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=[600, 512, 512])
    z, y, x = parser.parse_args().shape
    measures = [measure_session, *([measure_window] if os.environ.get("DISPLAY") else [])]
    print(f"| load of {os.cpu_count()} processors before | {os.getloadavg()[0]:.1f} |", flush=True)
    with tempfile.TemporaryDirectory() as root:
        for number, measure in enumerate(measures):
            folder = Path(root) / str(number)
            for work in (
                lambda folder=folder: write_campaign(folder, (z, y, x)),
                lambda folder=folder, measure=measure: measure(
                    Campaign.read(folder), Times(z * y * x * 2 / 2**20)
                ),
            ):
                child = os.fork()  # the memory of each is its own
                if not child:
                    work()
                    os._exit(0)
                os.waitpid(child, 0)


if __name__ == "__main__":
    main()
