from nnunet_sparse.system.randomness import generator, shuffled


def test_streams_are_pinned() -> None:
    # the selections of published experiments depend on these numbers
    assert generator(0, "slices", "case_001").random(2).tolist() == [
        0.3179451212219435,
        0.3419240156714841,
    ]
    assert shuffled(list("abcdef"), generator(1, "volumes")) == list("acfedb")


def test_purposes_do_not_run_into_each_other() -> None:
    assert generator(0, "ab", "c").random() != generator(0, "a", "bc").random()
    assert generator(0, "a").random() != generator(1, "a").random()
