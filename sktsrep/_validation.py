"""Checks of what users give: series, tokens, labels, masks, counts."""

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from sktsrep._axes import warn_of_axes
from sktsrep._gaps import pad_ends
from sktsrep._inputs import (
    as_array_like,
    check_finite,
    check_unmasked,
    is_list_of_series,
)

__all__ = [
    "check_known",
    "check_mask",
    "check_n_axes",
    "check_out",
    "check_positive_int",
    "check_series",
    "class_indices",
    "labeled_rows",
    "validate_beginnings",
    "validate_series",
    "validate_tokens",
]

_FLOATS = [np.float64, np.float32, np.float16]

# Integers that are no tokens: larger than any codebook, or by far than the data set.
_MOST_CODES = 2**16
_CODES_PER_VALUE = 100


def validate_series(
    estimator,
    X,
    y="no_validation",
    *,
    reset,
    allow_nan=False,
    any_length=False,
    pad=False,
):
    """Check a collection of series, or of their spectrograms.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_``, ``feature_names_in_`` and ``sample_shape_`` are set or
        checked.
    X : array-like
        ``(n_samples, n_timepoints)``, ``(n_samples, n_channels, n_timepoints)``, or a
        spectrogram ``(n_samples, 2 * n_channels, n_freqs, n_frames)``. Series of one
        channel may have a channel axis or not, whatever those of ``fit`` had.
    y : array-like, default="no_validation"
        Targets; when given, they are checked and returned too.
    reset : bool
        True in ``fit``.
    allow_nan : bool
        Whether NaN may stand for missing values, and lists may hold series of unequal
        length.
    any_length : bool
        Whether series in a list may also have other lengths than those of ``fit``.
    pad : bool
        Whether all series of a list may be shorter than those of ``fit``: they then
        end with NaN.

    Returns
    -------
    ndarray
        Two to four axes, with samples of the shape that ``fit`` saw, floating point;
        the float dtype of the input is kept.

    Raises
    ------
    ValueError
        For the wrong number of dimensions, sizes that differ from those of ``fit``,
        NaN or infinity, masked values, text, dates, complex numbers, no samples.
    TypeError
        For sparse data.

    Warns
    -----
    UserWarning
        When ``reset`` and the axes seem to be in another order.
    """
    name = type(estimator).__name__
    is_list = is_list_of_series(X)
    is_free = any_length and is_list
    n_fixed = -1 if is_free else None
    given = X = as_array_like(X, "X", pad=allow_nan)
    if not isinstance(y, str) and y is not None:
        _check_labels(y)
    if not reset:
        if pad and is_list:
            X = pad_ends(X, max(X.shape[-1], estimator.sample_shape_[-1]))
        X = _with_axes_of(X, estimator.sample_shape_)
        _check_sample_axes(X, name, estimator.sample_shape_)
    checks = {"dtype": _FLOATS, "allow_nd": True, "ensure_all_finite": False}
    if is_free and not reset:
        X = check_array(X, estimator=estimator, **checks)
    else:
        X = validate_data(estimator, X, y, reset=reset, **checks)
    if isinstance(X, tuple):
        X, y = X
    # Gaps of series are bridged; spectrograms have no such places.
    check_finite(X, "X", allow_nan and X.ndim < 4)
    check_n_axes(X, name, 4)
    if 0 in X.shape:
        raise ValueError(
            f"Found array with shape {X.shape} while a minimum of 1 is required in "
            f"every axis by {name}."
        )
    if reset:
        estimator.sample_shape_ = X.shape[1:]
        warn_of_axes(estimator, given, X)
    elif X.shape[1:][:n_fixed] != estimator.sample_shape_[:n_fixed]:
        raise ValueError(
            f"X has samples of shape {X.shape[1:]}, but {name} is expecting samples "
            f"of shape {estimator.sample_shape_} as input."
        )
    return X if isinstance(y, str) else (X, y)


def _with_axes_of(X, sample_shape):
    """Give series of one channel a channel axis, or none, as ``sample_shape`` has."""
    shape = getattr(X, "shape", ())
    if len(sample_shape) == 1 and len(shape) == 3 and shape[1] == 1:
        return X[:, 0]
    if len(sample_shape) == 2 and len(shape) == 2 and sample_shape[0] == 1:
        return np.asarray(X)[:, None]
    return X


def _check_sample_axes(X, name, sample_shape):
    """Raise ValueError if samples have not the axes of those in ``fit``."""
    shape = getattr(X, "shape", ())
    swapped = shape[:0:-1] == sample_shape != shape[1:]
    if len(shape) < 2 or (len(shape) == 1 + len(sample_shape) and not swapped):
        return
    hint = " Give np.swapaxes(X, 1, 2)." if swapped else ""
    if shape == sample_shape:
        hint = " The first axis (samples) is missing: give X[None]."
    raise ValueError(
        f"X has shape {shape}, but {name} is expecting samples of shape "
        f"{sample_shape} as input.{hint}"
    )


def check_series(X, name, n_samples=1):
    """Check a collection of series that belongs to no estimator.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
            n_timepoints)
        Series.
    name : str
        Name of the argument, for errors.
    n_samples : int
        Least number of series.

    Returns
    -------
    ndarray of shape (n_samples, n_channels, n_timepoints), float64

    Raises
    ------
    ValueError
        For other numbers of axes, fewer series, NaN and infinity.

    Examples
    --------
    >>> check_series([[1, 2]], "X").shape
    (1, 1, 2)
    """
    X = check_array(
        as_array_like(X, name),
        dtype=np.float64,
        allow_nd=True,
        ensure_min_samples=n_samples,
        ensure_all_finite=False,
        input_name=name,
    )
    check_finite(X, name)
    check_n_axes(X, name, 3)
    return X[:, None] if X.ndim == 2 else X


def check_n_axes(X, name, most):
    """Raise ValueError if an array has too many axes for series.

    Parameters
    ----------
    X : ndarray
        Series.
    name : str
        Estimator or argument that expected something else.
    most : {3, 4}
        3 for series only, 4 where spectrograms are accepted too.

    Examples
    --------
    >>> check_n_axes(np.ones((2, 1, 9)), "FCNClassifier", 3)
    """
    if X.ndim > most:
        series = "(n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints)"
        spectrogram = ", or a spectrogram" if most == 4 else ""
        raise ValueError(
            f"Found array with dim {X.ndim}. {name} expected <= {most}: "
            f"{series}{spectrogram}."
        )


def validate_beginnings(estimator, X):
    """Check the beginnings of series such as ``fit`` saw.

    Parameters
    ----------
    estimator : estimator
        Has ``sample_shape_``.
    X : array-like of shape (n_samples, ..., n_known)
        Beginnings, at most as long as the series. Those of one channel may have a
        channel axis or not.

    Returns
    -------
    ndarray
        The axes are those of ``fit``; the float dtype of the input is kept.

    Raises
    ------
    ValueError
        For other axes than those of ``fit``, longer series, NaN or infinity.
    """
    X = check_array(
        as_array_like(X, "X"), dtype=_FLOATS, allow_nd=True, ensure_all_finite=False
    )
    check_finite(X, "X")
    X = _with_axes_of(X, estimator.sample_shape_)
    *channels, n_most = estimator.sample_shape_
    if X.ndim != 2 + len(channels) or list(X.shape[1:-1]) != channels:
        alone = list(X.shape[:-1]) == channels
        hint = " The first axis (samples) is missing: give X[None]." if alone else ""
        raise ValueError(
            f"X has samples of shape {X.shape[1:]}, but {type(estimator).__name__} is "
            f"expecting beginnings of samples of shape {estimator.sample_shape_}.{hint}"
        )
    if not 1 <= X.shape[-1] <= n_most:
        raise ValueError(
            f"X has {X.shape[-1]} values per series, but {type(estimator).__name__} is "
            f"expecting 1 to {n_most}."
        )
    return X


def validate_tokens(tokens, n_tokens, n_codes, least=0):
    """Check tokens against the size of a codebook.

    Parameters
    ----------
    tokens : array-like of shape (n_samples, n_tokens)
        Integers; floats without a fraction pass.
    n_tokens : int or None
        Tokens per series; None for any.
    n_codes : int or None
        Size of the codebook; None for any.
    least : int
        -1 where that marks the end of shorter series.

    Returns
    -------
    ndarray of shape (n_samples, n_tokens), int64

    Raises
    ------
    ValueError
        For other shapes, fractions, and indices out of range; without ``n_codes``, also
        for integers so large that they must be readings.

    Examples
    --------
    >>> validate_tokens([[0.0, 1.0]], n_tokens=2, n_codes=2)
    array([[0, 1]])
    """
    tokens = check_array(as_array_like(tokens, "tokens"), input_name="tokens")
    if tokens.dtype.kind == "f" and (tokens % 1).any():
        raise ValueError(
            "Tokens must be integers, got fractions. Series need a tokenizer."
        )
    if n_tokens is not None and tokens.shape[1] != n_tokens:
        raise ValueError(
            f"X has {tokens.shape[1]} tokens per series, but {n_tokens} are expected."
        )
    smallest, largest = int(tokens.min()), int(tokens.max())
    if smallest < least or (n_codes is not None and largest >= n_codes):
        raise ValueError(
            f"Tokens must lie in [0, {n_codes or 'n_codes'}), got values from "
            f"{smallest} to {largest}."
        )
    most = min(_MOST_CODES - 1, _CODES_PER_VALUE * tokens.size)
    if n_codes is None and largest > most:
        raise ValueError(
            f"{tokens.size} integers up to {largest} look like readings, not tokens. "
            "Series need a tokenizer; if these are tokens, give n_codes."
        )
    return tokens.astype(np.int64)


def check_out(out, shape, dtype):
    """Raise ValueError unless features can be written into an array."""
    found = getattr(out, "shape", type(out).__name__)
    if found != shape:
        raise ValueError(f"out must be an array of shape {shape}, got {found} instead.")
    is_numpys = isinstance(out.dtype, np.dtype)
    if not (is_numpys and np.can_cast(dtype, out.dtype, "same_kind")):
        raise ValueError(f"out must be able to hold {dtype}, got {out.dtype} instead.")
    if not getattr(getattr(out, "flags", None), "writeable", True):
        raise ValueError("out is read-only. Open a memory map with mode='r+'.")


def check_mask(mask, X):
    """Check a mask of the missing values of ``X``; give it as booleans.

    Raises
    ------
    ValueError
        When it is not of booleans, has another shape, or ``X`` has NaN elsewhere.

    Examples
    --------
    >>> check_mask([[0, 1]], np.array([[1.0, np.nan]]))
    array([[False,  True]])
    """
    mask = as_array_like(mask, "mask")
    mask = check_array(mask, dtype=None, allow_nd=True, input_name="mask")
    mask = _with_axes_of(mask, X.shape[1:])
    others = mask[~np.isin(mask, [False, True])].tolist()
    if others:
        raise ValueError(f"mask must hold booleans, got {others[0]!r} instead.")
    mask = mask.astype(bool)
    if mask.shape != X.shape:
        raise ValueError(
            f"mask must have the shape {X.shape} of X, got {mask.shape} instead."
        )
    if np.isnan(X[~mask]).any():
        raise ValueError(
            "Input X contains NaN where mask is False: mask must be True there."
        )
    return mask


def class_indices(y, known=None):
    """Find the classes, and the index of every label among them.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels.
    known : ndarray of shape (n_classes,), default=None
        The classes, if they are known already.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    indices : ndarray of shape (n_samples,), int64

    Raises
    ------
    ValueError
        For continuous labels, missing ones, more than one per sample, or labels that
        are not among known ones.

    Examples
    --------
    >>> class_indices(["b", "a", "b"])
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    _check_labels(y)
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    classes, indices = np.unique(y, return_inverse=True)
    if known is None:
        return classes, indices
    check_known(classes, known)
    return known, np.searchsorted(known, classes)[indices]


def check_known(y, classes):
    """Raise ValueError for labels that are not among the classes.

    Examples
    --------
    >>> check_known(np.array([1, 0]), np.array([0, 1]))
    """
    unknown = sorted(set(y.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise ValueError(
            f"y contains previously unseen labels: {unknown}. Known are "
            f"{classes.tolist()}."
        )


def _check_labels(y):
    """Refuse missing labels."""
    check_unmasked(y, "y")
    missing = np.flatnonzero(pd.isna(np.asarray(y, dtype=object)))
    if len(missing):
        raise ValueError(
            f"Input y contains NaN or None, first at place {missing[0]}: every series "
            "needs a label."
        )


def labeled_rows(y, known=None):
    """Find the rows whose label is not the -1 of scikit-learn's unlabeled samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels. With fewer than two other classes, -1 is a class like others.
    known : ndarray of shape (n_classes,), default=None
        The classes, if they are known already.

    Returns
    -------
    ndarray of bool of shape (n_samples,)

    Examples
    --------
    >>> labeled_rows(np.array([0, -1, 1])), labeled_rows(np.array([1, -1, 1]))
    (array([ True, False,  True]), array([ True,  True,  True]))
    """
    classes = np.unique(y) if known is None else known
    if y.dtype.kind != "i" or np.sum(classes != -1) < 2:
        return np.ones(len(y), dtype=bool)
    return y != -1


def check_positive_int(value, name):
    """Raise ValueError unless an argument is an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r} instead.")
