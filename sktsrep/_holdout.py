"""Which series are held out of a training."""

import numpy as np

__all__ = [
    "goes_on",
    "held_out_rows",
    "n_held_out",
    "shift",
    "windows_overlap",
]

# Share of series that early stopping looks at.
_SHARE_TO_STOP = 0.1

# Without early stopping, a few series are watched where they are not missed.
_WATCHED_SHARE = 0.05
_WATCHED_FROM = 300
_MOST_WATCHED = 64

# Pairs of rows that tell whether windows overlap.
_N_PAIRS = 16


def n_held_out(n_samples, share, early_stopping):
    """Find the number of series to hold out.

    Parameters
    ----------
    n_samples : int
        Series to train on and to hold out.
    share : float, "auto" or None
        As an estimator's ``validation_fraction``.
    early_stopping : bool
        Whether the training may stop early.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        When no series is left on one of the sides, and early stopping needs it.

    Examples
    --------
    >>> [n_held_out(n, "auto", False) for n in (100, 300, 10_000)]
    [0, 15, 64]
    >>> n_held_out(100, "auto", True)
    10
    """
    if share is None:
        if early_stopping:
            raise ValueError(
                "early_stopping needs held-out series, so validation_fraction must "
                "not be None."
            )
        return 0
    if share == "auto" and not early_stopping:
        if n_samples < _WATCHED_FROM:
            return 0
        return min(round(_WATCHED_SHARE * n_samples), _MOST_WATCHED)
    share = _SHARE_TO_STOP if share == "auto" else share
    n_valid = max(1, round(share * n_samples))
    if n_valid >= n_samples:
        raise ValueError(
            f"With n_samples={n_samples} and validation_fraction={share}, the "
            "resulting train set will be empty."
        )
    return n_valid


def held_out_rows(X, n_valid, rng, labels=None):
    """Choose the rows to hold out.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        All series.
    n_valid : int
        How many to choose.
    rng : RandomState
        Source of random numbers.
    labels : ndarray of shape (n_samples,), int, default=None
        Classes, which are then chosen from in equal shares; one series of each is left.

    Returns
    -------
    ndarray of int
        Random rows; the last ones where windows of a recording overlap. A window
        between two others that it overlaps tells nothing new, and what a model meets
        next comes after the recording.
    """
    n_samples = len(X)
    if n_valid and labels is None and windows_overlap(X):
        return np.arange(n_samples - n_valid, n_samples)
    order = rng.permutation(n_samples)
    if labels is None or not n_valid:
        return order[:n_valid]
    # Rows ordered by their rank within the class, as a share of the class: any
    # beginning of that order has the classes in equal shares.
    position = np.empty(n_samples)
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        position[rows[-1]] = np.inf  # one of each class is trained on
    order = order[np.argsort(position[order], kind="stable")]
    return order[: min(n_valid, int(np.isfinite(position).sum()))]


def windows_overlap(X):
    """Whether most rows begin with what their predecessors end with.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series in order.

    Examples
    --------
    >>> windows_overlap(np.array([[1, 2, 3], [2, 3, 4], [3, 4, 5]]))
    True
    """
    if len(X) < 2:
        return False
    first = np.unique(np.linspace(0, len(X) - 2, _N_PAIRS).astype(np.int64))
    n_overlapping = sum(shift(X[i + 1], X[i]) is not None for i in first)
    return n_overlapping > len(first) / 2


def shift(then, now):
    """Find after how many timepoints a series has become the one that follows it.

    Parameters
    ----------
    then, now : ndarray of shape (..., n_timepoints)
        A series and the one before it.

    Returns
    -------
    int or None
        None if no end of the series, but for constant ones, begins the next.

    Examples
    --------
    >>> shift(np.array([3, 4, 5, 6]), np.array([1, 2, 3, 4]))
    2
    """
    then, now = _bits(then), _bits(now)
    starts = np.flatnonzero((now == then[:, :1]).all(axis=0))
    for start in starts[starts > 0].tolist():
        is_constant = (now[:, start:] == now[:, start : start + 1]).all()
        if not is_constant and goes_on(then, now, start):
            return start
    return None


def goes_on(then, now, start):
    """Whether a series begins with what the one before it ends with, from a timepoint.

    Parameters
    ----------
    then, now : ndarray of shape (..., n_timepoints)
        A series and the one before it.
    start : int
        Timepoint of the latter.

    Examples
    --------
    >>> goes_on(np.array([3, 3, 3]), np.array([1, 3, 3]), 1)
    True
    """
    end = _bits(now)[:, start:]
    return np.array_equal(end, _bits(then)[:, : end.shape[1]])


def _bits(x):
    """Values of channels as integers, of which those of NaN are equal, too."""
    x = np.ascontiguousarray(np.reshape(x, (-1, x.shape[-1])))
    return x.view(f"i{x.dtype.itemsize}")
