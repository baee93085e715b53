import pytest
from annotate.phantom_campaign import Clock

from nnunet_sparse.annotate.work_clock import WorkClock


def test_pauses_do_not_count() -> None:
    now = Clock()
    clock = WorkClock(now)
    for passed in (5, 60, 60.5, 3600, 2):
        now.pass_(passed)
        clock.act()
    now.pass_(30)  # nothing was done since
    assert clock.take() == pytest.approx(67)
    assert clock.take() == 0
    clock.act()
    assert clock.take() == pytest.approx(30)
    now.pass_(-100)  # no clock should do that
    clock.act()
    assert clock.take() == 0
