import numpy as np
import pytest


def test_values_that_are_not_declared(toy):
    toy.labels["case_0"][0] = 255
    toy.labels["case_4"] = toy.labels["case_4"].astype(np.int16)
    toy.labels["case_4"][2, 3, 4] = -2
    finding = toy.write_raw().finding("label values")
    assert (finding.verdict, finding.number) == ("broken", 2)
    assert finding.details["undeclared"] == {"case_0": (255,), "case_4": (-2,)}


def test_fractions_are_cut_off_by_nnunet(toy):
    toy.labels["case_2"] = toy.labels["case_2"].astype(np.float32)
    below = np.nextafter(np.float32(1), np.float32(0))
    toy.labels["case_2"][toy.labels["case_2"] == 1] = below
    finding = toy.write_raw().finding("label values")
    assert (finding.verdict, finding.number) == ("broken", 1)
    assert finding.details["cut"] == ["case_2"]


def test_a_case_without_a_label(toy):
    toy.write_raw()
    (toy.raw / "labelsTr" / "case_0.nii.gz").unlink()
    (toy.preprocessed / "splits_final.json").unlink()
    finding = toy.finding("label values")
    assert (finding.verdict, finding.number) == ("warning", 1)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_labels_of_other_types(toy, dtype):
    before = toy.write_raw().examine()
    toy.labels = {case: label.astype(dtype) for case, label in toy.labels.items()}
    assert toy.write_raw().examine() == before
