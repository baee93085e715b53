"""Labels of every kind of program on images whose header gives two positions."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nifti_forms import (
    IN_ORDER,
    OTHER_PLACES,
    PLACE,
    REORDERING,
    SHAPE,
    save_forms,
    save_label,
)

from nnunet_sparse.campaign.same_grid import part_of, whole_of
from nnunet_sparse.data.geometry import Geometry, read_geometry
from nnunet_sparse.data.placement import AmbiguousPlacementError, disagreement, place
from nnunet_sparse.system.errors import SparseError

VOXELS = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
READERS = ("SimpleITKIO", "NibabelIO")
CODES = st.tuples(st.sampled_from((0, 1, 2)), st.sampled_from((0, 1, 2, 4)))
every_header = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
headers = given(st.sampled_from(sorted(OTHER_PLACES)), st.booleans(), CODES, st.data())


def write_image(folder: Path, place: str, swapped: bool, codes: tuple[int, int]) -> Path:
    forms = (PLACE, OTHER_PLACES[place])[:: -1 if swapped else 1]
    return save_forms(folder / "image.nii", VOXELS.astype(np.float32), *forms, codes)


def read(file: Path, reader: str) -> tuple[np.ndarray, Geometry]:
    return np.asanyarray(nibabel.load(file).dataobj).T, read_geometry(file, reader)


@every_header
@example("mirrored", False, (1, 2), None)
@headers
def test_labels_in_the_images_order_are_taken_as_they_are(
    tmp_path: Path, place: str, swapped: bool, codes: tuple[int, int], data: st.DataObject | None
) -> None:
    image = write_image(tmp_path, place, swapped, codes)
    names = IN_ORDER if data is None else [data.draw(st.sampled_from(sorted(IN_ORDER)))]
    for name in names:
        file = save_label(tmp_path / "label.nii", IN_ORDER[name](image, VOXELS))
        for reader in READERS:
            label, geometry = read(file, reader)
            found = whole_of(label, geometry, read_geometry(image, reader))
            np.testing.assert_array_equal(found, VOXELS.T)


@every_header
@example("mirrored", False, (1, 2), None)
@headers
def test_labels_in_another_order_are_turned_or_refused(
    tmp_path: Path, place: str, swapped: bool, codes: tuple[int, int], data: st.DataObject | None
) -> None:
    image = write_image(tmp_path, place, swapped, codes)
    names = REORDERING if data is None else [data.draw(st.sampled_from(sorted(REORDERING)))]
    for name in names:
        file = save_label(tmp_path / "label.nii", REORDERING[name](image, VOXELS))
        label, geometry = read(file, "SimpleITKIO")
        try:
            found = whole_of(label, geometry, read_geometry(image, "SimpleITKIO"))
        except AmbiguousPlacementError:
            assert place != "same"
        else:
            np.testing.assert_array_equal(found, VOXELS.T)


@every_header
@headers
def test_single_slices_are_put_where_they_are_from_or_refused(
    tmp_path: Path, place: str, swapped: bool, codes: tuple[int, int], data: st.DataObject
) -> None:
    image = write_image(tmp_path, place, swapped, codes)
    index = data.draw(st.integers(0, SHAPE[2] - 1))
    if data.draw(st.booleans()):
        part = nibabel.load(image).slicer[:, :, index : index + 1]
        voxels = VOXELS[:, :, index : index + 1]
        label = nibabel.Nifti1Image(voxels, part.affine)
    else:
        label = IN_ORDER["ITK"](image, VOXELS)[:, :, index : index + 1]
    file = save_label(tmp_path / "slice.nii", label)
    array, geometry = read(file, "SimpleITKIO")
    try:
        region, found = part_of(array, geometry, read_geometry(image, "SimpleITKIO"))
    except AmbiguousPlacementError:
        assert place != "same"
    else:
        assert region == (slice(index, index + 1), slice(0, SHAPE[1]), slice(0, SHAPE[0]))
        np.testing.assert_array_equal(found, VOXELS.T[region])


def test_a_mirrored_label_is_refused_with_both_possibilities(tmp_path: Path) -> None:
    ras = np.diag([-1, -1, 1, 1]) @ PLACE
    mirrored = ras @ np.diag([-1, 1, 1, 1])
    mirrored[0, 3] = ras[0, 3] + (SHAPE[0] - 1) * 0.8
    image = save_forms(tmp_path / "image.nii", VOXELS.astype(np.float32), ras, mirrored, (1, 2))
    file = save_label(tmp_path / "label.nii", REORDERING["nibabel, canonical"](image, VOXELS))
    (label, geometry), (_, of_image) = (read(f, "SimpleITKIO") for f in (file, image))
    # what ITK takes for the image's own order is the other one for nibabel, which has written it
    assert not np.array_equal(label, VOXELS.T)
    with pytest.raises(AmbiguousPlacementError) as error:
        whole_of(label, geometry, of_image)
    assert "to ITK (3D Slicer, ITK-SNAP, nnU-Net) they are in the order" in str(error.value)
    assert "; to nibabel (SPM, FSL, napari) they run backwards along x" in str(error.value)


def test_other_formats_are_read_as_itk_reads_the_image(tmp_path: Path) -> None:
    image = write_image(tmp_path, "mirrored", False, (1, 2))
    label = IN_ORDER["ITK"](image, VOXELS)
    assert isinstance(label, sitk.Image)
    of_image = read_geometry(image, "NibabelIO")
    for axes, taken in (("LPS", True), ("RPS", False)):  # as ITK sees the image, and mirrored
        turned = sitk.DICOMOrient(label, axes)
        sitk.WriteImage(turned, str(tmp_path / "label.nrrd"))
        geometry = read_geometry(tmp_path / "label.nrrd", "SimpleITKIO")
        array = sitk.GetArrayFromImage(turned)
        if taken:
            np.testing.assert_array_equal(whole_of(array, geometry, of_image), VOXELS.T)
        else:
            with pytest.raises(AmbiguousPlacementError):
                whole_of(array, geometry, of_image)


def test_elsewhere_by_every_reading(tmp_path: Path) -> None:
    image = write_image(tmp_path, "turned", False, (1, 2))
    elsewhere = PLACE + np.pad([[0.3]], ((0, 3), (3, 0)))
    nibabel.save(nibabel.Nifti1Image(VOXELS, elsewhere), tmp_path / "label.nii")
    geometry, of_image = (read_geometry(tmp_path / f, READERS[0]) for f in ("label.nii", image))
    with pytest.raises(SparseError, match=r"its origin lies between .* up to 0.3[78] voxels off"):
        place(geometry, of_image, lambda _: True)


@pytest.mark.parametrize(
    ("place", "codes", "text"),
    [
        ("same", (1, 2), None),
        ("mirrored", (1, 2), "mirrored (left-right), up to 4 voxels apart"),
        ("upside down", (1, 2), "reversed (front-back and head-foot), up to 23 voxels apart"),
        ("turned", (2, 4), "turned by 12 degrees, shifted, up to "),
        ("shifted by a voxel", (1, 2), "shifted, up to 1 voxels apart"),
        ("mirrored", (1, 1), "mirrored (left-right), up to 4 voxels apart"),  # AFNI reads the qform
        ("mirrored", (1, 0), None),
        ("mirrored", (0, 2), None),
        ("same", (0, 0), "mirrored (front-back), up to "),  # neither says anything
    ],
)
def test_disagreement_is_told(
    tmp_path: Path, place: str, codes: tuple[int, int], text: str | None
) -> None:
    found = disagreement(read_geometry(write_image(tmp_path, place, False, codes), READERS[0]))
    assert (found or "").startswith(text or "")
    assert (found is None) == (text is None)


def test_scales_of_pixdim_and_sform(tmp_path: Path) -> None:
    file = save_forms(tmp_path / "a.nii", VOXELS, np.eye(4), np.diag([1, 1, 3, 1.0]), (0, 1))
    # ITK takes 1 mm from pixdim: 6 steps of 2 mm
    expected = "voxels of 1 x 1 x 1 mm and of 3 x 1 x 1 mm, up to 12 voxels apart"
    assert disagreement(read_geometry(file, READERS[0])) == expected
