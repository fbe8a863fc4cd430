"""Table of a sampler by every metric, beside the values that real series get."""

from functools import cache

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_consistent_length

from sktsrep._warnings import warn_user
from sktsrep.metrics._checks import (
    check_labels,
    draw_samples,
    series_for,
    with_one_shape,
)
from sktsrep.metrics.distances import context_fid, frechet_distance, mmd
from sktsrep.metrics.features import RandomConvolutionFeatures, default_classifier
from sktsrep.metrics.scores import (
    classification_accuracy_score,
    discriminative_score,
    inception_score,
    memorization_ratio,
    predictive_score,
)
from sktsrep.metrics.statistics import (
    autocorrelation_difference,
    correlational_score,
    kurtosis_difference,
    marginal_difference,
    roughness_ratio,
    skewness_difference,
)

__all__ = ["evaluate_samples"]


def _against_test(X_test, y_test, features, encoder, classifier, n_channels):
    """Make metrics of generated series (and classes) that use the test part."""
    metrics = {
        "frechet_distance": lambda X, y: frechet_distance(X_test, X, features=features),
        "frechet_distance, extrapolated": lambda X, y: frechet_distance(
            X_test, X, features=features, extrapolate=True
        ),
    }
    if encoder is not None:
        metrics["context_fid"] = lambda X, y: context_fid(X_test, X, encoder)
    for function in (
        mmd,
        marginal_difference,
        autocorrelation_difference,
        *([correlational_score] if n_channels > 1 else []),
        roughness_ratio,
        skewness_difference,
        kurtosis_difference,
        discriminative_score,
        predictive_score,
    ):
        metrics[function.__name__] = lambda X, y, f=function: f(X_test, X)
    if y_test is not None:
        metrics["classification_accuracy_score"] = lambda X, y: (
            classification_accuracy_score(X_test, y_test, X, y, classifier=classifier)
        )
    return metrics


def _against_train(X_train, X_test, y_train, classifier):
    """Make metrics of generated series (and classes) that use the training part."""
    metrics = {
        "memorization_ratio": lambda X, y: memorization_ratio(X_train, X_test, X)
    }
    if y_train is not None:

        @cache  # within the metrics, so that a failure concerns them alone
        def fitted():
            (X,) = series_for(classifier, X_train=X_train)
            return FrozenEstimator(clone(classifier).fit(X, y_train))

        metrics["inception_score"] = lambda X, y: inception_score(X, fitted())
        metrics["classification_accuracy_score, reverse"] = lambda X, y: (
            classification_accuracy_score(X, y, X_train, y_train, classifier=fitted())
        )
    return metrics


def _frozen(transformer, X_train):
    """Fit a clone of a transformer on the training part."""
    (X,) = series_for(transformer, X_train=X_train)
    return FrozenEstimator(clone(transformer).fit(X, None))


def _value(name, metric, X, y):
    """Compute a metric; return NaN and warn where it is undefined."""
    try:
        return metric(X, y)
    except (ValueError, MemoryError, torch.OutOfMemoryError) as error:
        reason = str(error) or "out of memory"
        warn_user(f"{name} is NaN: {reason}", UserWarning)
        return np.nan


def evaluate_samples(
    sampler,
    X_train,
    X_test,
    y_train=None,
    y_test=None,
    *,
    features=None,
    encoder=None,
    classifier=None,
    random_state=0,
):
    """Compute every metric of a sampler, beside the values that real series get.

    The sampler draws as many series as the training part has, of the same classes, and
    they are compared with the test part. The floor is the value of the training part
    in their place, at the same numbers.

    Parameters
    ----------
    sampler : generator
        Sampler fitted on the training part, with ``sample(n_samples,
        random_state=...)`` and, if it knows classes, ``y``.
    X_train, X_test : array-like of shape (n_samples, n_timepoints) or (n_samples, \
            n_channels, n_timepoints)
        Real series: those that the sampler learned from, and others. Lists may hold
        series of unequal length. NaN means missing or, after the end of a series, not
        there.
    y_train, y_test : array-like of shape (n_samples,), default=None
        Their classes, both or neither. They are needed for the inception score and, if
        the sampler knows classes, for the classification accuracy scores.
    features : transformer, default=None
        Computes the features of the Frechet distance; fitted on the training part. None
        is :class:`~sktsrep.metrics.RandomConvolutionFeatures`.
    encoder : transformer, default=None
        Computes the embeddings of ``context_fid``; fitted on the training part. None
        leaves this metric out. Like ``features``, it is not fitted again if wrapped in
        a :class:`~sklearn.frozen.FrozenEstimator`.
    classifier : classifier, default=None
        Classifier of the scores with labels, as for
        :func:`~sktsrep.metrics.classification_accuracy_score`.
    random_state : int, RandomState instance or None, default=0
        Draws the series.

    Returns
    -------
    DataFrame
        Columns metric, value, floor, and n, the number of generated series. The floor
        is the value of the test part in the rows ``inception_score``,
        ``memorization_ratio`` and ``classification_accuracy_score, reverse``.
        ``correlational_score`` needs two channels. Undefined metrics are NaN, with a
        warning that says why.

    Notes
    -----
    The table stands on one draw. Differences between samplers mean nothing if they are
    smaller than those between two seeds.

    Lengths are part of what is compared: real and generated series keep their last
    value after their ends, until the longest one ends, and missing values are bridged
    by lines. Transformers and classifiers that take NaN see the series as they are,
    apart from the classifier of :func:`discriminative_score`. A perfect sampler still
    reaches the floor. Bridges are smoother than what is missing, so where many values
    are missing, metrics of fine detail prefer samples that are too smooth.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import evaluate_samples
    >>> class Copies:
    ...     def sample(self, n_samples, random_state=None):
    ...         return X[:n_samples]
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(40)[:, None])
    >>> table = evaluate_samples(Copies(), X[:20], X[20:]).set_index("metric")
    >>> table.loc["memorization_ratio"].tolist()  # caught
    [0.0, 1.0, 20.0]
    """
    if not hasattr(sampler, "sample"):
        raise TypeError(
            f"sampler must have a method sample, but {type(sampler).__name__} has none."
        )
    if (y_train is None) != (y_test is None):
        raise ValueError("y_train and y_test must be given both, or neither.")
    if y_train is not None:
        y_train = check_labels(y_train, "y_train")
        y_test = check_labels(y_test, "y_test")
        check_consistent_length(X_train, y_train)
        check_consistent_length(X_test, y_test)
    with_one_shape(X_train=X_train, X_test=X_test)  # an error before any work
    X_generated, y_generated = draw_samples(
        sampler, len(X_train), y_train, random_state
    )
    X_train, X_test, X_generated = with_one_shape(
        X_train=X_train, X_test=X_test, X_generated=X_generated
    )
    features = RandomConvolutionFeatures() if features is None else features
    features = _frozen(features, X_train)
    if encoder is not None:
        encoder = _frozen(encoder, X_train)
    classifier = default_classifier() if classifier is None else classifier
    n_channels = np.shape(X_test)[1] if np.ndim(X_test) == 3 else 1
    beside_test = _against_test(
        X_test, y_test, features, encoder, classifier, n_channels
    )
    beside_train = _against_train(X_train, X_test, y_train, classifier)
    calls = [(name, f, X_train, y_train) for name, f in beside_test.items()]
    calls += [(name, f, X_test, y_test) for name, f in beside_train.items()]
    rows = []
    for name, metric, X_real, y_real in calls:
        if y_generated is None and name.startswith("classification"):
            continue
        value = _value(name, metric, X_generated, y_generated)
        floor = _value(name, metric, X_real, y_real)
        rows.append((name, value, floor, len(X_generated)))
    return pd.DataFrame(rows, columns=["metric", "value", "floor", "n"])
