"""What surrounds a fit: decorators, and copies of estimators that are handed in."""

import copy
import functools

from sklearn.base import _fit_context, clone
from sklearn.callback import with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sktsrep._device import random_seed

__all__ = ["all_or_nothing", "clone_with_seed", "fitted_copy", "training_fit"]


def all_or_nothing(fit):
    """Decorate ``fit`` so that one that fails leaves the estimator as it was.

    Shape and scale of the data are known before the network is trained on them. Without
    this, a failed second fit would leave the first network with the second scale.
    """

    @functools.wraps(fit)
    def guarded_fit(estimator, *args, **kwargs):
        before = dict(vars(estimator))
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return guarded_fit


def training_fit(fit):
    """Decorate the ``fit`` of an estimator that trains a network.

    Parameters are validated, callbacks are set up and torn down, and a fit that fails
    leaves the estimator as it was.
    """
    validated = _fit_context(prefer_skip_nested_validation=False)
    return validated(all_or_nothing(with_callbacks(fit)))


def clone_with_seed(estimator, random_state):
    """Clone an estimator; seed the clone where the original has no seed.

    One seed then decides everything.
    """
    copied = clone(estimator)
    if copied.get_params().get("random_state", 0) is None:
        copied.set_params(random_state=random_seed(random_state))
    return copied


def fitted_copy(estimator, X, random_state, context):
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
    with context.propagate_callback_context(copied):
        return copied.fit(X)
