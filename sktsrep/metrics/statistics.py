"""Distances between statistics of real and generated series."""

import numpy as np
from scipy import stats

from sktsrep._validation import check_positive_int
from sktsrep.metrics._checks import check_pair, exponent_of, flatten
from sktsrep.metrics.distances import estimate

__all__ = [
    "autocorrelation_difference",
    "kurtosis_difference",
    "marginal_difference",
    "skewness_difference",
]

# What rounding leaves of constant series, relative to their size, with a wide margin:
# of their variance, and of their range.
_ROUNDING_OF_VARIANCE = 1e-12
_ROUNDING_OF_RANGE = 1e-9


def marginal_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Compute the mean Wasserstein distance between the values at each timepoint.

    Lower is better.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor.

    Returns
    -------
    float or DistanceEstimate
        0 or more, in the unit of the data.

    Notes
    -----
    TSGBench's marginal distribution difference has the same purpose but uses bins, so
    its figures cannot be compared with these.

    References
    ----------
    Ang et al. 2023, "TSGBench", arXiv 2309.03755, section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import marginal_difference
    >>> X = np.arange(12.0).reshape(4, 3)
    >>> round(marginal_difference(X, X[::-1] + 2), 6)
    2.0
    """
    real, generated = (flatten(x) for x in check_pair(X_real, X_generated))
    exponent = exponent_of(real, generated)
    real, generated = (np.ldexp(x, -exponent) for x in (real, generated))

    def distance(a, b):
        columns = zip(a.T, b.T, strict=True)
        return np.mean([stats.wasserstein_distance(u, v) for u, v in columns])

    return estimate(distance, real, generated, return_floor, random_state, exponent)


def _autocorrelation(series, n_lags):
    """Compute autocorrelations (n_channels, n_lags) at lags 1 to ``n_lags``."""
    series = np.ldexp(series, -exponent_of(series, axis=(0, 2)))
    centered = series - series.mean(axis=-1, keepdims=True)
    n_timepoints = series.shape[-1]
    spectrum = np.abs(np.fft.rfft(centered, 2 * n_timepoints)) ** 2
    covariance = np.fft.irfft(spectrum.mean(axis=0), 2 * n_timepoints)
    variance = covariance[:, :1]
    scale = np.square(series).mean(axis=(0, 2))[:, None] * n_timepoints
    if (variance <= _ROUNDING_OF_VARIANCE * scale).any():
        raise ValueError(
            "All series are constant in one channel, so it has no autocorrelation."
        )
    return covariance[:, 1 : n_lags + 1] / variance


def autocorrelation_difference(
    X_real, X_generated, *, n_lags=None, return_floor=False, random_state=0
):
    """Compute the mean absolute difference of autocorrelations; lower is better.

    In each channel, the autocovariances of all series are averaged before they are
    divided by the variance, so that nearly constant series do no harm.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series of at least two timepoints.
    n_lags : int, default=None
        Largest lag in timepoints; the lags 1 to ``n_lags`` are compared. None is half
        the length.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor.

    Returns
    -------
    float or DistanceEstimate
        Between 0 and 2.

    Notes
    -----
    TSGBench computes the norm over lags and channels instead of the mean.

    References
    ----------
    Ang et al. 2023, "TSGBench", arXiv 2309.03755, section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import autocorrelation_difference
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> round(autocorrelation_difference(X, 5 - 3 * X), 6)
    0.0
    """
    real, generated = check_pair(X_real, X_generated)
    n_timepoints = real.shape[-1]
    if n_lags is None:
        n_lags = max(n_timepoints // 2, 1)
    check_positive_int(n_lags, "n_lags")
    if not 1 <= n_lags < n_timepoints:
        raise ValueError(
            f"n_lags must be between 1 and n_timepoints - 1 = {n_timepoints - 1}, got "
            f"{n_lags} instead."
        )

    def distance(a, b):
        gap = _autocorrelation(a, n_lags) - _autocorrelation(b, n_lags)
        return np.abs(gap).mean()

    return estimate(distance, real, generated, return_floor, random_state)


def _moment_difference(moment, X_real, X_generated, return_floor, random_state):
    """Compute the mean absolute difference of a moment at each timepoint."""
    pair = [flatten(x) for x in check_pair(X_real, X_generated, 2)]
    real, generated = (np.ldexp(x, -exponent_of(x, axis=0)) for x in pair)
    if not _varies(real).any():
        raise ValueError("All real series are equal, so they have no higher moments.")
    if not _varies(generated)[_varies(real)].all():
        raise ValueError(
            "All generated series are equal at a timepoint where real series vary, so "
            "they have no higher moments there."
        )

    def distance(a, b):
        # One random half of a floor may be constant where the other is not.
        both = _varies(a) & _varies(b)
        gap = moment(a[:, both], axis=0) - moment(b[:, both], axis=0)
        return np.abs(gap).mean() if both.any() else 0.0

    return estimate(distance, real, generated, return_floor, random_state)


def _varies(x):
    """Find the columns whose values differ by more than rounding."""
    return np.ptp(x, axis=0) > _ROUNDING_OF_RANGE * np.abs(x).max(axis=0)


def skewness_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Compute the mean absolute difference of skewness over timepoints.

    Lower is better.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, at least two on each side. Timepoints at which all real series are equal
        are left out.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor.

    Returns
    -------
    float or DistanceEstimate
        0 or more, without unit.

    Notes
    -----
    TSGBench computes one skewness of all values of a channel, which ignores their order
    in time. Here each timepoint has its own skewness.

    References
    ----------
    Ang et al. 2023, "TSGBench", arXiv 2309.03755, section 4.3.

    Examples
    --------
    >>> from sktsrep.metrics import skewness_difference
    >>> X = [[0.0], [0.0], [3.0]]
    >>> round(skewness_difference(X, [[5.0], [8.0], [8.0]]), 4)  # 0.7071 and -0.7071
    1.4142
    """
    return _moment_difference(
        stats.skew, X_real, X_generated, return_floor, random_state
    )


def kurtosis_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Compute the mean absolute difference of kurtosis over timepoints.

    Lower is better.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, at least two on each side. Timepoints at which all real series are equal
        are left out.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor.

    Returns
    -------
    float or DistanceEstimate
        0 or more, without unit.

    Notes
    -----
    As for :func:`skewness_difference`, TSGBench's definition differs. With fewer than a
    few hundred series, kurtosis is mostly chance: look at the floor.

    References
    ----------
    Ang et al. 2023, "TSGBench", arXiv 2309.03755, section 4.3.

    Examples
    --------
    >>> from sktsrep.metrics import kurtosis_difference
    >>> X = [[-1.0], [1.0], [0.0], [0.0]]
    >>> round(kurtosis_difference(X, [[-1.0], [1.0], [-1.0], [1.0]]), 4)  # 2 and 1
    1.0
    """
    return _moment_difference(
        stats.kurtosis, X_real, X_generated, return_floor, random_state
    )
