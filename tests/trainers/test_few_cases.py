import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.evaluation import evaluate_predictions
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module
from nnunetv2.utilities.file_path_utilities import check_workers_alive_and_busy

from nnunet_sparse.trainers.few_cases import are_few, without_pools


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a pool is started")

    monkeypatch.setattr("multiprocessing.get_context", refuse)


@pytest.mark.usefixtures("no_processes")
def test_nnunets_evaluation_starts_no_process(tmp_path: Path) -> None:
    truth = np.zeros((2, 3, 4), np.uint8)
    truth[0, :2] = 1
    prediction = np.zeros_like(truth)
    prediction[0, 1:] = 1
    for folder, array in (("truth", truth), ("prediction", prediction)):
        (tmp_path / folder).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / folder / "case.nii.gz"))
    file = tmp_path / "summary.json"
    with without_pools():
        evaluate_predictions.compute_metrics_on_folder(
            str(tmp_path / "truth"),
            str(tmp_path / "prediction"),
            str(file),
            SimpleITKIO(),
            ".nii.gz",
            [1],
            num_processes=4,
        )
    # 4 voxels in both, 4 in one of them alone, each way
    scores = json.loads(file.read_text("utf-8"))["mean"]["1"]
    assert (scores["TP"], scores["FP"], scores["FN"], scores["Dice"]) == (4, 4, 4, 0.5)


@pytest.mark.usefixtures("no_processes")
def test_what_is_handed_over_is_done_at_once() -> None:
    done: list[tuple[int, str]] = []
    with without_pools():
        context: Any = trainer_module.multiprocessing.get_context("spawn")
        with context.Pool(3) as pool:
            result = pool.starmap_async(lambda *case: done.append(case), [(1, "a"), (2, "b")])
            assert done == [(1, "a"), (2, "b")]
            assert not check_workers_alive_and_busy(pool, list(pool._pool), [result], 2)
            assert result.get() == [None, None]


def test_an_error_is_passed_on_and_pools_are_back() -> None:
    import multiprocessing

    with pytest.raises(ZeroDivisionError), without_pools():  # noqa: PT012 - the pool raises
        context: Any = trainer_module.multiprocessing.get_context("spawn")
        context.Pool(1).starmap(lambda number: 1 / number, [(0,)])
    assert trainer_module.multiprocessing is multiprocessing
    assert evaluate_predictions.multiprocessing is multiprocessing


@pytest.mark.parametrize(
    ("shape", "num_cases", "few"),
    [
        ((35, 50, 35), 52, True),  # hippocampi: 10 million logits
        ((165, 200, 160), 3, True),
        ((165, 200, 160), 4, False),
        ((800, 512, 512), 1, False),  # a computed tomography of the body
    ],
)
def test_what_is_little(shape: tuple[int, ...], num_cases: int, few: bool) -> None:
    plans: Any = SimpleNamespace(original_median_shape_after_transp=shape)
    labels: Any = SimpleNamespace(num_segmentation_heads=3)
    assert are_few(num_cases, plans, labels) == few
