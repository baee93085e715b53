import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import GUARD_S

SCRIPT = Path(__file__).with_name("ddp_process.py")


@pytest.mark.slow
@pytest.mark.usefixtures("trainable")
def test_two_processes_train_one_network(tmp_path):
    results = [tmp_path / f"{rank}.json" for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(tmp_path / "rendezvous"), str(file)],
            stdout=subprocess.DEVNULL,
        )
        for rank, file in enumerate(results)
    ]
    assert [process.wait(timeout=GUARD_S) for process in processes] == [0, 0]
    first, second = (json.loads(file.read_text("utf-8")) for file in results)
    # a batch of four is shared, each process draws its own part, and both end with equal weights
    assert [r["batch_size"] for r in (first, second)] == [2, 2]
    assert [r["num_keys"] for r in (first, second)] == [4, 4]
    assert first["voxels"] != second["voxels"]
    assert np.isfinite(first["losses"] + second["losses"]).all()
    assert first["weights"] == pytest.approx(second["weights"], rel=1e-6)
