"""Checks, sizes and shapes of the arrays that metrics compare."""

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, check_array, gen_batches, get_tags
from sklearn.utils.validation import column_or_1d

from sktsrep._gaps import bridge, channel_levels, observed_lengths, pad_ends
from sktsrep._inputs import as_array_like, is_list_of_series
from sktsrep._validation import check_n_axes

__all__ = [
    "check_alike",
    "check_discrete",
    "check_labels",
    "check_numbers",
    "check_padded",
    "check_pair",
    "check_series",
    "check_size",
    "check_vectors",
    "draw_samples",
    "exponent_of",
    "flatten",
    "pair_for",
    "row_blocks",
    "series_for",
    "unwrap_tensor",
    "varies",
    "with_axes_of",
    "with_one_shape",
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


def check_numbers(X, name, n_samples=1, *, allow_nan=False):
    """Check finite numbers (n_samples, ...) without empty axes; return float64.

    With ``allow_nan``, NaN is let through, and lists of unequal series are padded by
    it.
    """
    X = as_array_like(X, name, pad=allow_nan)
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
    _check_finite(X, name, allow_nan)
    return X


def _check_finite(X, name, allow_nan=False):
    with np.errstate(over="ignore", invalid="ignore"):  # it tries the sum of all
        assert_all_finite(X, allow_nan=allow_nan, input_name=name)


def check_series(X, name, n_samples=1, *, allow_nan=False):
    """Check series as in ``_validation``, and that no axis is empty."""
    X = check_numbers(X, name, n_samples, allow_nan=allow_nan)
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
    largest = np.nanmax(np.abs(X))
    if largest > _LARGEST or 0 < largest < _SMALLEST:
        raise ValueError(
            f"{name} has absolute values up to {largest:.3g}, but models work between "
            f"{_SMALLEST} and {_LARGEST}: rescale {name}."
        )


def check_pair(X_real, X_generated, n_samples=1):
    """Check and fill real and generated series, as :func:`check_alike` does."""
    pair = {"X_real": X_real, "X_generated": X_generated}
    return check_alike(n_samples, **pair)


def check_alike(n_samples=1, **collections):
    """Check collections whose series must have the same shape; fill their gaps.

    Missing values are bridged by lines, and a series that is over keeps its last value
    until the longest one of all collections ends.

    Returns
    -------
    list of ndarrays of shape (n_samples, n_channels, n_timepoints), without NaN
    """
    arrays = _without_padding(check_padded(n_samples, **collections))
    return _bridged(arrays) if _have_gaps(arrays) else arrays


def check_padded(n_samples=1, **collections):
    """Check collections whose series must have the same shape, with NaN in gaps.

    Where one has NaN, or is a list of series, lengths may differ: shorter arrays are
    padded by NaN.
    """
    arrays = [
        check_series(X, name, n_samples, allow_nan=True)
        for name, X in collections.items()
    ]
    are_free = _have_gaps(arrays) or any(map(is_list_of_series, collections.values()))
    n_fixed = 1 if are_free else 2  # the channels, and usually the timepoints
    first, *names = collections
    shape, *others = (x.shape[1:] for x in arrays)
    for name, other in zip(names, others, strict=True):
        if other[:n_fixed] != shape[:n_fixed]:
            raise ValueError(
                f"{first} has series of shape {shape} (channels, timepoints), but "
                f"{name} has series of shape {other}."
            )
    longest = max(x.shape[-1] for x in arrays)
    arrays = [pad_ends(x, longest) for x in arrays]
    for x, name in zip(arrays, collections, strict=True):
        observed_lengths(x, name)  # refuses series without a value
    return arrays


def _without_padding(arrays):
    """Cut collections of one length where the longest series of all ends."""
    longest = max(observed_lengths(x).max() for x in arrays)
    return [x[..., :longest] for x in arrays]


def _have_gaps(arrays):
    return any(np.isnan(x).any() for x in arrays)


def _bridged(arrays):
    """Bridge the gaps of collections; the first one tells what absent channels are."""
    level = channel_levels(arrays[0])
    return [bridge(x, level) for x in arrays]


def with_one_shape(**collections):
    """Give collections the axes of the first and, where series have gaps, one length.

    It is that of the longest series. Without gaps, the first collection stays as it
    is, and the others get its column names.
    """
    arrays = check_padded(**collections)
    if not _have_gaps(arrays):
        return _as_given(collections)
    return _with_axes(_without_padding(arrays), *collections.values())


def _as_given(collections):
    """Give collections without gaps the axes and column names of the first."""
    given = (as_array_like(X, name, pad=True) for name, X in collections.items())
    first, *others = given
    return [first, *(with_axes_of(first, X) for X in others)]


def _with_axes(arrays, first, *others):
    """Give arrays (n_samples, n_channels, n_timepoints) the axes of ``first``."""
    n_axes = first.ndim if hasattr(first, "ndim") else 1 + np.ndim(first[0])
    return [x[:, 0] if n_axes == 2 and x.shape[1] == 1 else x for x in arrays]


def series_for(estimator, **collections):
    """Give collections of series as an estimator takes them.

    One that takes NaN gets lists, in which series have lengths of their own. For any
    other, missing values are bridged by lines, and series that are over keep their last
    value up to the length of the arrays, because a fitted one expects that length.
    Series without gaps stay as they are.
    """
    arrays = check_padded(**collections)
    if not _have_gaps(arrays):
        return _as_given(collections)
    parts = _with_axes(arrays, *collections.values())
    return [list(x) for x in parts] if _takes_gaps(estimator) else _bridged(parts)


def pair_for(estimator, X_real, X_generated):
    """Give real and generated series as an estimator takes them, fitted or not."""
    pair = {"X_real": X_real, "X_generated": X_generated}
    if not isinstance(estimator, FrozenEstimator):
        pair = dict(zip(pair, with_one_shape(**pair), strict=True))
    return series_for(estimator, **pair)


def _takes_gaps(estimator):
    """Whether an estimator takes NaN; of a pipeline, its first step."""
    if isinstance(estimator, FrozenEstimator):
        return _takes_gaps(estimator.estimator)
    if isinstance(estimator, Pipeline):
        return _takes_gaps(estimator.steps[0][1])
    return get_tags(estimator).input_tags.allow_nan


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
