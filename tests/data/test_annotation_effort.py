import numpy as np
import pytest

from nnunet_sparse.data.annotation_effort import AnnotationCost, Effort, count_objects, effort_of


def test_hours_worked_by_hand() -> None:
    cost = AnnotationCost(2, 30, 10, 60)
    assert Effort(volumes=3, empty=5, slices=4, objects=7).hours(cost) == pytest.approx(
        (3 * 60 + 5 * 2 + 4 * 30 + 7 * 10) / 3600
    )


def test_slices_beside_annotated_ones_are_cheaper() -> None:
    cost = AnnotationCost(seconds_per_slice=36, neighbour_saving=0.5, neighbour_range=3)
    # half right beside it, a third of that less with each slice more
    shares = [cost.saved_share(distance) for distance in (1, 2, 3, 4, 100)]
    assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0, 0])
    effort = Effort(volumes=1, empty=0, slices=5, objects=5, distances=(2, 1, 0, 1))
    assert effort.hours(cost) == pytest.approx((5 - 2 / 2 - 1 / 3) * 36 / 3600)
    # by default nothing is saved, and earlier counts will do
    assert effort.hours(AnnotationCost(seconds_per_slice=36)) == pytest.approx(5 * 36 / 3600)
    earlier = Effort(volumes=1, empty=0, slices=5, objects=5)
    assert earlier.hours(AnnotationCost(seconds_per_slice=36)) == pytest.approx(5 * 36 / 3600)
    with pytest.raises(ValueError, match="were not counted"):
        earlier.hours(cost)


def test_distances_to_the_slice_with_objects_before() -> None:
    label = np.zeros((12, 2, 2), int)
    label[[1, 2, 3, 5, 9], 0, 0] = 1
    # 4 and 0 show nothing; 5 lies two slices behind 3, and 9 four behind 5
    effort = effort_of(label, (9, 0, 1, 2, 3, 4, 5))
    assert effort == Effort(1, empty=2, slices=5, objects=5, distances=(2, 1, 0, 1))
    assert effort_of(label, (0, 2)) == Effort(1, empty=1, slices=1, objects=1, distances=())
    # a volume whose annotated slices show nothing
    assert effort_of(label, (0, 4)) == Effort(1, empty=2, slices=0, objects=0, distances=())
    both = effort + effort_of(label, (1, 2))
    assert both == Effort(2, empty=2, slices=7, objects=7, distances=(3, 1, 0, 1))


def test_objects_of_a_slice() -> None:
    label = np.array(
        [
            [1, 0, 0, 2, 2],
            [0, 1, 0, 2, 1],
            [0, 0, 0, 0, 0],
            [3, 0, 3, 0, 3],
        ]
    )
    # 1 touches itself across a corner, and has another part; 2 is one; 3 is three
    assert count_objects(label) == 2 + 1 + 3
    assert count_objects(np.zeros((3, 3), int)) == 0
