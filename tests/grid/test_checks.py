from pathlib import Path

import pytest
from conftest import BaseMaker
from grid_fixtures import TINY, write_grid

from nnunet_sparse.errors import SparseError
from nnunet_sparse.grid.checks import check_experiment

BASE = "  - base: 4\n"
WITHOUT_SETTINGS = TINY.replace(TINY[TINY.index("    settings") : TINY.index("rho")], "")
PHANTOM = TINY.splitlines(keepends=True)[1]


def test_labels_of_a_base(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base()
    text = TINY.replace(PHANTOM, BASE)
    check_experiment(write_grid(tmp_path, text))
    wrong = write_grid(tmp_path, text.replace(BASE, BASE + "    labels: [organ, Tumor]\n"))
    with pytest.raises(SparseError, match=r"tiny.yaml, line 2: Tiny has no label 'Tumor', there"):
        check_experiment(wrong)


def test_labels_of_a_phantom_that_has_not_been_made(tmp_path: Path) -> None:
    text = TINY.replace(PHANTOM, PHANTOM + "    labels: breast\n")
    check_experiment(write_grid(tmp_path, text))
    wrong = write_grid(tmp_path, text.replace("breast", "background"))
    with pytest.raises(SparseError, match="PhantomOrgan has no label 'background', there are br"):
        check_experiment(wrong)


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ("SparseTrainerUNet3D", "line 4: SparseTrainerUNet3D trains 3d_fullres, not 2d"),
        (
            "SparseTrainerUNETT",
            r"line 4: nnU-Net finds no trainer .*\(did you mean SparseTrainerUNETR\?\)",
        ),
    ],
)
def test_trainers_that_cannot_train(tmp_path: Path, trainer: str, message: str) -> None:
    text = TINY.replace("planner:", f"trainer: {trainer}\n    planner:", 1)
    with pytest.raises(SparseError, match=message):
        check_experiment(write_grid(tmp_path, text))


def test_trainers_of_nnunet_and_of_the_paper(tmp_path: Path) -> None:
    for trainer in ("nnUNetTrainer_5epochs", "SparseTrainerSegFormer"):
        text = WITHOUT_SETTINGS.replace("planner:", f"trainer: {trainer}\n    planner:", 1)
        check_experiment(write_grid(tmp_path, text))


def test_settings_that_a_trainer_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TINY.replace("planner:", "trainer: nnUNetTrainer\n    planner:", 1)
    with pytest.raises(SparseError, match=r"line \d: nnUNetTrainer does not read settings: leave"):
        check_experiment(write_grid(tmp_path, text))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "derived.py").write_text(
        "from nnunet_sparse.trainers.sparse_trainer import SparseTrainer\n\n\n"
        "class Derived(SparseTrainer):\n    pass\n"
    )
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "theirs"))
    check_experiment(write_grid(tmp_path, text.replace("nnUNetTrainer", "Derived")))
