"""Checks of what users give: series, tokens, labels, masks, counts."""

import sys
import warnings
from numbers import Integral

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

__all__ = [
    "check_mask",
    "check_n_axes",
    "check_positive_int",
    "check_series",
    "class_indices",
    "validate_beginnings",
    "validate_series",
    "validate_tokens",
    "warn_user",
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
        Two to four axes, floating point; the float dtype of the input is kept.

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
    check_n_axes(X, name, 4)
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
        X,
        dtype=np.float64,
        allow_nd=True,
        ensure_min_samples=n_samples,
        input_name=name,
    )
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
        Beginnings, at most as long as the series.

    Returns
    -------
    ndarray
        The float dtype of the input is kept.

    Raises
    ------
    ValueError
        For other axes than those of ``fit``, longer series, NaN or infinity.
    """
    X = check_array(X, dtype=_FLOATS, allow_nd=True, input_name="X")
    *channels, n_most = estimator.sample_shape_
    if X.ndim != 2 + len(channels) or list(X.shape[1:-1]) != channels:
        raise ValueError(
            f"X has samples of shape {X.shape[1:]}, but {type(estimator).__name__} is "
            f"expecting beginnings of samples of shape {estimator.sample_shape_}."
        )
    if not 1 <= X.shape[-1] <= n_most:
        raise ValueError(
            f"X has {X.shape[-1]} values per series, but {type(estimator).__name__} is "
            f"expecting 1 to {n_most}."
        )
    return X


def validate_tokens(tokens, n_tokens, n_codes):
    """Check tokens against the size of a codebook.

    Parameters
    ----------
    tokens : array-like of shape (n_samples, n_tokens)
        Integers; floats without a fraction pass.
    n_tokens : int or None
        Tokens per series; None for any.
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
    >>> validate_tokens([[0.0, 1.0]], n_tokens=2, n_codes=2)
    array([[0, 1]])
    """
    tokens = check_array(tokens, input_name="tokens")
    whole = tokens.astype(np.int64)
    if not np.array_equal(whole, tokens):
        raise ValueError(
            "Tokens must be integers, got fractions. Series need a tokenizer."
        )
    if n_tokens is not None and tokens.shape[1] != n_tokens:
        raise ValueError(
            f"X has {tokens.shape[1]} tokens per series, but {n_tokens} are expected."
        )
    if whole.min() < 0 or (n_codes is not None and whole.max() >= n_codes):
        raise ValueError(
            f"Tokens must lie in [0, {n_codes or 'n_codes'}), got values from "
            f"{whole.min()} to {whole.max()}."
        )
    return whole


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
    """Find the classes, and the index of every label among them.

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
        For continuous labels, or more than one per sample.

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


def warn_user(message, category):
    """Warn at the line of the user's own code that led here.

    That is the innermost frame outside this package and scikit-learn, whose decorators
    and meta-estimators stand in between.
    """
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(
        ("sktsrep.", "sklearn.")
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
