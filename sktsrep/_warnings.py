"""Warnings at the user's line, after the work is done."""

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["deferred_warnings", "warn_user"]


_DEFERRED = ContextVar("deferred", default=None)


@contextmanager
def deferred_warnings():
    """Hold warnings back until a fit is complete.

    Where warnings are errors, they then no longer undo it. Of nested blocks, the
    outermost one warns.
    """
    if _DEFERRED.get() is not None:
        yield
        return
    pending = []
    token = _DEFERRED.set(pending)
    try:
        yield
    finally:
        _DEFERRED.reset(token)
    for message, category in dict.fromkeys(pending):
        warn_user(message, category)


def warn_user(message, category):
    """Warn at the line of the user's own code that led here.

    That is the innermost frame outside this package and scikit-learn, whose decorators
    and meta-estimators stand in between, and outside of context managers.
    """
    if _DEFERRED.get() is not None:
        _DEFERRED.get().append((message, category))
        return
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(
        ("sktsrep.", "sklearn.", "contextlib")
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
