"""Draw the window of nnsparse_annotate, at three moments of a phantom's campaign.

xvfb-run -s "-screen 0 1400x900x24" python benchmarks/draw_annotate_window.py docs/images
"""

import argparse
import os
import tempfile
from pathlib import Path

import napari
import nibabel
import numpy as np
from qtpy.QtWidgets import QApplication

from nnunet_sparse.annotate.viewer.campaign_window import CampaignWindow
from nnunet_sparse.annotate.viewer.open_window import open_window
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.dataset_tools.make_phantom import main as make_phantom

SIZE = 1250, 800


def write_campaign(folder: Path) -> tuple[Path, Path]:
    """Scans of which some slices are asked for; the campaign, and the folder of the truth."""
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir()
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    shape = ["--shape", "24", "128", "128", "--spacing", "5", "2.5", "2.5"]
    make_phantom(["lesion", *shape, "--num_train", "3", "--num_test", "1"])
    (dataset,) = (folder / "raw").iterdir()
    campaign = folder / "campaign"
    asked = ["--labels", "liver", "tumour", "--channels", "CT", "--slices_per_volume", "5"]
    worklist(["make", str(dataset / "imagesTr"), "-o", str(campaign), *asked])
    return campaign, dataset / "labelsTr"


def true_plane(window: CampaignWindow, labels: Path) -> np.ndarray:
    """Truth on the slice that is to be annotated, (rows, columns)."""
    case_id, index = window.session.current or ("", 0)
    label = np.asarray(nibabel.load(labels / f"{case_id}.nii.gz").dataobj).T
    return np.asarray(np.moveaxis(label, window.session.campaign.axis, 0)[index])


def paint(window: CampaignWindow, plane: np.ndarray) -> None:
    """Show strokes on the slice."""
    volume, (_, index) = window.session.volume, window.session.current or ("", 0)
    assert volume is not None
    volume.planes[index] = plane
    window.session.painted([index])


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as root:
        campaign, labels = write_campaign(Path(root))
        viewer = napari.Viewer()
        viewer.window._qt_window.resize(*SIZE)
        window = open_window(viewer, campaign, "mk")

        def photograph(name: str) -> None:
            for _ in range(20):
                QApplication.processEvents()
                if window.layers is not None:
                    window.layers.fit()  # the window has got its size by now
            viewer.screenshot(str(output / f"annotate_{name}.png"), canvas_only=False)

        while not (true_plane(window, labels) == 2).any():  # slices without a tumour
            truth = true_plane(window, labels)
            if truth.any():
                paint(window, truth)
                window.actions.next()
            else:
                window.actions.next()
                window.actions.confirm()
        window.actions.look_beside("0")
        truth = true_plane(window, labels)
        half = truth.copy()
        half[:, : int(np.median(np.nonzero(truth)[1]))] = 0
        paint(window, half)
        window.actions.look_beside("0")
        photograph("slice")
        paint(window, truth)
        window.actions.next()
        window.actions.look_beside("1")
        photograph("veil")
        window.actions.return_to_slice()
        window.actions.propose()
        photograph("proposal")
        viewer.window._qt_window.close()
        while viewer.window._qt_window.isVisible():
            QApplication.processEvents()


if __name__ == "__main__":
    main()
