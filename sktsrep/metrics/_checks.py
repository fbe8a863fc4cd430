"""Checks and shapes of the series that metrics compare."""

import numpy as np
import pandas as pd

from sktsrep._validation import check_series

__all__ = ["check_pair", "draw_samples", "flatten", "with_axes_of"]


def check_pair(X, Y, n_samples=1, *, names=("X_real", "X_generated")):
    """Check two collections whose series must have the same shape."""
    X, Y = (check_series(Z, n, n_samples) for Z, n in zip((X, Y), names, strict=True))
    if X.shape[1:] != Y.shape[1:]:
        raise ValueError(
            f"{names[0]} has series of shape {X.shape[1:]} (channels, timepoints), but "
            f"{names[1]} has series of shape {Y.shape[1:]}."
        )
    return X, Y


def with_axes_of(X_real, X_generated):
    """Give generated series the axes of the real ones, and their column names."""
    if np.ndim(X_generated) != np.ndim(X_real):
        X_generated = np.reshape(X_generated, (-1, *np.shape(X_real)[1:]))
    if isinstance(X_real, pd.DataFrame):
        return pd.DataFrame(np.asarray(X_generated), columns=X_real.columns)
    return X_generated


def draw_samples(sampler, n_samples, y, random_state):
    """Draw ``X_generated`` and, from a sampler with classes, ``y_generated``."""
    conditional = len(getattr(sampler, "classes_", ())) > 0
    if y is None or not conditional:
        return sampler.sample(n_samples, random_state=random_state), None
    return sampler.sample(n_samples, y=y, random_state=random_state), y


def flatten(series):
    """Reshape (n_samples, ...) to (n_samples, n_values)."""
    return series.reshape(len(series), -1)
