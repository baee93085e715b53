"""Random numbers that are the same on any machine and for any number of processes.

Every purpose (the split, the order of volumes, the slices of one case) has a generator of its own,
seeded from a hash of its name, so that nothing depends on the order of the work. Only
``Generator.random`` is used: NumPy may change the streams of the other methods between versions.
"""

import hashlib

import numpy as np


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Generator for one purpose, for example ``generator(0, "slices", "case_001")``."""
    digest = hashlib.sha256("\0".join([str(seed), *purpose]).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def shuffled(items: list[str], rng: np.random.Generator) -> list[str]:
    """Items in random order."""
    return [items[i] for i in np.argsort(rng.random(len(items)), kind="stable")]
