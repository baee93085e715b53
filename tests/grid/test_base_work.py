from pathlib import Path

import numpy as np
from grid_fixtures import TINY, write_grid

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.grid.base_work import BaseWork
from nnunet_sparse.grid.jobs import BaseJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.phantoms import make_case

VARIED = "[16, 32, 32], spacing: [4, 3, 3], variation: 0.5, drawn_slices: 32,"


def base_job(grid: Grid) -> BaseJob:
    (job,) = jobs_of(job_graph(grid), BaseJob)
    return job


def test_keys_that_were_added_are_asked_for_where_they_are_used(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    asked = BaseWork().asked(Work(grid), base_job(grid))
    # as records from before have it
    assert asked == {
        "phantom": {
            "task": "organ",
            "shape": [16, 32, 32],
            "num_train": 6,
            "num_test": 2,
            "seed": 0,
            "name": "",
        }
    }
    varied = write_grid(tmp_path, TINY.replace("[16, 32, 32],", VARIED), "varied.yaml")
    added = BaseWork().asked(Work(varied), base_job(varied))["phantom"]
    assert added == asked["phantom"] | {
        "spacing": [4.0, 3.0, 3.0],
        "variation": 0.5,
        "drawn_slices": 32,
    }


def test_a_phantom_is_made_as_the_file_says(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, TINY.replace("[16, 32, 32],", VARIED))
    grid.paths.make_folders()
    facts = BaseWork().do(Work(grid), base_job(grid))
    raw = RawDataset.open(grid.paths.raw / str(facts["base"]))
    expected = make_case(
        "organ", 0, 0, (16, 32, 32), (4.0, 3.0, 3.0), variation=0.5, drawn_slices=32
    )
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    image, properties = SimpleITKIO().read_images([str(raw.training["organ_0000"].images[0])])
    np.testing.assert_array_equal(image[0], expected.image)
    np.testing.assert_allclose(properties["spacing"], (4, 3, 3))
