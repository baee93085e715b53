from nnunet_sparse.campaign.slice_times import SliceTime
from nnunet_sparse.campaign.times_table import times_table


def test_means_by_annotator_objects_and_distance() -> None:
    times = [
        SliceTime("1", "a", 1, "mk", 40, "done", 2, None, True),
        SliceTime("2", "a", 2, "mk", 20, "done", 1, 1),
        SliceTime("3", "a", 6, "mk", 30, "done", 1, 4),
        SliceTime("4", "a", 9, "mk", 10, "confirmed empty", 0, 3),
        SliceTime("5", "b", 9, "jr", 50, "done", 1, 6),
    ]
    assert times_table(times) == (
        "seconds a slice     all  with objects   empty  next to  2 to 5  further\n"
        "jr               50 (1)        50 (1)       -        -       -   50 (1)\n"
        "mk               25 (4)        30 (3)  10 (1)   20 (1)  30 (1)   40 (1)\n"
        "all              30 (5)        35 (4)  10 (1)   20 (1)  30 (1)   45 (2)"
    )
    assert times_table([]) is None
