import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from grid_fixtures import write_grid
from tiny import array, write_volume

from nnunet_sparse.grid.cell_kinds import INTERPOLATED
from nnunet_sparse.grid.job_records import GridFolder, Record
from nnunet_sparse.grid.jobs import Job, job_graph
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.report.grid.mask_quality import mask_qualities
from nnunet_sparse.selection.selection import CaseSelection, Selection
from nnunet_sparse.system.errors import SparseError

TEXT = """\
nnunet: nnunet
tasks:
  - {base: 4, positive_weight: 3, labels: [LABELS]}
configurations:
  - configuration: 2d
rho: [0.2]
s: [1]
selectors: [fixed, random]
seeds: [0, 1]
interpolation: {methods: [shape]}
"""


def interpolated(grid: Grid) -> list[Job]:
    jobs = job_graph(grid).values()
    return [job for job in jobs if job.step == "dataset" and job.subject.kind == INTERPOLATED]


def publish(grid: Grid, job: Job, base: Path, wrong: int = 0) -> Path:
    """An interpolated data set with a number of organ voxels that are background in truth."""
    name = f"Dataset{600 + interpolated(grid).index(job)}_{job.key}"
    folder = grid.paths.raw / name
    cases = {}
    for k, file in enumerate(sorted((base / "labelsTr").iterdir())[:2]):
        label = array(file)
        background = np.argwhere(label == 0)[: wrong if k == 0 else 0]
        label[tuple(background.T)] = 1
        write_volume(folder / "labelsTr" / file.name, label)
        write_volume(folder / "imagesTr" / file.name.replace(".nii", "_0000.nii"), label)
        cases[file.name.partition(".")[0]] = CaseSelection(len(label), (0,))
    (folder / "dataset.json").write_text((base / "dataset.json").read_text("utf-8"))
    selection = Selection(base.name, job.subject.variant, 0, cases)
    (folder / "selection.json").write_text(json.dumps(selection.to_json()))
    record = Record(job.name, {}, {}, 1.0, {"dataset": name, "num_slices": 2})
    GridFolder(grid.folder).write(job.name, record)
    return folder


def test_variants_that_differ_in_seed_or_weight(tmp_path: Path, make_base: BaseMaker) -> None:
    base = make_base()
    grid = write_grid(tmp_path, TEXT.replace("LABELS", "organ"))
    files = sorted((base / "labelsTr").iterdir())[:2]
    voxels = sum(int((array(file) == 1).sum()) for file in files)
    jobs = interpolated(grid)
    for wrong, job in enumerate(jobs[:3]):
        publish(grid, job, base, wrong)
    *found, together = mask_qualities(grid, 1)
    factors = [
        (q.variant.selector, q.variant.positive_weight, q.variant.seed, q.done) for q in found
    ]
    assert factors == [
        ("fixed", 3.0, 0, True),
        ("random", 3.0, 0, True),
        ("fixed", 3.0, 1, True),
        ("random", 3.0, 1, False),
    ]
    truth = [voxels / (voxels + wrong) for wrong in range(3)]
    assert [q.iou for q in found] == [*map(pytest.approx, truth), None]
    # one is missing, so that there is no number of all
    assert (together.pooled, together.done, together.iou) == (True, False, None)
    publish(grid, jobs[3], base, 3)
    together = mask_qualities(grid, 1)[-1]
    assert together.done
    assert together.iou == pytest.approx(4 * voxels / (4 * voxels + 6))


def test_what_was_measured_is_kept_after_the_data_set(tmp_path: Path, make_base: BaseMaker) -> None:
    base = make_base()
    grid = write_grid(tmp_path, TEXT.replace("LABELS", ""))
    one, other, *_ = interpolated(grid)
    shutil.rmtree(publish(grid, one, base))
    measured = publish(grid, other, base)
    before = mask_qualities(grid, 1)
    assert [q.iou for q in before] == [None, 1, None, None, None]
    shutil.rmtree(measured)
    assert mask_qualities(grid, 1) == before


def test_a_label_that_is_gone(tmp_path: Path, make_base: BaseMaker) -> None:
    base = make_base()
    grid = write_grid(tmp_path, TEXT.replace("LABELS", ""))
    folder = publish(grid, interpolated(grid)[0], base)
    (folder / "imagesTr" / "tr_00_0000.nii.gz").unlink()
    with pytest.raises(SparseError, match="has no label of tr_00, which is annotated"):
        mask_qualities(grid, 1)


def test_masks_that_are_excluded(tmp_path: Path, make_base: BaseMaker) -> None:
    make_base()
    excluded = "exclude: [{kind: interpolated, selectors: random}]\n"
    grid = write_grid(tmp_path, TEXT.replace("LABELS", "") + excluded)
    qualities = mask_qualities(grid, 1)
    found = [(q.variant.selector, q.variant.seed, q.is_left_out, q.pooled) for q in qualities]
    assert found == [
        *(("fixed", seed, False, False) for seed in (0, 1)),
        # of what is there
        ("fixed", 0, False, True),
        *(("random", seed, True, False) for seed in (0, 1)),
    ]
    # both densities are named, the excluded one as N/A
    more = TEXT.replace("rho: [0.2]", "rho: [0.2, 0.8]").replace("LABELS", "")
    grid = write_grid(tmp_path, more + "exclude: [{kind: interpolated, rho: 0.8}]\n")
    pooled = [quality for quality in mask_qualities(grid, 1) if quality.pooled]
    assert [(q.variant.rho, q.is_left_out) for q in pooled] == [(0.2, False), (0.8, True)]
    # a data set that one way of training needs is made
    both = TEXT.replace("rho:", "  - configuration: 3d_fullres\nrho:", 1).replace("LABELS", "")
    grid = write_grid(tmp_path, both + excluded.replace("{", "{configuration: 2d, "))
    assert not any(quality.is_left_out for quality in mask_qualities(grid, 1))


def test_masks_are_compared_on_the_target(tmp_path: Path, make_base: BaseMaker) -> None:
    base = make_base(extra={"nnsparse": {"roles": {"target": ["lesion"]}}})
    for labels, expected in (("", 1.0), ("all", None)):
        grid = write_grid(tmp_path, TEXT.replace("LABELS", labels), f"grid{labels}.yaml")
        publish(grid, interpolated(grid)[0], base, wrong=2)
        organ = sum(int((array(f) == 1).sum()) for f in sorted((base / "labelsTr").iterdir())[:2])
        # two voxels of organ too many
        mean = (1 + organ / (organ + 2)) / 2
        assert mask_qualities(grid, 1)[0].iou == pytest.approx(expected or mean)
