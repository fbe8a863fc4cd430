"""Settings of the whole package."""

from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["config_context", "is_batch_invariant"]

_BATCH_INVARIANT = ContextVar("batch_invariant", default=True)


@contextmanager
def config_context(*, batch_invariant=True):
    """Change a setting for a block of code, in this thread.

    Parameters
    ----------
    batch_invariant : bool, default=True
        Whether a series gives the same bits alone and among any others. Convolutions
        round differently at different batch sizes, so that a single series then costs
        as much as 64. With False it is several times as fast, and results may differ by
        rounding, about 1e-6 relative; near ties, a token may then be another one.

    Examples
    --------
    >>> import sktsrep
    >>> with sktsrep.config_context(batch_invariant=False):
    ...     pass  # serve single series here
    """
    token = _BATCH_INVARIANT.set(batch_invariant)
    try:
        yield
    finally:
        _BATCH_INVARIANT.reset(token)


def is_batch_invariant():
    """Whether a row must give the same bits in every batch."""
    return _BATCH_INVARIANT.get()
