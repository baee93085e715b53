from pathlib import Path

import pytest
from lits_conversion import refused

from nnunet_sparse.system.paths import NnUNetPaths


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--spacing", "1", "0", "1"], "spacing must be above 0 mm, got 1 x 0 x 1"),
        (["--spacing", "1", "nan", "1"], "spacing must be above 0 mm"),
        (["--size", "0", "8", "8"], "argument --size: must be a whole number of at least 1"),
        (["--native", "--size", "8", "8", "8"], "--native keeps the voxels"),
        (["--id", "1000"], "between 1 and 999, got 1000"),
        (["--id", "4"], "ID 4 is taken by Dataset004_Other"),
        (["-o", "../away"], "name must be letters"),
        (["-o", "Other", "--overwrite"], "Dataset004_Other is not a converted data set"),
        (["-o", "Other"], "Dataset004_Other exists with other content"),
        (["--exclude", "lits_009"], "--exclude: there is no case 'lits_009' (there are lits_000"),
        (["--exclude", "lits_000", "lits_001"], "2 cases are too few"),
        (
            ["--exclude", "lits_000", "lits_001", "lits_002", "lits_003"],
            "no case with image and label is left",
        ),
    ],
)
def test_bad_input_ends_with_one_line_and_leaves_nothing(
    paths: NnUNetPaths,
    source: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (paths.raw / "Dataset004_Other").mkdir()
    assert message in refused(capfd, source, *arguments)
    assert [p.name for p in paths.raw.iterdir()] == ["Dataset004_Other"]
