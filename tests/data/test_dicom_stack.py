"""Stacks of slices, in any direction, order and rounding of what is stored."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nnunet_sparse.data.dicom_header import Slice
from nnunet_sparse.data.dicom_stack import stacked, why_no_volume
from nnunet_sparse.system.errors import SparseError

SIZE = (64, 48)

turns = st.one_of(
    st.just(np.eye(3)),
    st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed).as_matrix()),
)
counts = st.integers(4, 60)
steps_mm = st.floats(0.3, 8)
pixels_mm = st.floats(0.3, 3)


def slices_at(
    positions: np.ndarray, turn: np.ndarray, pixel_mm: float = 1.0, digits: int = 9
) -> list[Slice]:
    """Slices whose axes x, y are the first columns of ``turn``, as a file would store them."""
    orientation = tuple(float(c) for c in turn[:, :2].T.ravel())
    return [
        Slice(
            Path(f"{k}.dcm"),
            0,
            tuple(float(mm) for mm in np.round(position, digits)),
            orientation,
            (pixel_mm, 2 * pixel_mm),
            (1.0, 0.0),
            digits,
            12,
        )
        for k, position in enumerate(positions)
    ]


def even(count: int, step_mm: float, turn: np.ndarray) -> np.ndarray:
    return np.array([-120.5, 33.25, 7.125]) + np.outer(np.arange(count) * step_mm, turn[:, 2])


@settings(max_examples=50)
@given(turns, counts, steps_mm, pixels_mm, st.integers(2, 9), st.randoms())
def test_even_stacks_lie_where_their_headers_say(
    turn: np.ndarray, count: int, step_mm: float, pixel_mm: float, digits: int, rng: Random
) -> None:
    positions = even(count, step_mm, turn)
    slices = slices_at(positions, turn, pixel_mm, digits)
    order = list(range(count))
    rng.shuffle(order)
    assert why_no_volume("CT Image", slices) == ""
    stack = stacked("s", [slices[k] for k in order], SIZE)
    assert [one.file.stem for one in stack.slices] == [str(k) for k in range(count)]
    assert stack.geometry.shape == (count, *SIZE)
    affine = stack.geometry.affine
    assert affine is not None
    rounding = 10.0**-digits
    np.testing.assert_allclose(affine[:3, 3], positions[0], atol=rounding)
    last = affine @ [count - 1, 0, 0, 1]
    np.testing.assert_allclose(last[:3], positions[-1], atol=2 * rounding)
    np.testing.assert_allclose(affine[:3, 1], 1 * pixel_mm * turn[:, 1], atol=1e-6)  # rows
    np.testing.assert_allclose(affine[:3, 2], 2 * pixel_mm * turn[:, 0], atol=1e-6)  # columns


@settings(max_examples=50)
@given(turns, counts, steps_mm, st.floats(0.5, 40), st.integers(2, 9))
def test_tilted_stacks_are_refused(
    turn: np.ndarray, count: int, step_mm: float, degrees: float, digits: int
) -> None:
    shift = np.tan(np.deg2rad(degrees)) * step_mm * np.arange(count)[:, None]
    assume(shift[-1, 0] > 0.3)  # a tenth of a voxel, and what rounding may add
    slices = slices_at(even(count, step_mm, turn) + shift * turn[:, 1], turn, 0.5, digits)
    with pytest.raises(SparseError, match=r"the stack is tilted by [\d.]+ degrees") as caught:
        stacked("s", slices, SIZE)
    told = float(str(caught.value).split("tilted by ")[1].split(" degrees")[0])
    assert told == pytest.approx(degrees, rel=0.1, abs=0.1)


@settings(max_examples=50)
@given(turns, counts, steps_mm, st.integers(2, 9), st.data())
def test_a_slice_beside_the_others_is_refused(
    turn: np.ndarray, count: int, step_mm: float, digits: int, data: st.DataObject
) -> None:
    odd = data.draw(st.integers(1, count - 2))
    positions = even(count, step_mm, turn)
    positions[odd] += 0.5 * turn[:, 0]
    with pytest.raises(SparseError, match=rf" {odd}\.dcm is shifted by 0\.\d+ mm"):
        stacked("s", slices_at(positions, turn, 1.0, digits), SIZE)


@settings(max_examples=50)
@given(turns, counts, steps_mm, st.integers(1, 9), st.data())
def test_a_missing_slice_is_noticed_whatever_is_rounded(
    turn: np.ndarray, count: int, step_mm: float, digits: int, data: st.DataObject
) -> None:
    gone = data.draw(st.integers(1, count - 2))
    positions = np.delete(even(count, step_mm, turn), gone, axis=0)
    with pytest.raises(SparseError, match="is a slice missing"):
        stacked("s", slices_at(positions, turn, 1.0, digits), SIZE)


@settings(max_examples=50)
@given(turns, counts, steps_mm, st.data())
def test_doubled_slices(turn: np.ndarray, count: int, step_mm: float, data: st.DataObject) -> None:
    slices = slices_at(even(count, step_mm, turn), turn)
    twice = data.draw(st.integers(0, count - 1))
    again = replace(slices[twice], file=Path("again.dcm"))
    with pytest.raises(SparseError, match=r"two slices lie at the same position, .*again\.dcm"):
        stacked("s", [*slices, again], SIZE)
    assert why_no_volume("MR Image", [*slices, again]) == ""  # one that is damaged
    assert "2 slices at each position" in why_no_volume("MR Image", slices * 2)


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        (
            (0, 3, 6, 12, 15),
            r"from 3 to 6 mm: 1 of 4 are larger than 3 mm \(by 1 steps in all\), as between 2\.dcm "
            r"and 3\.dcm; is a slice missing, or are these several stacks",
        ),
        (
            (0, 3, 6, 9, 12, 50, 53, 56),
            r"1 of 7 are larger than 3 mm, as between 4\.dcm and 5\.dcm; is a slice missing",
        ),
        (
            (0, 3, 6, 9, 14, 19, 24),
            r"from 3 to 5 mm: 3 of 6 are 3 mm, others 5 to 5 mm, as between 3\.dcm and 4\.dcm; "
            "does the distance change",
        ),
        (
            (0, 0, 0, 3, 3, 6, 9, 12),
            "8 slices lie at 5 positions, several at the same position at 2 of them, as "
            r"0\.dcm and 1\.dcm; was a time point broken off",
        ),
    ],
)
def test_what_keeps_slices_from_being_a_stack(heights: tuple[float, ...], message: str) -> None:
    positions = np.zeros((len(heights), 3))
    positions[:, 2] = heights
    slices = slices_at(positions, np.eye(3))
    assert why_no_volume("CT Image", slices) == ""
    with pytest.raises(SparseError, match=message):
        stacked("s", slices, SIZE)


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        ((0, 3, 6) * 4 + (0, 3), "14 slices at 3 positions, 4 to 5 at each .time points or echoes"),
        ((0, 3, 6, 9) * 2 + (0, -0.0), "10 slices at 4 positions, 2 to 4 at each"),
        ((0, 3, 6, 9) * 2 + (12,), "9 slices at 5 positions, 1 to 2 at each"),
    ],
)
def test_several_volumes_of_which_one_is_not_complete(
    heights: tuple[float, ...], message: str
) -> None:
    positions = np.zeros((len(heights), 3))
    positions[:, 2] = heights
    assert re.match(message, why_no_volume("MR Image", slices_at(positions, np.eye(3))))


# 0.625 mm as scanners store it: rounded, or cut off
@pytest.mark.parametrize("cut", [np.round, np.trunc])
@pytest.mark.parametrize("digits", [1, 2, 3])
def test_steps_of_0625_mm(cut: Callable[..., np.ndarray], digits: int) -> None:
    scale = 10.0**digits
    positions = cut(even(200, 0.625, np.eye(3)) * scale) / scale
    stack = stacked("s", slices_at(positions, np.eye(3), 0.5, digits), SIZE)
    assert stack.geometry.spacing_mm == pytest.approx((0.625, 0.5, 1.0), abs=1e-3)


def test_whole_numbers_are_not_rounded_ones() -> None:
    positions = np.zeros((5, 3))
    positions[:, 2] = [0, 10, 20, 31, 41]
    with pytest.raises(SparseError, match="vary from 10 to 11 mm"):
        stacked("s", slices_at(positions, np.eye(3), digits=0), SIZE)


def test_directions_with_few_digits_are_no_tilt() -> None:
    """Cosines rounded to three digits turn the normal by 0.04 degrees: 0.14 mm at 200 mm."""
    turn = Rotation.from_euler("x", 40.58, degrees=True).as_matrix()
    slices = slices_at(even(200, 1.0, turn), turn, 0.3)
    rounded = [
        replace(s, orientation=tuple(round(c, 3) for c in s.orientation), orientation_digits=3)
        for s in slices
    ]
    assert stacked("s", rounded, SIZE).geometry.shape == (200, *SIZE)


def test_rounding_explains_no_more_than_a_tenth_of_a_voxel() -> None:
    positions = even(8, 1.0, np.eye(3))
    positions[:, 1] = np.linspace(0, 0.1, 8)  # a third of a voxel, one unit of the last digit
    with pytest.raises(SparseError, match=r"0\.1 mm \(0\.333 voxels\)"):
        stacked("s", slices_at(positions, np.eye(3), 0.3, digits=1), SIZE)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_localizers_are_no_volumes(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    planes = [np.roll(np.eye(3), k, axis=1) for k in range(3)]
    slices = [
        one for turn in planes for one in slices_at(even(count, rng.uniform(1, 9), turn), turn)
    ]
    assert why_no_volume("MR Image", slices) == "slices in 3 directions (localizer?)"


def test_one_turned_slice_is_damage() -> None:
    slices = slices_at(even(8, 2.0, np.eye(3)), np.eye(3))
    slices[3] = replace(slices[3], orientation=(0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    assert why_no_volume("CT Image", slices) == ""
    with pytest.raises(SparseError, match=r"turned against each other, as 3\.dcm is"):
        stacked("s", slices, SIZE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacing_mm": (1.1, 2.0)}, r"pixels of 1\.dcm have \(1\.1, 2\.0\) mm"),
        ({"spacing_mm": ()}, r"1\.dcm has no valid DICOM tag \(0028,0030\)"),
        ({"spacing_mm": (0.0, 1.0)}, r"1\.dcm has no valid DICOM tag \(0028,0030\)"),
        ({"position": ()}, r"1\.dcm has no valid DICOM tag \(0020,0032\)"),
        ({"orientation": ()}, r"1\.dcm has no valid DICOM tag \(0020,0037\)"),
    ],
)
def test_slices_that_do_not_go_together(changes: dict[str, object], message: str) -> None:
    slices = slices_at(even(4, 2.0, np.eye(3)), np.eye(3))
    slices[1] = replace(slices[1], **changes)  # type: ignore[arg-type]
    with pytest.raises(SparseError, match=message):
        stacked("s", slices, SIZE)


def test_axes_that_are_not_at_right_angles() -> None:
    turn = np.eye(3)
    turn[:, 1] = (0.1, np.sqrt(0.99), 0)
    with pytest.raises(SparseError, match=r"0\.dcm has no valid DICOM tag \(0020,0037\)"):
        stacked("s", slices_at(even(4, 2.0, np.eye(3)), turn), SIZE)
