import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.planners.training_files import files_digest, image_files, label_problem

values = st.integers(0, 4)
regions = st.lists(values, min_size=1, max_size=3)
labels = st.dictionaries(
    st.sampled_from(["background", "a", "b", "ignore"]), st.one_of(values, regions), min_size=1
)


@given(labels, st.one_of(st.none(), st.lists(values, max_size=3)))
def test_agrees_with_nnunet(declared, order):
    content = {"labels": declared, "regions_class_order": order}
    try:
        LabelManager(declared, order)
        accepted = True
    except (AssertionError, RuntimeError, TypeError, ValueError):
        accepted = False
    assert (label_problem(content) is None) == accepted


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"a": 1}, "background must be 0, got None"),
        ({"background": 0, "a": 2, "ignore": 2}, "that is 3, got 2"),
        ({"background": 0, "a": [1, 2]}, "must list 1 labels, got None"),
    ],
)
def test_says_what_is_wrong(declared, message):
    assert message in (label_problem({"labels": declared}) or "")


def test_the_spacing_of_tiff_images_belongs_to_them(make_base):
    folder = make_base(num_train=2, ending=".tif")
    spacing = folder / "imagesTr" / "tr_00.json"
    spacing.write_text('{"spacing": [3, 1, 1]}')
    raw = RawDataset.open(folder)
    assert image_files(raw.training["tr_00"]) == [*raw.training["tr_00"].images, spacing]
    assert image_files(raw.training["tr_01"]) == list(raw.training["tr_01"].images)
    before = files_digest(raw)
    spacing.write_text('{"spacing": [5, 1, 1]}')
    assert files_digest(raw) != before
