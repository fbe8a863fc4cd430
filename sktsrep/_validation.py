"""Checks of what users give: series, tokens, labels, masks, counts."""

from numbers import Integral

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

__all__ = [
    "check_mask",
    "check_positive_int",
    "class_indices",
    "validate_codes",
    "validate_series",
]

_FLOATS = [np.float64, np.float32, np.float16]


def validate_series(estimator, X, y="no_validation", *, reset, allow_nan=False):
    """Check a collection of series, or of their spectrograms.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_``, ``feature_names_in_`` and ``sample_shape_`` are set or
        checked.
    X : array-like
        ``(n_samples, n_timepoints)``, ``(n_samples, n_channels, n_timepoints)``, or a
        spectrogram ``(n_samples, 2 * n_channels, n_freqs, n_frames)``.
    y : array-like, default="no_validation"
        Targets; when given, they are checked and returned too.
    reset : bool
        True in ``fit``.
    allow_nan : bool
        Whether NaN may stand for missing values.

    Returns
    -------
    ndarray
        Of two to four dimensions, floating point; the input's float dtype is kept.

    Raises
    ------
    ValueError
        For the wrong number of dimensions, sizes that differ from those of ``fit``,
        NaN or infinity, text, complex numbers, no samples.
    TypeError
        For sparse data.
    """
    name = type(estimator).__name__
    n_axes = len(getattr(X, "shape", ()))
    if not reset and n_axes > 1 and n_axes != 1 + len(estimator.sample_shape_):
        raise ValueError(
            f"X has shape {X.shape}, but {name} is expecting samples of shape "
            f"{estimator.sample_shape_} as input."
        )
    X = validate_data(
        estimator,
        X,
        y,
        reset=reset,
        dtype=_FLOATS,
        allow_nd=True,
        ensure_all_finite="allow-nan" if allow_nan else True,
    )
    if isinstance(X, tuple):
        X, y = X
    if X.ndim > 4:
        raise ValueError(
            f"Found array with dim {X.ndim}. {name} expected <= 4: (n_samples, "
            "n_timepoints), (n_samples, n_channels, n_timepoints), or a spectrogram."
        )
    if 0 in X.shape:
        raise ValueError(
            f"Found array with shape {X.shape} while a minimum of 1 is required in "
            f"every axis by {name}."
        )
    if reset:
        estimator.sample_shape_ = X.shape[1:]
    elif X.shape[1:] != estimator.sample_shape_:
        raise ValueError(
            f"X has samples of shape {X.shape[1:]}, but {name} is expecting samples "
            f"of shape {estimator.sample_shape_} as input."
        )
    return X if isinstance(y, str) else (X, y)


def validate_codes(codes, n_tokens, n_codes):
    """Check tokens against the size of a codebook.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_tokens)
        Integers; floats without fraction pass.
    n_tokens : int or None
        Tokens a series; None for any.
    n_codes : int or None
        Size of the codebook; None for any.

    Returns
    -------
    ndarray of shape (n_samples, n_tokens), int64

    Raises
    ------
    ValueError
        For other shapes, fractions, and indices out of range.

    Examples
    --------
    >>> validate_codes([[0.0, 1.0]], n_tokens=2, n_codes=2)
    array([[0, 1]])
    """
    codes = check_array(codes, input_name="codes")
    whole = codes.astype(np.int64)
    if not np.array_equal(whole, codes):
        raise ValueError(
            "Codes must be integers, got fractions. Series need a tokenizer."
        )
    if n_tokens is not None and codes.shape[1] != n_tokens:
        raise ValueError(
            f"codes has {codes.shape[1]} tokens, but {n_tokens} tokens are expected."
        )
    if whole.min() < 0 or (n_codes is not None and whole.max() >= n_codes):
        raise ValueError(
            f"Codes must lie in [0, {n_codes or 'n_codes'}), got values from "
            f"{whole.min()} to {whole.max()}."
        )
    return whole


def check_mask(mask, X):
    """A mask of the missing values of ``X``, as booleans.

    Raises
    ------
    ValueError
        When it is not of booleans, has another shape, or ``X`` has NaN elsewhere.

    Examples
    --------
    >>> check_mask([[0, 1]], np.array([[1.0, np.nan]]))
    array([[False,  True]])
    """
    mask = check_array(mask, dtype=None, allow_nd=True, input_name="mask")
    if not np.isin(mask, [False, True]).all():
        raise ValueError("mask must hold booleans.")
    mask = mask.astype(bool)
    if mask.shape != X.shape:
        raise ValueError(
            f"mask must have the shape {X.shape} of X, got {mask.shape} instead."
        )
    if np.isnan(X[~mask]).any():
        raise ValueError("Input X contains NaN where mask is False.")
    return mask


def class_indices(y):
    """The classes, and every label's index among them.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    indices : ndarray of shape (n_samples,), int64

    Raises
    ------
    ValueError
        For continuous labels, or more than one a sample.

    Examples
    --------
    >>> class_indices(["b", "a", "b"])
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return np.unique(y, return_inverse=True)


def check_positive_int(value, name):
    """Raise ValueError unless an argument is an int of at least 1."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r} instead.")
