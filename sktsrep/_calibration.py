"""From values of a component to log probabilities."""

import math

import numpy as np

__all__ = ["_TailProbability", "mean_nearby"]

# Usual values are mapped by their quantiles, unusual ones by an exponential tail.
_TAIL = 0.1
_QUANTILES = np.linspace(0, 1 - _TAIL, 91)

# A tail is no steeper than one nat per this much.
_LEAST_SCALE = 1e-2

# Logarithms start at this share of the mean value.
_LEAST_VALUE = 1e-3

# Errors of timepoints are averaged over this share of a series on either side: single
# errors are large by chance, anomalies last.
_NEARBY = 1 / 16


class _TailProbability:
    """Log probability that values of a distribution are at least as large.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Drawn from the distribution.
    logarithmic : bool
        Whether the tail is exponential in the logarithm of (non-negative) values.

    Examples
    --------
    >>> values = np.random.default_rng(0).exponential(size=10_000)
    >>> tail = _TailProbability(values, logarithmic=False)
    >>> tail(np.array([1.0, 10.0])).round(1)
    array([ -1., -10.])
    """

    def __init__(self, values, logarithmic):
        self.least = None
        if logarithmic:
            tiny = np.finfo(float).tiny
            self.least = max(_LEAST_VALUE * float(values.mean()), tiny)
        values = self._transformed(values)
        self.knots = np.quantile(values, _QUANTILES)
        start = self.knots[-1]
        excess = (
            (values[values > start] - start).mean() if (values > start).any() else 0
        )
        # Few values make a tail by chance too steep: at least as wide as the rest.
        rest = (start - np.median(values)) / math.log(0.5 / _TAIL)
        self.scale = max(float(excess), float(rest), _LEAST_SCALE)

    def _transformed(self, values):
        if self.least is None:
            return values
        return np.log(np.maximum(values, self.least))

    def __call__(self, values):
        values = self._transformed(values)
        usual = np.interp(values, self.knots, np.log(1 - _QUANTILES))
        return usual - np.maximum(values - self.knots[-1], 0) / self.scale


def mean_nearby(values):
    """Average values over an eighth of the series around every timepoint.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timepoints)
        Values; NaN stays and does not count.

    Returns
    -------
    ndarray of the same shape

    Examples
    --------
    >>> mean_nearby(np.eye(1, 32)).round(2)[0, :4]
    array([0.33, 0.25, 0.2 , 0.  ])
    """
    n_timepoints = values.shape[1]
    n_nearby = int(_NEARBY * n_timepoints)
    missing = np.isnan(values)
    margins = ((0, 0), (n_nearby, n_nearby))
    known = np.pad(~missing, margins)
    padded = np.pad(np.where(missing, 0, values), margins)
    # Running sums would lose small errors after a huge one.
    nearby = [slice(i, i + n_timepoints) for i in range(2 * n_nearby + 1)]
    total = sum(padded[:, time] for time in nearby)
    mean = total / np.maximum(sum(known[:, time].astype(int) for time in nearby), 1)
    return np.where(missing, np.nan, mean)
