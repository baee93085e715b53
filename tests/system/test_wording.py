from nnunet_sparse.system.wording import first_of


def test_first_items():
    assert first_of([], 2) == ""
    assert first_of(["a", 2], 2) == "a, 2"
    assert first_of(["a", "b", "c"], 2) == "a, b, ..."
