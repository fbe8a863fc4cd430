"""Distances to the nearest training series, and the vectors that are compared."""

from hashlib import blake2b

import numpy as np

from sktsrep._gaps import bridge
from sktsrep._holdout import windows_overlap

__all__ = [
    "count_overlapping",
    "mean_distances",
    "quiet_deviation",
    "series_keys",
    "z_normalized",
]

# Channels of a series are quiet when they vary less than this share of what is usual.
_QUIET = 0.1

# What varies by less than this share of its mean is constant but for rounding.
_ROUNDING = 1e-9

# Squares of larger values overflow.
_LARGEST = 1e150


def series_keys(X):
    """Make keys that tell series from others, bit by bit."""
    rows = (np.asarray(x, dtype=np.float64).tobytes() for x in X)
    return [blake2b(row, digest_size=8).hexdigest() for row in rows]


def count_overlapping(X, n_neighbors):
    """Find how many rows on windows have at most a value in common.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series in order.
    n_neighbors : int
        So many rows must be left for each, if there are as many.

    Returns
    -------
    int
        1 if rows are no windows.

    Examples
    --------
    >>> count_overlapping(np.arange(40)[:, None] + np.arange(5), n_neighbors=3)
    4
    """
    n_rows = 1
    while len(X) > 2 * n_rows and windows_overlap(X[::n_rows]):
        n_rows += 1
    return max(1, min(n_rows, (len(X) + 1 - n_neighbors) // 2))


def mean_distances(z, memory, own, n_neighbors, n_overlapping):
    """Compute mean distances to the nearest rows of a memory that do not overlap.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_dims)
        Vectors.
    memory : ndarray of shape (n_memory, n_dims)
        Vectors that they are compared to.
    own : ndarray of shape (n_samples,), int
        Row of the memory that each vector is, at most ``-n_memory`` if it is none.
    n_neighbors : int
        Over how many neighbors, or fewer if there are no more.
    n_overlapping : int
        Rows of the memory that are closer than this to a vector's own are left out.

    Returns
    -------
    ndarray of shape (n_samples,)

    Examples
    --------
    >>> memory = np.array([[0.0], [1.0], [3.0]])
    >>> mean_distances(memory, memory, np.arange(3), n_neighbors=1, n_overlapping=1)
    array([1., 1., 2.])
    """
    # Here, because it would slow down the import of sktsrep.
    from sklearn.neighbors import NearestNeighbors

    n_nearest = min(n_neighbors + 2 * n_overlapping, len(memory))
    search = NearestNeighbors(algorithm="brute").fit(memory)
    nearest = search.kneighbors(z, n_nearest, return_distance=False)
    overlaps = np.abs(nearest - own[:, None]) < n_overlapping
    # One more than needed, because matrix products, which round by the number of
    # rows, have put them in order.
    first = np.argsort(overlaps, axis=1, kind="stable")[:, : n_neighbors + 1]
    candidates = np.take_along_axis(nearest, first, axis=1)
    distances = [_distance(z, memory[rows]) for rows in candidates.T]
    distances = np.stack(distances, axis=1)  # (samples, candidates)
    distances[np.take_along_axis(overlaps, first, axis=1)] = np.inf
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


def _moments(X):
    """Series without their mean, their mean, and their deviation."""
    # One order of values in memory: another would give sums other bits.
    series = np.ascontiguousarray(X, dtype=float).clip(-_LARGEST, _LARGEST)
    series = bridge(series, level=0.0)
    mean = series.mean(axis=-1, keepdims=True)
    centered = series - mean
    return centered, mean, np.sqrt(np.square(centered).mean(axis=-1, keepdims=True))
