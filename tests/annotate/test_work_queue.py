from pathlib import Path

from annotate.phantom_campaign import Kind, phantom_campaign

from nnunet_sparse.annotate.work_queue import WorkQueue


def test_open_slices_first_then_those_somebody_was_unsure_of(tmp_path: Path) -> None:
    campaign = phantom_campaign(tmp_path / "campaign", Kind())
    queue = WorkQueue(campaign, {})
    keys = queue.keys
    queue = WorkQueue(campaign, {keys[0]: "touched", keys[1]: "done", keys[3]: "confirmed empty"})
    assert queue.num_open == 4
    assert queue.following(None) == keys[2]
    assert queue.following(keys[5]) == keys[2]  # from the beginning again
    assert queue.following(keys[2], blocked={keys[3][0]}) == keys[2]
    for key in (keys[2], keys[4], keys[5]):
        queue.set_open(key, is_open=False)
    assert queue.following(keys[2]) == keys[0]
    assert queue.is_unsure(keys[0])
    queue.set_open(keys[4], is_open=True, is_unsure=True)
    assert queue.following(keys[0]) == keys[4]  # those who are left take turns
    assert queue.following(keys[4]) == keys[0]
    queue.set_open(keys[0], is_open=False)
    queue.set_open(keys[4], is_open=False)
    assert queue.following(keys[0]) is None
    assert ("a", 1) not in queue
