"""Time of processors, which says more than the clock where something else runs."""

import resource


def processor_seconds() -> float:
    """Of all processes that this one has started and waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
