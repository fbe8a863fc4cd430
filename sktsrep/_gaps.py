"""Gaps in series, and their ends: lines, fillings, the tokens they touch."""

import numpy as np
import pandas as pd
import torch

from sktsrep._device import to_tensor
from sktsrep._storage import empty_array, row_blocks
from sktsrep.functional import channel_scale, guarded_scale

__all__ = [
    "bridge",
    "by_length",
    "channel_levels",
    "channel_moments",
    "closest",
    "end_at",
    "has_gaps",
    "interpolate",
    "longer_half",
    "observed_lengths",
    "pad_ends",
    "places_of_times",
    "shares_of_time",
    "to_length",
    "until_ends",
]


def observed_lengths(X, name="X"):
    """Count the timepoints of every series up to the last one with a value.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series; NaN that runs to the end in all channels means that they are shorter.
    name : str
        Name of the argument, for the error.

    Returns
    -------
    ndarray of shape (n_samples,), int

    Raises
    ------
    ValueError
        When a series has no value.

    Examples
    --------
    >>> observed_lengths(np.array([[1.0, np.nan, 3.0], [1.0, np.nan, np.nan]]))
    array([3, 1])
    """
    n_timepoints = X.shape[-1]
    has_last = ~np.isnan(X[..., -1].reshape(len(X), -1)).all(axis=1)
    if has_last.all():  # nothing ends, and the rest need not be looked at
        return np.full(len(X), n_timepoints)
    lengths = np.concatenate([_ends(X[rows]) for rows in row_blocks(len(X))])
    if not lengths.all():
        raise ValueError(
            f"{name} has a series with no observed value in row {lengths.argmin()}: "
            "drop it."
        )
    return lengths


def _ends(X):
    """As :func:`observed_lengths`, 0 for a series without a value."""
    n_timepoints = X.shape[-1]
    known = ~np.isnan(X).reshape(len(X), -1, n_timepoints).all(axis=1)
    lengths = n_timepoints - known[:, ::-1].argmax(axis=1)
    return np.where(known.any(axis=1), lengths, 0)


def has_gaps(X):
    """Whether an array has NaN."""
    return any(np.isnan(X[rows]).any() for rows in row_blocks(len(X)))


def bridge(X, level=None):
    """Replace NaN by straight lines, and by the last value after the end.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series.
    level : ndarray of shape (n_channels,), default=None
        What stands in for a channel that a series lacks; None is the channel's mean in
        the others, or 0.

    Returns
    -------
    ndarray of the same shape
        ``X`` itself where nothing is missing.

    Examples
    --------
    >>> bridge(np.array([[1.0, np.nan, 3.0, np.nan]]))
    array([[1., 2., 3., 3.]])
    """
    if not has_gaps(X):
        return X
    if level is None:
        level = channel_levels(X)
    filled = empty_array(X.shape, X.dtype)
    for block in row_blocks(len(X)):
        part = filled[block]  # a view
        part[...] = X[block]
        missing = np.isnan(part)
        rows = missing.reshape(len(part), -1).any(axis=1)
        if rows.any():
            part[rows] = interpolate(part[rows], missing[rows], level)
    return filled


def channel_levels(X):
    """Compute the mean of the known values of every channel; 0 if it has none.

    Examples
    --------
    >>> channel_levels(np.array([[[1.0, np.nan], [np.nan, np.nan]]]))
    array([1., 0.])
    """
    total, n_known = _channel_sums(X, 1.0)
    scale = 1.0
    if not np.isfinite(total).all():
        scale = 2.0**-64  # rounds no number that is large enough to overflow
        total, n_known = _channel_sums(X, scale)
    return total / np.maximum(n_known, 1) / scale


def _channel_sums(X, scale):
    """Sum of the scaled known values of every channel, and their number."""
    total = n_known = 0
    for rows in row_blocks(len(X)):
        channels = X[rows].reshape(len(X[rows]), -1, X.shape[-1])
        known = ~np.isnan(channels)
        values = np.where(known, channels, 0) * scale
        with np.errstate(over="ignore", invalid="ignore"):  # inf - inf
            total += values.sum(axis=(0, 2), dtype=float)
        n_known += known.sum(axis=(0, 2))
    return total, n_known


def by_length(function, lengths):
    """Put together what a function gives for the rows of every length.

    Parameters
    ----------
    function : callable
        Maps a length and its rows to an array with as many rows.
    lengths : ndarray of shape (n_rows,), int
        Lengths.

    Returns
    -------
    ndarray
        Arrays that are shorter on the last axis end with NaN, or -1 of integers.

    Examples
    --------
    >>> by_length(lambda length, rows: np.ones((len(rows), length)), np.array([2, 1]))
    array([[ 1.,  1.],
           [ 1., nan]])
    """
    rows = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    parts = [function(lengths[chosen[0]], chosen) for chosen in rows]
    longest = max(parts, key=lambda part: part.shape[-1] if part.ndim > 1 else 0)
    fill = np.nan if longest.dtype.kind == "f" else -1
    whole = np.full((len(lengths), *longest.shape[1:]), fill, dtype=longest.dtype)
    for chosen, part in zip(rows, parts, strict=True):
        end = part.shape[-1] if part.ndim > 1 else None
        whole[(chosen, ..., slice(end)) if end else chosen] = part
    return whole


def longer_half(series, lengths):
    """Cut the longer half of series to one length.

    Parameters
    ----------
    series : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : ndarray of shape (n_samples,), int, or None
        Their lengths; None is the whole.

    Returns
    -------
    Tensor of shape (n_long, n_channels, n_cut)

    Examples
    --------
    >>> longer_half(torch.ones(3, 1, 9), np.array([9, 2, 5])).shape
    torch.Size([2, 1, 5])
    """
    if lengths is None:
        return series
    ends = torch.as_tensor(lengths)
    median = ends.median()
    return series[ends >= median, :, :median]


def pad_ends(X, length, value=np.nan):
    """Fill the last axis up to a length; ``X`` itself where it has this length.

    Examples
    --------
    >>> pad_ends(np.array([[1, 2]]), 3, value=-1)
    array([[ 1,  2, -1]])
    """
    n_after = length - X.shape[-1]
    if n_after == 0:
        return X
    padding = [(0, 0)] * (X.ndim - 1) + [(0, n_after)]
    return np.pad(X, padding, constant_values=value)


def end_at(X, lengths):
    """Put NaN after the ends of series.

    Examples
    --------
    >>> end_at(np.ones((2, 2)), np.array([2, 1]))
    array([[ 1.,  1.],
           [ 1., nan]])
    """
    is_over = np.arange(X.shape[-1]) >= lengths[:, None]
    return np.where(np.expand_dims(is_over, tuple(range(1, X.ndim - 1))), np.nan, X)


def to_length(X, length, name):
    """Pad series by NaN up to a length, or cut what is only padding.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series.
    length : int
        Timepoints that they get.
    name : str
        What takes no longer ones, for the error.

    Returns
    -------
    ndarray of shape (n_samples, ..., length)

    Raises
    ------
    ValueError
        When a series has no value, or is longer.

    Examples
    --------
    >>> to_length(np.array([[1.0, np.nan, np.nan]]), 2, "VAE")
    array([[ 1., nan]])
    """
    lengths = observed_lengths(X)
    if (lengths > length).any():
        raise ValueError(
            f"X has a series of {lengths.max()} timepoints in row {lengths.argmax()}, "
            f"but {name} is expecting at most {length}, as in fit."
        )
    return pad_ends(X[..., :length], length)


def until_ends(series, lengths):
    """Put all values until the series' ends into one series.

    Parameters
    ----------
    series : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : ndarray of shape (n_samples,), int
        Their lengths.

    Returns
    -------
    Tensor of shape (1, n_channels, n_values)

    Examples
    --------
    >>> until_ends(torch.tensor([[[1, 2]], [[3, 3]]]), np.array([2, 1]))
    tensor([[[1, 2, 3]]])
    """
    ends = torch.from_numpy(lengths).to(series.device)
    known = torch.arange(series.shape[2], device=series.device) < ends[:, None]
    return series.movedim(1, 2)[known].T.unsqueeze(0)


def channel_moments(series, lengths=None):
    """Compute mean and deviation of every channel up to the series' ends.

    Parameters
    ----------
    series : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : ndarray of shape (n_samples,), int, default=None
        Their lengths; None is the whole.

    Returns
    -------
    mean, scale : Tensor of shape (n_channels, 1), float64
        The scale is guarded as in :func:`~sktsrep.functional.channel_scale`.

    Examples
    --------
    >>> mean, scale = channel_moments(torch.tensor([[[1.0, 3.0]], [[5.0, 9.0]]]))
    >>> mean.item(), round(scale.item(), 3)
    (4.5, 2.958)
    """

    def mean_of(function):
        total = n_values = 0
        for rows in row_blocks(len(series)):
            x = series[rows]
            known = x if lengths is None else until_ends(x, lengths[rows])
            total = total + function(known.double()).sum(dim=(0, 2))
            n_values += known.shape[0] * known.shape[2]
        return (total / n_values).unsqueeze(1)

    mean = mean_of(lambda x: x)
    scale = mean_of(lambda x: (x - mean).square()).sqrt()
    return mean, guarded_scale(scale, mean, series.dtype)


def interpolate(X, mask, level=0.0):
    """Replace missing values by straight lines, or by a level where all are missing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series.
    mask : ndarray of bool of the same shape
        True where a value is missing.
    level : float or ndarray of shape (n_channels,), default=0.0
        One for all channels, or for each.

    Returns
    -------
    ndarray of the same shape

    Examples
    --------
    >>> interpolate(np.array([[1.0, np.nan, 3.0]]), np.array([[False, True, False]]))
    array([[1., 2., 3.]])
    """
    rows = np.where(mask, np.nan, X).reshape(-1, X.shape[-1])
    lines = pd.DataFrame(rows, dtype=float).interpolate(axis=1, limit_direction="both")
    lines = lines.to_numpy().reshape(len(X), -1, X.shape[-1])
    lines = np.where(np.isnan(lines), np.reshape(level, (-1, 1)), lines)
    return lines.astype(X.dtype).reshape(X.shape)


def closest(X, mask, fillings):
    """Choose, for every series, the filling that is closest to its known values.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ..., n_timepoints)
        Series without NaN.
    mask : ndarray of bool of the same shape
        True where a value is missing.
    fillings : ndarray of shape (n_candidates, n_samples, ..., n_timepoints)
        Candidates.

    Returns
    -------
    ndarray of the same shape
        The fillings with the least squared difference, every channel in units of its
        variance.

    Examples
    --------
    >>> X, mask = np.array([[0.0, 2.0, 0.0]]), np.array([[False, False, True]])
    >>> closest(X, mask, np.array([[[9.0, 9.0, 7.0]], [[1.0, 2.0, 8.0]]]))
    array([[1., 2., 8.]])
    """
    series = to_tensor(X.reshape(len(X), -1, X.shape[-1]), "cpu").double()
    scale = channel_scale(series, series.mean(dim=(0, 2)).unsqueeze(1)).numpy()
    weight = np.where(mask, 0, 1 / scale.reshape(*X.shape[1:-1], 1))
    missed = np.square(weight * (X - fillings))
    missed = missed.reshape(len(fillings), len(X), -1).sum(axis=-1)
    return fillings[missed.argmin(axis=0), np.arange(len(X))]


def places_of_times(missing, n_places):
    """Find the places of a latent map that tell of missing timepoints.

    Parameters
    ----------
    missing : ndarray of bool of shape (n_samples, n_timepoints)
        True where a value is missing.
    n_places : int
        Places per series.

    Returns
    -------
    ndarray of bool of shape (n_samples, n_places)

    Examples
    --------
    >>> places_of_times(np.array([[True] + 8 * [False]]), 5).astype(int)
    array([[1, 1, 0, 0, 0]])
    """
    # Place i is centered on i / (n_places - 1) of the series and mostly tells of what
    # lies between its neighbors' centers. Convolutions and norms reach further, weakly.
    n_timepoints = missing.shape[1]
    spacing = (n_timepoints - 1) / max(n_places - 1, 1)
    centers = np.arange(n_places) * spacing
    distance = np.abs(np.arange(n_timepoints)[:, None] - centers)
    return (missing.astype(np.int64) @ (distance <= max(spacing, 1))) > 0


def shares_of_time(n_places, n_timepoints):
    """Share of every place that every timepoint gets, (n_places, n_timepoints).

    Shares rise and fall linearly around the middle of a place's stretch, and are
    constant outside of the first and the last middle. They sum to 1 over time.
    """
    stretch = n_timepoints / n_places
    position = (np.arange(n_timepoints) + 0.5) / stretch - 0.5
    position = position.clip(0, n_places - 1)
    distance = np.abs(np.arange(n_places)[:, None] - position)
    shares = np.clip(1 - distance / max(1, 1 / stretch), 0, None)
    return shares / shares.sum(axis=1, keepdims=True)
