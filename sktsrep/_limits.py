"""Limits that channels keep: a sign, one above another, a few values only."""

from itertools import combinations

import numpy as np

from sktsrep._storage import row_blocks

__all__ = ["find_limits", "find_values", "keep_limits", "keep_values"]

# What is a limit has at least this share of the distinct values exactly on it: days
# whose highest price is the first one, hours without rain.
_LEAST_SHARE = 0.005
_FEWEST = 8

# In deviations of the channels: what is on a limit, and what is beyond it.
_ON = 1e-5
_BEYOND = 1e-9

# Limits of two channels are looked for among the pairs of so many channels, with so
# many timepoints.
_MOST_CHANNELS = 16
_MOST_TIMEPOINTS = 2**14

# A channel takes few values if it has at most so many, each so often in the mean.
_FEW_VALUES = 32
_LEAST_REPEATS = 20

# Each pass moves values to one limit after the other.
_N_PASSES = 100


def find_limits(X):
    """Find linear limits of one or two channels that all timepoints keep.

    They are the edges of the convex hull of the channels' values that have more values
    on them than edges have by chance.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series; NaN does not count.

    Returns
    -------
    dict of str to ndarray
        ``normal`` (n_limits, n_channels) and ``bound`` (n_limits,): products of the
        normal with the values of a timepoint are at most the bound. ``step``, of the
        shape of ``normal``, leads back in units of the channels' deviations.

    Examples
    --------
    >>> rain = np.maximum(np.random.default_rng(0).normal(size=(20, 50)), 0)
    >>> limits = find_limits(rain)
    >>> limits["normal"].shape, limits["bound"]
    ((1, 1), array([0.]))
    >>> keep_limits(np.array([[-0.3, 0.0, 0.7]]), limits)
    array([[0. , 0. , 0.7]])
    """
    points = _points(X)
    points = points[:: -(-len(points) // _MOST_TIMEPOINTS) or 1]
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = points.std(axis=0) if len(points) else np.zeros(points.shape[1])
    varying = np.flatnonzero((deviation > 0) & np.isfinite(deviation))
    normals = []
    for i in varying:
        values = points[:, i] / deviation[i]
        for sign in (-1.0, 1.0):
            if _is_limit(sign * values):
                normals.append({i: sign})
    for pair in combinations(varying[:_MOST_CHANNELS], 2):
        values = np.unique(points[:, pair] / deviation[[*pair]], axis=0)
        normals += [dict(zip(pair, edge, strict=True)) for edge in _edges(values)]
    unit = np.zeros((len(normals), points.shape[1]))
    for row, weights in zip(unit, normals, strict=True):
        row[list(weights)] = list(weights.values())
    scale = np.ones(points.shape[1])
    scale[varying] = deviation[varying]
    limits = {"normal": unit / scale, "step": unit * scale}
    return {**limits, "bound": _largest(limits["normal"], X)}


def _points(X):
    """Values of the channels (n_points, n_channels) at the timepoints of some series.

    Windows that overlap would have every timepoint many times.
    """
    channels = X.reshape(len(X), -1, X.shape[-1])
    most = max(1, _MOST_TIMEPOINTS // X.shape[-1])
    some = channels[:: -(-len(X) // most)].astype(np.float64)
    points = some.transpose(0, 2, 1).reshape(-1, channels.shape[1])
    return points[np.isfinite(points).all(axis=1)]


def _is_limit(values):
    """Whether many values are the largest."""
    n_on = (values > values.max() - _ON).sum()
    return n_on >= max(_FEWEST, _LEAST_SHARE * len(values))


def _edges(values):
    """Normals (n_edges, 2) of the hull's edges that many of the points are on."""
    # Here, because it would slow down the import of sktsrep.
    from scipy.spatial import ConvexHull, QhullError

    try:
        normals = ConvexHull(values).equations[:, :2]
    except QhullError:  # too few points, or all on a line
        if len(values) < _FEWEST:
            return []
        _, _, directions = np.linalg.svd(values - values.mean(axis=0), False)
        return [directions[1], -directions[1]]
    is_oblique = np.abs(normals).min(axis=1) > _ON  # others are of a single channel
    return [n for n in normals[is_oblique] if _is_limit(values @ n)]


def _largest(normals, X):
    """Largest products of all timepoints with normals."""
    largest = np.full(len(normals), -np.inf)
    if not len(normals):
        return largest
    for rows in row_blocks(len(X)):
        channels = X[rows].reshape(-1, normals.shape[1], X.shape[-1])
        products = np.einsum("lc,nct->lnt", normals, channels.astype(np.float64))
        products[np.isnan(products)] = -np.inf
        largest = np.maximum(largest, products.max(axis=(1, 2)))
    return largest


def keep_limits(X, limits):
    """Bring values that are beyond limits back to these, by the shortest way.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series.
    limits : dict of str to ndarray
        From :func:`find_limits`.

    Returns
    -------
    ndarray
        As ``X``.

    Examples
    --------
    >>> low = np.random.default_rng(0).normal(size=(20, 1, 50))
    >>> gap = np.maximum(np.random.default_rng(1).normal(size=low.shape), 0)
    >>> limits = find_limits(np.concatenate([low, low + gap], axis=1))
    >>> keep_limits(np.array([[[0.5, 0.5], [1.0, 0.2]]]), limits).round(2)
    array([[[0.5 , 0.37],
            [1.  , 0.37]]])
    """
    n_limits, n_channels = limits["normal"].shape
    if not n_limits:
        return X
    x = X.reshape(len(X), n_channels, X.shape[-1]).astype(np.float64)
    for _ in range(_N_PASSES):
        is_kept = True
        for normal, step, bound in zip(
            limits["normal"], limits["step"], limits["bound"], strict=True
        ):
            beyond = np.einsum("c,nct->nt", normal, x) - bound
            if (beyond > _BEYOND).any():
                is_kept = False
                x -= step[:, None] * beyond.clip(min=0)[:, None]
        if is_kept:
            break
    return x.reshape(X.shape).astype(X.dtype, copy=False)


def find_values(X):
    """Find the values of channels that take only a few, such as counts or states.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series; NaN does not count.

    Returns
    -------
    dict of str to ndarray
        ``channel`` and ``value``, both (n_values,): a channel, and one of its values,
        which ascend.

    Examples
    --------
    >>> lamps = np.random.default_rng(0).integers(3, size=(20, 50)) * 10.0
    >>> values = find_values(lamps)
    >>> values["value"]
    array([ 0., 10., 20.])
    >>> keep_values(np.array([[-0.3, 7.0, 19.0]]), values)
    array([[ 0., 10., 20.]])
    """
    points = _points(X)
    channels, found = [], []
    for i in range(points.shape[1]):
        some = np.unique(points[:, i])
        if len(some) and _are_few(some, len(points)):
            channel = X.reshape(len(X), -1, X.shape[-1])[:, i]
            every = np.unique(channel[np.isfinite(channel)]).astype(np.float64)
            if _are_few(every, channel.size):
                channels.append(np.full(len(every), i))
                found.append(every)
    empty = np.zeros(0)
    return {
        "channel": np.concatenate([empty.astype(int), *channels]),
        "value": np.concatenate([empty, *found]),
    }


def _are_few(distinct, n):
    return len(distinct) <= min(_FEW_VALUES, n / _LEAST_REPEATS)


def keep_values(X, values):
    """Take the nearest of a channel's few values.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series.
    values : dict of str to ndarray
        From :func:`find_values`.

    Returns
    -------
    ndarray
        As ``X``.
    """
    if not len(values["value"]):
        return X
    x = X.reshape(len(X), -1, X.shape[-1]).copy()
    for i in np.unique(values["channel"]):
        own = values["value"][values["channel"] == i]
        nearest = own[np.searchsorted((own[1:] + own[:-1]) / 2, x[:, i])]
        x[:, i] = np.where(np.isnan(x[:, i]), np.nan, nearest)
    return x.reshape(X.shape)
