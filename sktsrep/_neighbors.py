"""Distances to the nearest training series, and the vectors that are compared."""

from hashlib import blake2b
from itertools import pairwise

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from sktsrep._gaps import bridge, channel_moments
from sktsrep._holdout import goes_on, shift, windows_overlap

__all__ = [
    "channel_units",
    "in_units",
    "mean_distances",
    "quiet_deviation",
    "series_keys",
    "start_times",
    "windows_between",
    "z_normalized",
]

# Channels of a series are quiet when they vary less than this share of what is usual.
_QUIET = 0.1

# What varies by less than this share of its mean is constant but for rounding.
_ROUNDING = 1e-9

# Squares of larger values overflow.
_LARGEST = 1e150

# So many windows, and so many of their values, are compared with at most, but no fewer
# than the training series.
_MOST_WINDOWS = 20_000
_MOST_VALUES = 2**24


def series_keys(X):
    """Make keys that tell series from others, bit by bit."""
    rows = (np.asarray(x, dtype=np.float64).tobytes() for x in X)
    return [blake2b(row, digest_size=8).hexdigest() for row in rows]


def start_times(X):
    """Find when series begin, where they are windows of a recording in order.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series.

    Returns
    -------
    ndarray of shape (n_samples,), int
        A window that overlaps the one before begins as much later as it is shifted, any
        other series where the one before ends.

    Examples
    --------
    >>> start_times(np.arange(3)[:, None] + np.arange(5))
    array([0, 1, 2])
    >>> start_times(np.array([[1, 2, 3], [2, 3, 4], [3, 4, 5], [7, 8, 9]]))
    array([0, 1, 2, 5])
    """
    shifts = np.full(len(X), X.shape[-1])
    shifts[0] = 0
    if windows_overlap(X):
        found = [shift(then, now) for now, then in pairwise(X)]
        usual = int(np.median([n for n in found if n]))
        for i, n in enumerate(found, start=1):
            # Constant stretches do not tell how far a window is shifted.
            if not n and goes_on(X[i], X[i - 1], usual):
                n = usual
            shifts[i] = n or shifts[i]
    return np.cumsum(shifts)


def windows_between(X, times):
    """Add windows that begin between two that overlap.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series.
    times : ndarray of shape (n_samples,), int
        When they begin.

    Returns
    -------
    X : ndarray of shape (n_windows, ..., n_timepoints)
        The series and, between them, windows at every timepoint, or at even steps where
        those were too many.
    times : ndarray of shape (n_windows,), int
        When they begin.

    Examples
    --------
    >>> X = np.array([[1, 2, 3, 4], [3, 4, 5, 6]])
    >>> windows_between(X, np.array([0, 2]))
    (array([[1, 2, 3, 4],
           [2, 3, 4, 5],
           [3, 4, 5, 6]]), array([0, 1, 2]))
    """
    length = X.shape[-1]
    gaps = np.diff(times)
    overlap = gaps < length
    most = min(_MOST_WINDOWS, _MOST_VALUES // X[0].size)
    hop = max(1, -(-int(gaps[overlap].sum()) // max(1, most)))
    windows, begins = [X[:1]], [times[:1]]
    for i in range(len(gaps)):
        if overlap[i]:
            joined = np.concatenate([X[i], X[i + 1][..., length - gaps[i] :]], axis=-1)
            between = sliding_window_view(joined, length, axis=-1)
            offsets = np.arange(hop, gaps[i], hop)
            windows.append(np.moveaxis(between, -2, 0)[offsets])
            begins.append(times[i] + offsets)
        windows.append(X[i + 1 : i + 2])
        begins.append(times[i + 1 : i + 2])
    return np.concatenate(windows), np.concatenate(begins)


def mean_distances(z, when, memory, times, n_neighbors, apart):
    """Compute mean distances to the nearest rows of a memory that do not overlap.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_dims)
        Vectors.
    when : ndarray of shape (n_samples,)
        When their series begin; NaN if they are no part of the memory.
    memory : ndarray of shape (n_memory, n_dims)
        Vectors that they are compared to.
    times : ndarray of shape (n_memory,)
        When their series begin.
    n_neighbors : int
        Over how many neighbors, or fewer if there are no more.
    apart : int
        Neighbors begin at least so many timepoints earlier or later.

    Returns
    -------
    ndarray of shape (n_samples,)

    Examples
    --------
    >>> memory, times = np.array([[0.0], [1.0], [3.0]]), np.array([0, 5, 10])
    >>> mean_distances(memory, times, memory, times, n_neighbors=1, apart=5)
    array([1., 1., 2.])
    """
    # Here, because it would slow down the import of sktsrep.
    from sklearn.metrics import euclidean_distances

    squares = euclidean_distances(z, memory, squared=True)
    own = np.flatnonzero(~np.isnan(when))
    squares[own] = np.where(
        np.abs(when[own, None] - times) < apart, np.inf, squares[own]
    )
    # One more than needed, because matrix products, which round by the number of
    # rows, have put them in order.
    n_nearest = min(n_neighbors + 1, len(memory))
    nearest = np.argpartition(squares, n_nearest - 1, axis=1)[:, :n_nearest]
    distances = [_distance(z, memory[rows]) for rows in nearest.T]
    distances = np.stack(distances, axis=1)  # (samples, nearest)
    distances[np.isinf(np.take_along_axis(squares, nearest, axis=1))] = np.inf
    distances = np.sort(distances, axis=1)[:, :n_neighbors]
    is_neighbor = np.isfinite(distances)
    total = np.where(is_neighbor, distances, 0).sum(axis=1)
    return total / np.maximum(is_neighbor.sum(axis=1), 1)


def _distance(z, others):
    """Distance of every row to its own other."""
    gap = z - others
    return np.sqrt(np.square(gap, out=gap).sum(axis=1))


def quiet_deviation(X):
    """Find the deviation below which channels of a series are quiet.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Training series; NaN means missing.

    Returns
    -------
    ndarray of shape (..., 1)
        A tenth of the mean deviation within series, for every channel.

    Examples
    --------
    >>> quiet_deviation(np.array([[2.0, 4.0], [6.0, 6.0]]))
    array([0.05])
    """
    _, _, deviation = _moments(X)
    return _QUIET * deviation.mean(axis=0)


def z_normalized(X, least):
    """Give every channel of every series mean 0 and deviation 1.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series. Straight lines bridge NaN, and the last value is held after the end.
    least : ndarray of shape (..., 1)
        What is divided by where a channel's deviation is less, so that the noise of
        quiet series stays small.

    Returns
    -------
    ndarray of shape (n_samples, n_values)

    Examples
    --------
    >>> z_normalized(np.array([[2.0, 4.0], [6.0, 6.0]]), least=np.array([0.1]))
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    centered, mean, deviation = _moments(X)
    tiny = np.finfo(float).tiny
    least = np.maximum(np.maximum(least, _ROUNDING * np.abs(mean)), tiny)
    return (centered / np.maximum(deviation, least)).reshape(len(X), -1)


def channel_units(X):
    """Find mean and deviation of every channel over all training series.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Training series; NaN means missing.

    Returns
    -------
    mean, deviation : ndarray of shape (n_channels, 1)

    Examples
    --------
    >>> channel_units(np.array([[2.0, 4.0], [6.0, 8.0]]))
    (array([[5.]]), array([[2.23606798]]))
    """
    series = bridge(_contiguous(X)).reshape(len(X), -1, X.shape[-1])
    mean, deviation = channel_moments(torch.from_numpy(series))
    return mean.numpy(), deviation.numpy()


def in_units(X, mean, deviation):
    """Give every channel mean 0 and deviation 1 over all training series.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series. Straight lines bridge NaN, and the last value is held after the end.
    mean, deviation : ndarray of shape (n_channels, 1)
        As :func:`channel_units` finds them in training series.

    Returns
    -------
    ndarray of shape (n_samples, n_values)

    Examples
    --------
    >>> in_units(np.array([[2.0, 4.0]]), np.array([[3.0]]), np.array([[0.5]]))
    array([[-2.,  2.]])
    """
    series = _contiguous(X).reshape(len(X), -1, X.shape[-1])
    return bridge((series - mean) / deviation, level=0.0).reshape(len(X), -1)


def _moments(X):
    """Series without their mean, their mean, and their deviation."""
    series = bridge(_contiguous(X), level=0.0)
    mean = series.mean(axis=-1, keepdims=True)
    centered = series - mean
    return centered, mean, np.sqrt(np.square(centered).mean(axis=-1, keepdims=True))


def _contiguous(X):
    """Series in one order of values in memory: another would give sums other bits."""
    return np.ascontiguousarray(X, dtype=float).clip(-_LARGEST, _LARGEST)
