import shutil
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from dicom_files import DIRECTORY, STRUCTURES, dicom_object, positions_along, save, write_slices
from published_trees import write_series

from nnunet_sparse.campaign.find_volumes import find_volumes, volumes_of_dataset
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.errors import SparseError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(*sources: Path, channels: int = 1) -> dict[str, list[str]]:
    volumes = find_volumes(sources, channels)
    return {volume.case_id: [path.name for path in volume.channels] for volume in volumes}


def test_a_folder_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, "b.nii.gz", "deep/a.NRRD", "c.mha", "notes.txt", ".hidden.nii", "s.seg.nrrd")
    assert found(tmp_path) == {"a": ["a.NRRD"], "b": ["b.nii.gz"], "c": ["c.mha"]}


def test_a_campaign_among_the_volumes_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "campaign/campaign.json", "campaign/images/a_0000.nii.gz")
    assert found(tmp_path) == {"a": ["a.nii.gz"]}


def test_a_single_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    assert found(tmp_path / "b.nii.gz") == {"b": ["b.nii.gz"]}


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "far/deep/a.nii.gz", "scans/b.nii.gz")
    (tmp_path / "scans" / "link").symlink_to(tmp_path / "far")
    assert list(found(tmp_path / "scans")) == ["a", "b"]


def test_links_in_circles(tmp_path: Path) -> None:
    write_series(touch(tmp_path, "scans/x/a.nii.gz") / "scans" / "z", np.zeros((3, 4, 5)))
    for link, target in (("x/back", "."), ("again", "z"), ("self", "self")):
        (tmp_path / "scans" / link).symlink_to(tmp_path / "scans" / target)
    assert found(tmp_path / "scans") == {"a": ["a.nii.gz"], "z": ["z"]}


@pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="names of files are ASCII in this locale"
)
def test_names_become_case_ids(tmp_path: Path) -> None:
    touch(tmp_path, "Müller, J (2).nii.gz", "x.y.nii")
    assert list(found(tmp_path)) == ["M_ller_J_2", "x.y"]


@pytest.mark.parametrize("other", ["x/a.nii", "a.mha", "A.nii.gz"])
def test_two_volumes_of_one_name(tmp_path: Path, other: str) -> None:
    touch(tmp_path, "a.nii.gz", other)
    with pytest.raises(SparseError, match="would both be case"):
        find_volumes([tmp_path], 1)


def test_channels_by_nnunets_names(tmp_path: Path) -> None:
    touch(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0001.nii.gz", "b_0000.nii.gz")
    assert found(tmp_path, channels=2) == {
        "a": ["a_0000.nii.gz", "a_0001.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
    }
    with pytest.raises(SparseError, match="has 2 channels, --channels names 1"):
        find_volumes([tmp_path], 1)


def test_one_channel_by_nnunets_names(tmp_path: Path) -> None:
    assert list(found(touch(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz"))) == ["a", "b"]


def test_numbers_that_are_no_channels(tmp_path: Path) -> None:
    touch(tmp_path, "scan_0001.nii.gz", "scan_0002.nii.gz")
    assert list(found(tmp_path)) == ["scan_0001", "scan_0002"]


def test_a_missing_channel(tmp_path: Path) -> None:
    touch(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz")
    with pytest.raises(SparseError, match="or some are missing"):
        find_volumes([tmp_path], 2)


def test_dicom_folders(tmp_path: Path) -> None:
    for name in ("p1/late", "p2"):
        write_series(tmp_path / name, np.zeros((3, 4, 5)))
    for number, file in enumerate(sorted((tmp_path / "p2").iterdir())):
        file.rename(file.with_name(f"IM{number}"))  # as scanners write them
    assert found(tmp_path) == {"p1_late": ["late"], "p2": ["p2"]}
    assert found(tmp_path / "p2") == {"p2": ["p2"]}


def test_lists(tmp_path: Path) -> None:
    touch(tmp_path, "scans/a.nii.gz", "scans/b.nii.gz")
    (tmp_path / "list.txt").write_text("# mine\nscans/a.nii.gz\n\n")
    assert found(tmp_path / "list.txt") == {"a": ["a.nii.gz"]}
    (tmp_path / "list.csv").write_text("case,image\nfirst,scans/b.nii.gz\n,scans/a.nii.gz\n")
    assert found(tmp_path / "list.csv") == {"a": ["a.nii.gz"], "first": ["b.nii.gz"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_paths_of_other_systems(tmp_path: Path, encoding: str) -> None:
    touch(tmp_path / "scans", unicodedata.normalize("NFD", "köpfe.nii.gz"))
    path = unicodedata.normalize("NFC", "scans\\köpfe.nii.gz")
    (tmp_path / "list.txt").write_text(f'"{path}"\n', encoding)
    (tmp_path / "list.tsv").write_text(f"case\timage\nNA\t{path}\n", encoding)
    assert list(found(tmp_path / "list.txt")) == list(found(tmp_path / "list.tsv")) == ["ko_pfe"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_lists_of_other_programs(tmp_path: Path, encoding: str) -> None:
    touch(tmp_path, "scans/köpfe.nii.gz")
    path = "scans/köpfe.nii.gz"
    (tmp_path / "list.txt").write_text(f"{path}\r\n", encoding)
    (tmp_path / "list.csv").write_text(f"sep=;\nIMAGE;Case\n{path};a\n", encoding)
    assert found(tmp_path / "list.txt") == {"k_pfe": ["köpfe.nii.gz"]}
    assert found(tmp_path / "list.csv") == {"a": ["köpfe.nii.gz"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.txt", "none.nii", "lists 'none.nii', which does not exist"),
        ("l.txt", "l.txt", "lists 'l.txt', which is no volume"),
        ("l.txt", ".", "which holds no DICOM series"),
        ("l.csv", "file\na.nii\n", "must be a table with the column image"),
        ("l.csv", 'image\n"' + 140_000 * "x", "l.csv, line 2: field larger than"),
        ("l.txt", "~nouser/x.nii.gz", "lists '~nouser/x.nii.gz', which does not exist"),
        ("l.pdf", "", "is no volume: expected"),
    ],
)
def test_bad_lists(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SparseError, match=message):
        find_volumes([tmp_path / name], 1)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SparseError, match="no volumes in"):
        find_volumes([tmp_path], 1)
    with pytest.raises(SparseError, match="does not exist"):
        find_volumes([tmp_path / "x"], 1)


def test_data_sets(make_base: BaseMaker) -> None:
    folder = make_base(num_train=2, channels=2)
    shutil.rmtree(folder / "labelsTr")
    volumes = volumes_of_dataset(RawDataset.open(folder))
    assert [v.case_id for v in volumes] == ["tr_00", "tr_01"]
    (folder / "imagesTr" / "tr_01_0001.nii.gz").unlink()
    with pytest.raises(SparseError, match=r"tr_01 of .* has 1 image files, dataset\.json declares"):
        volumes_of_dataset(RawDataset.open(folder))


def test_data_sets_of_other_formats(make_base: BaseMaker) -> None:
    base = make_base(num_train=1, ending=".tif")
    assert volumes_of_dataset(RawDataset.open(base))[0].channels[0].name == "tr_00_0000.tif"
    content = (base / "dataset.json").read_text().replace(".tif", ".npz")
    (base / "dataset.json").write_text(content)
    (base / "imagesTr" / "tr_00_0000.tif").rename(base / "imagesTr" / "tr_00_0000.npz")
    with pytest.raises(SparseError, match=r"tr_00_0000\.npz is no volume: campaigns read \.nii"):
        volumes_of_dataset(RawDataset.open(base))


def test_whole_patients(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of each patient one scan, or two, among what scanners and archives put beside them."""
    caplog.set_level("INFO")
    planes = np.zeros((4, 5, 6), np.int16)
    for number, names in enumerate(("{:03d}.dcm", "IM{:04d}", "{}.ima")):
        folder = tmp_path / f"p{number}"
        write_slices(folder, planes, positions_along(4, 2), name=names)
        write_slices(
            folder, planes[:1], [[0, 0, 0]], name="scout", ImageType=["A", "B", "LOCALIZER"]
        )
        save(dicom_object(STRUCTURES), folder / "RS.dcm")
        (folder / "._RS.dcm").write_bytes(b"\0\5\x16\7")
        (folder / "report.pdf").write_text("x")
    write_slices(folder, planes, positions_along(4, 3), name="x{}", SeriesNumber=5)
    save(dicom_object(DIRECTORY), tmp_path / "DICOMDIR")
    assert found(tmp_path) == {"p0": ["p0"], "p1": ["p1"], "p2_1": ["0.ima"], "p2_5": ["x0"]}
    assert sorted(record.message for record in caplog.records) == [
        f"left out, Media Storage Directory: {tmp_path}/DICOMDIR",
        f"left out, RT Structure Set: {tmp_path}/p0/RS.dcm and 2 more",
        f"left out, hidden file of macOS: {tmp_path}/p0/._RS.dcm and 2 more",
        f"left out, localizer: {tmp_path}/p0/scout and 2 more",
    ]


def test_nothing_but_what_is_no_volume(tmp_path: Path) -> None:
    save(dicom_object(STRUCTURES), tmp_path / "RS.dcm")
    write_slices(tmp_path, np.zeros((1, 5, 6)), [[0, 0, 0]])
    message = "no volumes in .*: left out, 1 slice, not a volume: .*; RT Structure Set: .*RS.dcm$"
    with pytest.raises(SparseError, match=message):
        find_volumes([tmp_path], 1)


def test_image_files_beside_a_series(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    touch(tmp_path, "p/mask.nii.gz")
    save(dicom_object(STRUCTURES), tmp_path / "p" / "RS.dcm")
    assert found(tmp_path) == {"mask": ["mask.nii.gz"]}
    files = write_slices(tmp_path / "p", np.zeros((4, 5, 6)), positions_along(4, 2))
    assert found(tmp_path) == {"p": ["p"]}
    assert f"image file in the folder of a series: {tmp_path}/p/mask.nii.gz" in caplog.text
    for file in (*files, tmp_path / "p" / "RS.dcm"):
        file.rename(file.with_suffix(""))
    caplog.clear()
    assert found(tmp_path) == {"p": ["p"]}
    assert f"image file in the folder of a series: {tmp_path}/p/mask.nii.gz" in caplog.text


def incomplete(folder: Path, gone: int, **elements: str) -> None:
    positions = np.delete(positions_along(8, 3), gone, axis=0)
    write_slices(folder, np.zeros((7, 5, 6)), positions, **elements)


def test_all_incomplete_series_are_told_and_can_be_left_out(tmp_path: Path) -> None:
    write_slices(tmp_path / "good", np.zeros((4, 5, 6)), positions_along(4, 2))
    incomplete(tmp_path / "one", 3)
    incomplete(tmp_path / "two", 4, SeriesNumber="5", name="a{}.dcm")
    write_slices(
        tmp_path / "two", np.zeros((4, 5, 6)), positions_along(4, 2), name="b{}.dcm", SeriesNumber=6
    )
    with pytest.raises(SparseError) as caught:
        find_volumes([tmp_path], 1)
    message = str(caught.value)
    assert message.startswith("2 of 4 volumes cannot be taken: ")
    for part in (f"{tmp_path}/one: distances", f"the series of {tmp_path}/two/a0.dcm: distances"):
        assert part in message
    assert message.endswith("(set right what is wrong, or go on without: --exclude one two_5)")
    left = find_volumes([tmp_path], 1, exclude=["one", "two_5"])
    assert [volume.case_id for volume in left] == ["good", "two_6"]
    with pytest.raises(SparseError, match=r"^/.*one: distances .*--exclude one\)$"):
        find_volumes([tmp_path], 1, exclude=["two_5"])


def test_all_damaged_files_are_told(tmp_path: Path) -> None:
    for name, count in (("a", 1), ("b", 5)):
        files = write_slices(tmp_path / name, np.zeros((6, 5, 6)), positions_along(6, 2))
        for file in files[:count]:
            file.write_bytes(file.read_bytes()[:-10])
    incomplete(tmp_path / "c", 3)
    with pytest.raises(SparseError) as caught:
        find_volumes([tmp_path], 1)
    message = str(caught.value)
    assert message.count("is damaged") == 4
    assert f"{tmp_path}/b/002.dcm is damaged" in message
    assert "; 2 more files; " in message
    assert f"{tmp_path}/c: distances" in message


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        (["x", "a"], "--exclude names x, there is no such case; cases are called a, b"),
        (["a", "b"], "--exclude leaves no volume"),
    ],
)
def test_exclusions_that_make_no_sense(tmp_path: Path, exclude: list[str], message: str) -> None:
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    with pytest.raises(SparseError, match=message):
        find_volumes([tmp_path], 1, exclude)


def test_a_series_in_two_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    positions = positions_along(8, 2)
    for k, part in enumerate((positions[:4], positions[4:])):
        write_slices(tmp_path / f"{k}", np.zeros((4, 5, 6)), part, SeriesInstanceUID="1.2.9")
    assert found(tmp_path) == {"0": ["0"], "1": ["1"]}
    (record,) = caplog.records
    assert f"{tmp_path}/0 and {tmp_path}/1 are copies or parts of one DICOM" in record.message


def test_lists_of_series(tmp_path: Path) -> None:
    for step in (1, 2):
        write_slices(
            tmp_path / "p",
            np.zeros((4, 5, 6)),
            positions_along(4, step),
            name=f"{step}_{{}}",
            SeriesNumber=step,
        )
    write_slices(tmp_path / "p", np.zeros((1, 5, 6)), [[0, 0, 0]], name="one")
    (tmp_path / "list.csv").write_text("case,image\nfirst,p/2_3\n,p/1_1\n")
    assert found(tmp_path / "list.csv") == {"first": ["2_0"], "p_1": ["1_0"]}
    assert found(tmp_path / "p" / "2_1") == {"p_2": ["2_0"]}
    (tmp_path / "list.txt").write_text("p\n")
    assert list(found(tmp_path / "list.txt")) == ["p_1", "p_2"]
    (tmp_path / "list.csv").write_text("case,image\nfirst,p\n")
    with pytest.raises(SparseError, match="which holds 2 series; list a file of each"):
        find_volumes([tmp_path / "list.csv"], 1)
    for source, begin in (("list.txt", "lists 'p/one', which"), ("p/one", "p/one")):
        (tmp_path / "list.txt").write_text("p/one\n")
        with pytest.raises(SparseError, match=f"{begin} is no volume: 1 slice, not a volume"):
            find_volumes([tmp_path / source], 1)
