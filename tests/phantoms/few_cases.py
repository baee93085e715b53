"""Small cases of a phantom, for tests of what is particular to it."""

from nnunet_sparse.phantoms import PhantomCase, make_case

SHAPE = (24, 64, 64)


def few_cases(task: str, count: int = 6) -> list[PhantomCase]:
    return [make_case(task, 0, k, SHAPE) for k in range(count)]
