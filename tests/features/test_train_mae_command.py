import pytest
from file_times import date_back, written_since
from tiny import tree

from nnunet_sparse.features.train_mae_command import main


@pytest.mark.usefixtures("short")
def test_trains_once_and_tells_where(paths, make_base, capsys):
    make_base()
    for _ in range(2):
        assert main(["-d", "4", "-device", "cpu", "-np", "1"]) == 0
        out = capsys.readouterr().out
        assert "features: 61 slices of 7 training volumes, axis 0" in out
    folder = paths.preprocessed / "Dataset004_Tiny"
    assert f"folder:   {folder / 'nnsparse' / 'mae_tiny_axis0_seed0'}" in out
    assert (folder / "nnsparse_split.json").exists()
    checkpoint = folder / "nnsparse" / "mae_tiny_axis0_seed0" / "checkpoint.pth"
    date_back(checkpoint)
    assert main(["-d", "4", "-device", "cpu", "-np", "1", "--overwrite"]) == 0
    assert written_since(checkpoint) == {checkpoint}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-d", "9"], "no data set '9'"),
        (["-d", "5"], "already has an ignore label"),
        (["-d", "4", "--axis", "7"], "unknown axis '7'"),
        (["-d", "4", "-device", "quantum"], "'quantum' cannot be used"),
        (["-d", "4", "--mae", "huge"], "invalid choice: 'huge'"),
        (["-d", "4", "--val", "99"], "no training case is left"),
    ],
)
def test_bad_arguments(paths, make_base, capsys, argv, message):
    make_base()
    make_base("Dataset005_Ignored", labels={"background": 0, "organ": 1, "ignore": 2})
    before = tree(paths.raw.parent)
    try:
        status = main([*argv, "-np", "1"])
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert tree(paths.raw.parent) == before
