"""Checks, sizes and shapes of the arrays that metrics compare."""

import numpy as np
import pandas as pd
import torch
from sklearn.utils import assert_all_finite, check_array, gen_batches
from sklearn.utils.validation import column_or_1d

from sktsrep._inputs import as_array_like
from sktsrep._validation import check_n_axes

__all__ = [
    "check_discrete",
    "check_labels",
    "check_numbers",
    "check_pair",
    "check_series",
    "check_size",
    "check_vectors",
    "draw_samples",
    "exponent_of",
    "flatten",
    "row_blocks",
    "unwrap_tensor",
    "varies",
    "with_axes_of",
]

# Fourth powers of values up to 2 ** 200, about 1e60, stay within the range of float64.
_LARGEST_EXPONENT = 200
_SMALLEST, _LARGEST = 1e-100, 1e100  # sizes that models can square and add up

# What rounding leaves of the range of constant series, with a wide margin.
_ROUNDING_OF_RANGE = 1e-9

_BLOCK_SIZE = 2**21  # numbers in a block of a large matrix: 16 MiB


def unwrap_tensor(X):
    """Give a tensor as an array, detached from its graph; leave the rest alone."""
    return X.numpy(force=True) if isinstance(X, torch.Tensor) else X


def check_numbers(X, name, n_samples=1):
    """Check finite numbers (n_samples, ...) without empty axes; return float64."""
    X = as_array_like(X, name)
    if getattr(getattr(X, "dtype", None), "kind", "") in ("S", "U"):
        raise ValueError(f"{name} must hold numbers, got text instead.")
    try:
        with np.errstate(over="ignore"):  # long doubles become infinite
            X = check_array(
                X,
                dtype=np.float64,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=False,
                ensure_min_samples=0,
                ensure_min_features=0,
                input_name=name,
            )
    except (OverflowError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must hold numbers of float64: {error}") from error
    if 0 in X.shape:
        raise ValueError(
            f"{name} is empty: it has shape {X.shape}, but a minimum of 1 is required "
            "in every axis."
        )
    if X.ndim and len(X) < n_samples:
        raise ValueError(
            f"{name} has {len(X)} samples, but a minimum of {n_samples} is required."
        )
    _check_finite(X, name)
    return X


def _check_finite(X, name):
    with np.errstate(over="ignore", invalid="ignore"):  # it tries the sum of all
        assert_all_finite(X, input_name=name)


def check_series(X, name, n_samples=1):
    """Check series as in ``_validation``, and that no axis is empty."""
    X = check_numbers(X, name, n_samples)
    check_n_axes(X, name, 3)
    if X.ndim < 2:
        raise ValueError(
            f"{name} must have shape (n_samples, n_timepoints) or (n_samples, "
            f"n_channels, n_timepoints), got shape {X.shape}. Give {name}[None] if it "
            "is one series."
        )
    return X[:, None] if X.ndim == 2 else X


def check_vectors(X, name, n_samples=1):
    """Check vectors (n_samples, n_features)."""
    X = check_numbers(X, name, n_samples)
    if X.ndim != 2:
        raise ValueError(
            f"{name} must have shape (n_samples, n_features), got shape {X.shape}."
        )
    return X


def check_size(X, name):
    """Raise ValueError for numbers that models cannot square and add up."""
    largest = np.abs(X).max()
    if largest > _LARGEST or 0 < largest < _SMALLEST:
        raise ValueError(
            f"{name} has absolute values up to {largest:.3g}, but models work between "
            f"{_SMALLEST} and {_LARGEST}: rescale {name}."
        )


def check_pair(X, Y, n_samples=1, *, names=("X_real", "X_generated")):
    """Check two collections whose series must have the same shape."""
    X, Y = (check_series(Z, n, n_samples) for Z, n in zip((X, Y), names, strict=True))
    if X.shape[1:] != Y.shape[1:]:
        raise ValueError(
            f"{names[0]} has series of shape {X.shape[1:]} (channels, timepoints), but "
            f"{names[1]} has series of shape {Y.shape[1:]}."
        )
    return X, Y


def check_discrete(values, name):
    """Check discrete values of any shape and dtype; none may be missing."""
    if isinstance(values, (list, tuple, torch.Tensor, np.ma.MaskedArray)):
        values = as_array_like(values, name)
    try:
        values = check_array(
            values,
            dtype=None,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name} must hold discrete values, such as integers or text: {error}"
        ) from error
    if values.dtype.kind == "f":
        _check_finite(values, name)
    if values.ndim == 0:
        raise ValueError(f"{name} must be an array, got a single value instead.")
    if values.size == 0:
        raise ValueError(
            f"{name} is empty, but at least one value is needed: it has shape "
            f"{values.shape}."
        )
    if pd.isna(values).any():
        raise ValueError(f"{name} has missing values.")
    if values.dtype == object:
        try:
            np.unique(values)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name} must hold values of one type, such as integers or text."
            ) from error
    return values


def check_labels(y, name):
    """Check labels (n_samples,); none may be missing."""
    y = check_discrete(y, name)
    if y.ndim > 2 or y.size != len(y):
        raise ValueError(f"{name} must have shape (n_samples,), got shape {y.shape}.")
    return column_or_1d(y)


def exponent_of(*arrays, axis=None):
    """Choose the power of two that brings extreme values near 1; 0 for usual ones.

    Squares of extreme values leave the range of floats. ``np.ldexp`` rescales values
    without rounding.
    """
    largest = np.max([np.abs(x).max(axis, keepdims=True) for x in arrays], axis=0)
    exponent = np.frexp(largest if axis is not None else largest.item())[1]
    return np.where(np.abs(exponent) > _LARGEST_EXPONENT, exponent, 0)


def varies(x, axis):
    """Find where values differ along axes, by more than rounding."""
    return np.ptp(x, axis=axis) > _ROUNDING_OF_RANGE * np.abs(x).max(axis=axis)


def row_blocks(n_rows, row_size):
    """Yield slices of rows, so that a block has a bounded size."""
    return gen_batches(n_rows, max(1, _BLOCK_SIZE // row_size))


def with_axes_of(X_real, X_generated):
    """Give generated series the axes of the real ones, and their column names."""
    X_generated = unwrap_tensor(X_generated)
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
