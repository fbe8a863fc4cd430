"""What surrounds a fit: decorators, and copies of estimators that are handed in."""

import contextlib
import copy
import functools
import os
import sys
from contextvars import ContextVar

from sklearn.base import _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sktsrep._callbacks import with_callbacks
from sktsrep._device import random_seed, torch_defaults
from sktsrep._warnings import deferred_warnings

__all__ = [
    "all_or_nothing",
    "clone_with_seed",
    "fitted_copy",
    "is_nested_fit",
    "learned_once",
    "training_fit",
]


@contextlib.contextmanager
def _all_or_nothing(estimator):
    """Restore the estimator where a block fails before it calls what it is given."""
    before = dict(vars(estimator))
    complete = []
    try:
        yield lambda: complete.append(True)
    except BaseException:
        if not complete:
            vars(estimator).clear()
            vars(estimator).update(before)
        raise


def all_or_nothing(fit):
    """Decorate ``fit`` so that one that fails leaves the estimator as it was.

    Shape and scale of the data are known before the network is trained on them. Without
    this, a failed second fit would leave the first network with the second scale.
    """

    @functools.wraps(fit)
    def guarded_fit(estimator, *args, **kwargs):
        with _all_or_nothing(estimator):
            return fit(estimator, *args, **kwargs)

    return guarded_fit


def training_fit(fit):
    """Decorate the ``fit`` of an estimator that trains a network.

    Parameters are validated, callbacks are set up and torn down, and a fit that fails
    leaves the estimator as it was. What fails after the training is complete does not
    undo it: neither the teardown of a callback, whose error is raised, nor a warning
    that is an error, because warnings come last.
    """

    @functools.wraps(fit)
    def complete_fit(estimator, *args, **kwargs):
        with (
            deferred_warnings(),
            torch_defaults(training=True),
            _nesting(estimator),
            _all_or_nothing(estimator) as is_complete,
        ):

            def body(estimator):
                fit(estimator, *args, **kwargs)
                is_complete()

            with_callbacks(body)(estimator)
        return estimator

    return _fit_context(prefer_skip_nested_validation=False)(complete_fit)


def learned_once(learn):
    """Decorate what learns from the data of a fit, and stays in those that go on.

    Networks that are trained further must see series as before, and code them as
    before.
    """

    @functools.wraps(learn)
    def learn_once(estimator, *args):
        if not estimator._goes_on:
            learn(estimator, *args)

    return learn_once


_IS_NESTED = ContextVar("is_nested", default=False)


def is_nested_fit():
    """Whether the running fit is part of another one, such as a search or a pipeline.

    An interrupted training is kept only by the fit that the user called: what stands
    around a nested one would go on with a half-trained model.
    """
    return _IS_NESTED.get()


@contextlib.contextmanager
def _nesting(estimator):
    token = _IS_NESTED.set(_is_called_by_another(estimator))
    try:
        yield
    finally:
        _IS_NESTED.reset(token)


def _is_called_by_another(estimator):
    """Look for a fit of another estimator, or a worker, among the callers."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("joblib.", "sktsrep.metrics.")):
            return True
        if module.startswith(("sklearn.", "sktsrep.")):
            names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
            owner = frame.f_locals.get(names[0]) if names else None
            if hasattr(owner, "fit") and owner is not estimator:
                return True
        frame = frame.f_back
    return False


def clone_with_seed(estimator, random_state):
    """Clone an estimator; seed the clone where the original has no seed.

    One seed then decides everything.
    """
    copied = clone(estimator)
    if copied.get_params().get("random_state", 0) is None:
        copied.set_params(random_state=random_seed(random_state))
    return copied


def fitted_copy(estimator, X, random_state, context, checkpoint=None):
    """Make a fitted copy of an estimator that was handed in.

    What stands in a FrozenEstimator is copied as it is, because it may be fitted again
    to other data. Anything else is cloned, and the clone is fitted.

    Parameters
    ----------
    estimator : estimator
        As the user gave it.
    X : array-like
        Training data.
    random_state : int, RandomState instance or None
        Seeds a clone without a seed.
    context : scikit-learn callback context
        The clone's training is part of it.
    checkpoint : str, path-like or None
        That of the fit around it. A clone without one has its own beside it, while it
        is fitted.

    Returns
    -------
    estimator

    Raises
    ------
    NotFittedError
        When a frozen estimator is not fitted.
    """
    if isinstance(estimator, FrozenEstimator):
        check_is_fitted(estimator.estimator)
        return copy.deepcopy(estimator.estimator)
    copied = clone_with_seed(estimator, random_state)
    lends = checkpoint is not None and copied.get_params().get("checkpoint", 0) is None
    if lends:
        copied.set_params(checkpoint=f"{os.fspath(checkpoint)}.first")
    with context.propagate_callback_context(copied):
        copied.fit(X)
    return copied.set_params(checkpoint=None) if lends else copied
