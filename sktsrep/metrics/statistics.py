"""Distances between statistics of real and generated series."""

import math

import numpy as np
from scipy import stats

from sktsrep._validation import check_positive_int
from sktsrep.metrics._checks import check_pair, exponent_of, flatten, varies
from sktsrep.metrics.distances import estimate

__all__ = [
    "autocorrelation_difference",
    "correlational_score",
    "kurtosis_difference",
    "marginal_difference",
    "roughness_ratio",
    "skewness_difference",
]

# What rounding leaves, relative to the squares of the values, with a wide margin: of
# the variance of constant series, and of the roughness of straight lines.
_ROUNDING_OF_VARIANCE = 1e-12
_ROUNDING_OF_ROUGHNESS = 1e-28

_SCALE_OF_CORRELATIONS = 10  # of published sums


def marginal_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Compute the mean Wasserstein distance between the values at each timepoint.

    Lower is better.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series. NaN and unequal lengths: see :func:`evaluate_samples`.
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
        Series of at least two timepoints. NaN and unequal lengths: see
        :func:`evaluate_samples`.
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
    if not varies(real, 0).any():
        raise ValueError("All real series are equal, so they have no higher moments.")
    if not varies(generated, 0)[varies(real, 0)].all():
        raise ValueError(
            "All generated series are equal at a timepoint where real series vary, so "
            "they have no higher moments there."
        )

    def distance(a, b):
        # One random half of a floor may be constant where the other is not.
        both = varies(a, 0) & varies(b, 0)
        gap = moment(a[:, both], axis=0) - moment(b[:, both], axis=0)
        return np.abs(gap).mean() if both.any() else 0.0

    return estimate(distance, real, generated, return_floor, random_state)


def skewness_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Compute the mean absolute difference of skewness over timepoints.

    Lower is better.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, at least two on each side. Timepoints at which all real series are equal
        are left out. NaN and unequal lengths: see :func:`evaluate_samples`.
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
        are left out. NaN and unequal lengths: see :func:`evaluate_samples`.
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


def _channel_correlations(series, name):
    """Correlate all channels (n_channels, n_channels) over series and timepoints."""
    series = np.ldexp(series, -exponent_of(series, axis=(0, 2)))
    if not varies(series, (0, 2)).all():
        raise ValueError(
            f"All {name} are constant and equal in one channel, so it has no "
            "correlations."
        )
    return np.corrcoef(series.swapaxes(0, 1).reshape(series.shape[1], -1))


def correlational_score(X_real, X_generated):
    r"""Compare the correlations of all pairs of channels; lower is better.

    .. math:: \frac{1}{10} \sum_{i \ge j} |r_{ij} - g_{ij}|

    with the correlations :math:`r_{ij}` of channels i and j over all values of the real
    series, at the same timepoint, and :math:`g_{ij}` of the generated ones.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_channels, n_timepoints)
        Series of at least two channels. NaN and unequal lengths: see
        :func:`evaluate_samples`.

    Returns
    -------
    float
        0 or more, without unit. It grows with the number of pairs of channels, so that
        figures of different data sets cannot be compared.

    Raises
    ------
    ValueError
        If there is one channel only, or a channel is constant over all series.

    Notes
    -----
    Published scores are means over five subsets of a fifth of the series, drawn with
    replacement [1]_, which makes them larger by the sampling error of these subsets.
    Here all series count, and nothing is drawn.

    References
    ----------
    .. [1] Liao et al. 2020, "Conditional Sig-Wasserstein GANs for time series
       generation", arXiv 2006.05421; the factor and the subsets as in the code of Yuan,
       Qiao 2024, "Diffusion-TS", arXiv 2403.01742.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import correlational_score
    >>> wave = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> X, Y = np.stack([wave, wave], axis=1), np.stack([wave, -wave], axis=1)
    >>> round(correlational_score(X, Y), 6)  # one pair: (1 - -1) / 10
    0.2
    """
    real, generated = check_pair(X_real, X_generated)
    if real.shape[1] < 2:
        raise ValueError(
            "A correlational score needs series of at least two channels, got one."
        )
    gap = np.tril(
        _channel_correlations(real, "real series")
        - _channel_correlations(generated, "generated series")
    )
    return float(np.abs(gap).sum() / _SCALE_OF_CORRELATIONS)


def _roughness(series, variance):
    """Sum the mean squared second differences of channels, in units of a variance."""
    power = np.square(np.diff(series, n=2, axis=-1)).mean(axis=(0, 2))
    return (power / variance).sum()


def roughness_ratio(X_real, X_generated):
    r"""Divide the roughness of generated series by that of real ones; 1 is right.

    Below 1, generated series are too smooth; above 1, they are too rough. Roughness is
    the mean power of second differences:

    .. math:: R(X) = \sum_c \frac{1}{\sigma_c^2}
              E_{n, t} (x_{n, c, t + 1} - 2 x_{n, c, t} + x_{n, c, t - 1})^2

    with the standard deviation :math:`\sigma_c` of channel c of the real series.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series of at least three timepoints. Channels in which all real series are
        constant and equal are left out. NaN and unequal lengths: see
        :func:`evaluate_samples`.

    Returns
    -------
    float
        0 or more, without unit.

    Raises
    ------
    ValueError
        If the series have fewer than three timepoints, or the real ones are straight
        lines.

    Notes
    -----
    It is a mean over all series: smooth ones and rough ones may cancel out. White noise
    that is added to generated series with a standard deviation of s units of
    :math:`\sigma_c` adds 6 s^2 to each term of R, so the ratio sees small errors of
    fine detail in smooth data that other statistics miss.

    References
    ----------
    The roughness penalty of smoothing splines, in discrete time: Green, Silverman 1994,
    "Nonparametric regression and generalized linear models", section 1.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import roughness_ratio
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> [round(roughness_ratio(X, Y), 6) for Y in (X, 0.5 * X, 0 * X)]
    [1.0, 0.25, 0.0]
    """
    real, generated = check_pair(X_real, X_generated)
    if real.shape[-1] < 3:
        raise ValueError(
            "Second differences need series of at least three timepoints, got "
            f"{real.shape[-1]}."
        )
    exponent = exponent_of(real, axis=(0, 2))
    with np.errstate(over="ignore", invalid="ignore"):  # the result is checked
        real, generated = (np.ldexp(x, -exponent) for x in (real, generated))
        kept = varies(real, (0, 2))
        real, generated = real[:, kept], generated[:, kept]
        variance = real.var(axis=(0, 2))
        expected, power = (_roughness(x, variance) for x in (real, generated))
    rounding = (np.square(real).mean(axis=(0, 2)) / variance).sum()
    if expected <= _ROUNDING_OF_ROUGHNESS * rounding:
        raise ValueError(
            "All real series are straight lines or constant, so they have no roughness."
        )
    ratio = float(power / expected)
    if not math.isfinite(ratio):
        raise ValueError(
            "X_generated has values that are too large beside those of X_real: rescale "
            "X_generated."
        )
    return ratio
