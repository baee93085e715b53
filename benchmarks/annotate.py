"""How fast the model of nnsparse_annotate answers, and how much memory it takes.

python benchmarks/annotate.py [--shape 600 512 512]
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

from nnunet_sparse.annotate.outcome import Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume, Round
from nnunet_sparse.campaign.prefill import prefill
from nnunet_sparse.campaign.worklist import Answers, write_worklist
from nnunet_sparse.selection.variant import Variant

NUM_ASKED = 12


def write_campaign(folder: Path, shape: tuple[int, int, int], num_cases: int) -> Campaign:
    """Noisy CTs, of which a dozen slices each are asked for."""
    asked = tuple(range(shape[0] // (2 * NUM_ASKED), shape[0], shape[0] // NUM_ASKED))[:NUM_ASKED]
    cases = [f"case_{k}" for k in range(num_cases)]
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


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure, and print a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=[600, 512, 512])
    args = parser.parse_args()
    z, y, x = args.shape
    with tempfile.TemporaryDirectory() as root:
        child = os.fork()  # what making the campaign takes is not measured
        if not child:
            write_campaign(Path(root) / "campaign", (z, y, x), 2)
            os._exit(0)
        os.waitpid(child, 0)
        campaign = Campaign.read(Path(root) / "campaign")
        volume_mib = z * y * x * 2 / 2**20
        before = resident_mib()
        begun, used = time.perf_counter(), time.process_time()
        session = AnnotationSession(campaign.folder, "mk")
        taken, used = time.perf_counter() - begun, time.process_time() - used
        print(f"opening          {taken:.2f} s, {used:.2f} s of a processor")
        answers, strokes, changes = [], [], []
        while session.volume is not None:
            assert session.current is not None
            case_id, index = session.current
            plane = session.volume.planes[index]
            plane[y // 3 : y // 2, x // 3 : x // 2] = 1
            begun = time.perf_counter()
            session.painted([index])
            strokes.append(time.perf_counter() - begun)
            del plane  # holds the label
            begun, used = time.perf_counter(), time.thread_time()
            outcome = session.next()
            taken, used = time.perf_counter() - begun, time.thread_time() - used
            if outcome.result is Result.FINISHED:
                break
            is_other = session.current[0] != case_id
            (changes if is_other else answers).append((taken, used))
            session.tick()
        begun = time.perf_counter()
        session.close()
        print(f"a stroke         {max(strokes):.3f} s at most")
        seconds, used = np.max(answers, axis=0)
        print(f"next             {seconds:.3f} s at most, {used:.3f} s of a processor")
        seconds, used = np.max(changes, axis=0)
        print(f"the next volume  {seconds:.2f} s, {used:.2f} s of a processor by this thread")
        print(f"closing          {time.perf_counter() - begun:.2f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"memory           {peak:.0f} MiB at most, {before:.0f} MiB before: "
            f"{(peak - before) / volume_mib:.2f} volumes of {volume_mib:.0f} MiB (int16)"
        )


if __name__ == "__main__":
    main()
