import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import tree, write_volume

from nnunet_sparse.data.preprocessing_record import StepRecord
from nnunet_sparse.doctor import batches, drawn_batches
from nnunet_sparse.doctor.batch_recorder import NoBatchesError
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError

CASES = [f"case_{number}" for number in range(6)]
TRAIN, VAL = CASES[:4], CASES[4:]


def verdicts(report):
    return {(f.check, f.configuration): f.verdict for f in report.findings if f.verdict != "ok"}


def test_a_sound_data_set_has_no_finding_but_ok(toy):
    report = toy.write(["2d", "3d_fullres"]).examine()
    assert verdicts(report) == {}
    assert report.skipped == []
    assert report.verdict == "ok"
    assert len(report.findings) == 9 + 6 + 6
    assert {f.advice for f in report.findings} == {""}


def test_nothing_is_written(toy):
    toy.write()
    (toy.preprocessed / "splits_final.json").unlink()
    before = tree(toy.paths.raw.parent)
    toy.examine()
    assert tree(toy.paths.raw.parent) == before


def test_slices_are_counted_per_case_and_class(toy):
    toy.labels["case_0"][5] = 3
    finding = toy.write_raw().finding("annotated slices")
    # slices 1, 5, ... 21 of four cases, but one
    assert finding.number == 4 * 6 - 1
    assert finding.details["cases"]["case_0"]["annotated_slices"] == 5
    assert finding.details["cases"]["case_4"]["class_slices"] == {"left": 24, "right": 24}
    assert finding.details["num_dense_cases"] == 2


def test_a_class_that_no_training_case_shows(toy):
    for case in ("case_0", "case_1", "case_2", "case_3"):
        toy.labels[case][toy.labels[case] == 2] = 0
    report = toy.write_raw().examine()
    assert verdicts(report)["annotated slices", None] == "broken"
    assert verdicts(report)["classes per fold", None] == "broken"


def test_a_class_that_the_validation_does_not_show(toy):
    for case in ("case_4", "case_5"):
        toy.labels[case][toy.labels[case] == 2] = 0
    report = toy.write_raw().examine()
    assert verdicts(report) == {("classes per fold", None): "warning"}


@pytest.mark.parametrize("case", ["case_1", "case_4"])
def test_a_case_without_annotation(toy, case):
    toy.labels[case][:] = 3
    finding = toy.write_raw().finding("ignored cases")
    assert (finding.verdict, finding.number) == ("broken", 1)
    assert case in finding.found


def test_no_annotation_at_all(toy):
    toy.intensities = toy.annotated_intensities()
    for label in toy.labels.values():
        label[:] = 3
    finding = toy.write().finding("batches", "3d_fullres")
    assert finding.verdict == "broken"


def test_a_sparse_validation_case(toy):
    toy.labels["case_5"][3] = 3
    finding = toy.write_raw().finding("dense validation")
    assert (finding.verdict, finding.number) == ("warning", 1)


def test_a_fold_that_trains_on_nothing(toy):
    toy.splits = [{"train": [], "val": VAL}, {"train": TRAIN, "val": VAL}]
    finding = toy.write_raw().finding("split")
    assert (finding.verdict, finding.found) == ("broken", "no training case in fold 0")


def test_cases_of_both_parts(toy):
    toy.splits = [{"train": ["case_0", "case_1"], "val": ["case_1", "other"]}]
    finding = toy.write_raw().finding("split")
    assert (finding.verdict, finding.number) == ("broken", 2)


def test_a_test_case_with_the_name_of_a_training_case(toy):
    toy.test_images = {"case_3": toy.test_images["test_0"]}
    finding = toy.write_raw().finding("test cases")
    assert (finding.verdict, finding.number) == ("broken", 1)


@pytest.mark.parametrize("how", ["copy", "link"])
def test_a_test_image_that_is_a_training_image(toy, how):
    toy.write_raw()
    source = toy.raw / "imagesTr" / "case_3_0000.nii.gz"
    target = toy.raw / "imagesTs" / "test_9_0000.nii.gz"
    shutil.copy(source, target) if how == "copy" else target.symlink_to(source)
    finding = toy.finding("test cases")
    assert (finding.verdict, finding.number) == ("broken", 1)
    assert "test_9 of imagesTs is the training case case_3" in finding.found


def test_a_declared_test_case_that_trains(toy):
    toy.write_raw()
    base = toy.paths.preprocessed / "Dataset004_Base"
    base.mkdir()
    split = {"train": ["case_0"], "val": [], "test": ["case_2", "case_7"]}
    (base / "nnsparse_split.json").write_text(json.dumps(split))
    (toy.raw / "selection.json").write_text(json.dumps({"base": base.name, "axis": 0}))
    finding = toy.finding("test cases")
    assert (finding.verdict, finding.number) == ("broken", 1)
    assert "case_2 is a test case in" in finding.found


def test_scribbles_are_not_whole_slices(toy):
    toy.labels["case_0"][1, :, 12:] = 3
    finding = toy.write_raw().finding("whole slices")
    assert (finding.verdict, finding.number) == ("warning", 1)


def test_2d_across_the_annotated_slices(toy):
    toy.transpose = (1, 0, 2)
    finding = toy.write(["2d"]).finding("slice axis")
    assert (finding.verdict, finding.number, finding.configuration) == ("warning", 4, "2d")


def halve_the_slices(toy):
    """Every fourth slice, from the first on, at half the number of slices.

    A target plane lies half in an annotated and half in an ignored slice, and ignore wins.
    """
    toy.target_spacing = (2.0, 1.0, 1.0)
    for case in ("case_0", "case_1", "case_2", "case_3"):
        toy.labels[case] = np.roll(toy.labels[case], -1, axis=0)


def test_slices_that_resampling_loses(toy):
    halve_the_slices(toy)
    toy.write(["2d", "3d_fullres"])
    findings = [f for f in toy.examine().findings if f.check == "surviving slices"]
    in_2d, in_3d = sorted(findings, key=lambda f: f.configuration)
    # 2d keeps the slice spacing
    assert (in_2d.verdict, in_2d.number, in_2d.stock) == ("ok", 0, 0)
    assert in_3d.verdict == "broken"
    assert in_3d.number == in_3d.stock == 4 * 6


def test_slices_that_our_resampling_keeps(toy, monkeypatch):
    import nnunetv2.preprocessing.resampling.default_resampling as stock

    from nnunet_sparse.planners.label_resampling import resample_label_planes

    halve_the_slices(toy)
    original = stock.resample_data_or_seg_to_shape

    def ours(data, new_shape, *args, **kwargs):
        if kwargs.get("is_seg"):
            return resample_label_planes(data[0], 0, new_shape, 3)[None]
        return original(data, new_shape, *args, **kwargs)

    with monkeypatch.context() as patched:
        from nnunetv2.utilities.plans_handling import plans_handler

        patched.setattr(
            plans_handler.ConfigurationManager,
            "resampling_fn_seg",
            property(lambda _: lambda *a: ours(*a, is_seg=True)),
        )
        toy.write()
    finding = toy.finding("surviving slices", "3d_fullres")
    assert (finding.verdict, finding.number, finding.stock) == ("ok", 0, 4 * 6)


def test_slices_outside_the_image_are_cropped(toy):
    for image in toy.images.values():
        image[:, :4] = 0
    finding = toy.write().finding("surviving slices", "3d_fullres")
    # slice 1 of four cases
    assert finding.details["num_cropped"] == 4
    assert (finding.verdict, finding.number, finding.details["stray"]) == ("ok", 0, {})


def test_labels_that_moved_after_preprocessing(toy):
    toy.write()
    for case in ("case_0", "case_1"):
        toy.labels[case] = np.roll(toy.labels[case], 1, axis=0)
        file = toy.raw / "labelsTr" / f"{case}.nii.gz"
        write_volume(
            file, toy.labels[case], spacing=(1, 1, 1), direction=np.eye(3).flatten().tolist()
        )
        os.utime(toy.preprocessed / "nnsparsePlans_3d_fullres" / f"{case}.pkl", (1, 1))
    finding = toy.finding("surviving slices", "3d_fullres")
    assert (finding.verdict, finding.number) == ("broken", 12)
    assert len(finding.details["stray"]["case_0"]) == 6
    assert toy.finding("preprocessed files", "3d_fullres").number == 2


def test_old_and_missing_cases(toy):
    toy.write()
    folder = toy.preprocessed / "nnsparsePlans_3d_fullres"
    os.utime(folder / "case_0.pkl", (1, 1))
    for file in folder.glob("case_1*"):
        file.unlink()
    finding = toy.finding("preprocessed files", "3d_fullres")
    assert (finding.verdict, finding.number) == ("warning", 2)
    assert finding.details == {"missing": ["case_1"], "old": ["case_0"]}


@pytest.mark.parametrize("known", ["recorded", "copied", "copied later", "unknown"])
@pytest.mark.parametrize("how", ["touched", "changed", "changed, with an old date"])
def test_labels_that_were_only_touched(toy, known, how):
    toy.write()
    name = "nnsparsePlans_3d_fullres"
    label = toy.raw / "labelsTr" / "case_0.nii.gz"
    record = toy.preprocessed / name / "case_0.pkl"
    at = record.stat().st_mtime
    if known == "recorded":
        digests = {c: file_digest(label.with_name(f"{c}.nii.gz")) for c in toy.labels}
        StepRecord(toy.preprocessed).keep_labels(name, digests)
    elif known != "unknown":
        copy = toy.preprocessed / "gt_segmentations" / label.name
        copy.parent.mkdir()
        shutil.copy(label, copy)
        os.utime(copy, (at + (100 if known == "copied later" else -100),) * 2)
    if how != "touched":
        sitk.WriteImage(sitk.ReadImage(str(label)) * 0 + 1, str(label))
    os.utime(label, (at - 200 if "old" in how else at + 200,) * 2)
    details = toy.finding("preprocessed files", "3d_fullres").details
    is_old = {
        "touched": known in {"copied later", "unknown"},
        "changed": True,
        # nobody can tell without a record
        "changed, with an old date": known == "recorded",
    }[how]
    assert details == {"missing": [], "old": ["case_0"] if is_old else []}


def test_an_unfinished_preprocessing(toy):
    toy.write()
    steps = {"preprocessed/nnsparsePlans_3d_fullres": ""}
    (toy.preprocessed / "nnsparse_steps.json").write_text(json.dumps(steps))
    finding = toy.finding("preprocessed files", "3d_fullres")
    assert finding.verdict == "broken"
    assert "was not finished" in finding.found


def test_a_damaged_preprocessed_case(toy):
    toy.write()
    (toy.preprocessed / "nnsparsePlans_3d_fullres" / "case_1_seg.b2nd").write_bytes(b"half")
    with pytest.raises(SparseError, match=r"case_1 in .* cannot be read"):
        toy.examine("3d_fullres")


def test_bad_settings_stop_the_training(toy):
    toy.settings = {"placement": "nowhere"}
    finding = toy.write().finding("batches", "3d_fullres")
    assert finding.verdict == "broken"
    assert "placement must be" in finding.found


def test_a_later_stage_of_a_cascade(toy):
    toy.write()
    file = toy.preprocessed / "nnsparsePlans.json"
    plans = json.loads(file.read_text("utf-8"))
    plans["configurations"]["3d_lowres"] = plans["configurations"]["3d_fullres"] | {
        "next_stage": "cascade"
    }
    plans["configurations"]["cascade"] = {
        "inherits_from": "3d_fullres",
        "previous_stage": "3d_lowres",
    }
    file.write_text(json.dumps(plans))
    assert toy.finding("padding", "cascade") == dataclasses.replace(
        toy.finding("padding", "3d_fullres"), configuration="cascade"
    )


def around_a_brain(toy):
    """Zeros around the object, in a corner that ignored voxels lie in, too."""
    for image in toy.images.values():
        image[:, :, 20:, 20:] = 0
    toy.use_mask = True
    return toy.write()


def test_zeros_among_ignored_voxels(toy):
    around_a_brain(toy)
    finding = toy.finding("normalisation mask", "3d_fullres")
    assert finding.verdict == "broken"
    # 18 of 24 slices of four of six cases are ignored, 16 of 576 voxels of each are zero
    assert finding.number == pytest.approx(4 / 6 * 18 / 24 * 16 / 576)


def test_a_mask_without_zeros_is_no_matter(toy):
    toy.use_mask = True
    finding = toy.write().finding("normalisation mask", "3d_fullres")
    assert (finding.verdict, finding.number) == ("ok", 0)


def test_zeros_with_a_mask_beside_the_data(toy):
    around_a_brain(toy)
    masks = toy.preprocessed / "nnsparsePlans_3d_fullres_nonzero"
    masks.mkdir()
    for case in toy.labels:
        np_mask = (toy.images[case] != 0).astype(np.uint8)
        import blosc2

        blosc2.asarray(np_mask, urlpath=str(masks / f"{case}.b2nd"))
    assert toy.finding("normalisation mask", "3d_fullres").verdict == "ok"
    (masks / "case_0.b2nd").unlink()
    finding = toy.finding("normalisation mask", "3d_fullres")
    assert finding.details["cases"] == ["case_0"]


@pytest.mark.parametrize(
    ("scheme", "with_ignored", "verdict"),
    [
        ("CTNormalization", True, "broken"),
        ("CTNormalization", False, "ok"),
        ("ZScoreNormalization", True, "warning"),
    ],
)
def test_ignored_voxels_in_the_fingerprint(toy, scheme, with_ignored, verdict):
    toy.scheme = scheme
    toy.intensities = toy.annotated_intensities(with_ignored=with_ignored)
    finding = toy.write().finding("fingerprint", "3d_fullres")
    assert finding.verdict == verdict


def test_padding_around_a_small_image(toy):
    toy.patch_size = (32, 32, 32)
    finding = toy.write().finding("padding", "3d_fullres")
    assert finding.verdict == "warning"
    # 24^3 voxels in 32^3, a quarter of them annotated
    straight = 1 - 24**3 / 4 / (32**3 - 0.75 * 24**3)
    assert finding.number == pytest.approx(straight, abs=0.03)
    assert finding.stock == pytest.approx(straight, abs=0.03)
    toy.settings["padding"] = "ignore"
    toy.write_plans()
    finding = toy.finding("padding", "3d_fullres")
    assert (finding.verdict, finding.number) == ("ok", 0)


@pytest.fixture
def interval_20(toy):
    """Every 20th slice annotated, patches of 64 slices, none of them cut off by the image."""
    label = np.full((160, 24, 24), 3, np.uint8)
    label[40:121:20] = 0
    label[40:121:20, 6:12] = 1
    label[40:121:20, 14:20] = 2
    toy.labels = dict.fromkeys(toy.labels, label)
    rng = np.random.default_rng(0)
    toy.images = {c: rng.normal(100, 5, (1, *label.shape)) for c in toy.labels}
    toy.patch_size = (64, 16, 16)
    return toy.write()


def test_stock_sees_six_of_64_offsets(interval_20):
    finding = interval_20.finding("depth offsets", "3d_fullres", num_batches=40)
    assert finding.stock == 6 / 64
    # 12, 32, 52 and their mirror images
    counts = finding.details["stock_patches_per_offset"]
    assert np.flatnonzero(counts).tolist() == [11, 12, 31, 32, 51, 52]
    assert finding.verdict == "ok"
    stock = interval_20.finding(
        "depth offsets", "3d_fullres", num_batches=40, trainer="nnUNetTrainer"
    )
    assert (stock.verdict, stock.number) == ("warning", 6 / 64)


def test_stock_half_resolution_output_sees_nothing(interval_20):
    finding = interval_20.finding(
        "deep supervision", "3d_fullres", trainer="nnUNetTrainerNoMirroring", num_batches=20
    )
    assert (finding.verdict, finding.number) == ("broken", 0)
    assert finding.details["outputs"] == [1, 0]
    ours = interval_20.finding("deep supervision", "3d_fullres", num_batches=20)
    assert (ours.verdict, ours.details["outputs"]) == ("ok", [1, 1])


def test_without_plans(toy):
    toy.write_raw()
    report = toy.examine()
    assert {f.check for f in report.findings} == {
        "label values",
        "annotated slices",
        "whole slices",
        "ignored cases",
        "split",
        "classes per fold",
        "dense validation",
        "test cases",
    }
    assert [s.check for s in report.skipped] == ["fingerprint", "preprocessed data and batches"]
    assert all("nnsparse_plan_and_preprocess" in s.reason for s in report.skipped)


def test_plans_without_data_foretell_what_is_lost(toy):
    halve_the_slices(toy)
    toy.write([])
    report = toy.examine("3d_fullres")
    finding = next(f for f in report.findings if f.check == "surviving slices")
    assert (finding.verdict, finding.number) == ("warning", 24)
    assert [s.check for s in report.skipped] == ["batches"]


def test_regions_and_several_channels(toy, tmp_path):
    toy.label_names = {"background": 0, "both": [1, 2], "right": [2], "ignore": 3}
    toy.images = {c: np.concatenate([image, image]) for c, image in toy.images.items()}
    report = toy.write(["2d", "3d_fullres"]).examine(
        pictures={"2d": tmp_path / "2d.png", "3d_fullres": tmp_path / "3d.png"}
    )
    assert verdicts(report) == {}
    assert report.pictures == [str(tmp_path / "2d.png"), str(tmp_path / "3d.png")]


def test_results_belong_to_the_seed(toy):
    toy.write()
    first, again = (toy.examine("3d_fullres").to_json() for _ in range(2))
    assert first == again


def test_the_number_of_processes_does_not_matter(toy, monkeypatch):
    """Nor where nnU-Net's number of batches follows from those of the trainer."""
    monkeypatch.setattr(batches, "_MIN_PATCHES", 4)
    monkeypatch.setattr(batches, "_MAX_PATCHES", 12)
    toy.write()
    one, two = (toy.examine(num_processes=n, num_batches=None) for n in (1, 2))
    assert one.to_json() == two.to_json()


@pytest.mark.parametrize("num_processes", [1, 2])
def test_a_trainer_that_cannot_draw_is_named_before_nnunets(toy, monkeypatch, num_processes):
    def refuse(_subject, _configuration, trainer, _cases):
        raise NoBatchesError(f"{trainer} cannot")

    monkeypatch.setattr(drawn_batches, "open_batches", refuse)
    finding = toy.write().finding("batches", "3d_fullres", num_processes=num_processes)
    assert (finding.verdict, finding.found) == ("broken", "SparseTrainer cannot")
