"""Calling the code of others, which may raise anything: one line for the user, all for the log.

Readers of images, planners, trainers and networks come from other projects, and from users. What
they raise cannot be listed, and what it means is known where they are called.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)


@contextmanager
def explained(
    message: Callable[[Exception], str], kind: type[SparseError] = SparseError
) -> Iterator[None]:
    """Turn any error within the block into one of ours; its traceback goes to the log, as debug.

    Parameters
    ----------
    message
        What the user is told about an error.
    kind
        Class of our error; errors of this class are passed on as they are.

    Raises
    ------
    SparseError
        Of the class ``kind``.
    """
    try:
        yield
    except kind:
        raise
    except Exception as error:
        explanation = message(error)
        logger.debug("%s", explanation, exc_info=True)
        raise kind(explanation) from error


def in_one_line(error: Exception) -> str:
    """All that an error says, without line breaks; its class where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
