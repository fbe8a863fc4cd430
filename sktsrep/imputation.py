"""Missing values from observed ones: the conditional mean of a Gaussian process."""

from numbers import Real

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

from sktsrep._fit import all_or_nothing
from sktsrep._gaps import end_at, observed_lengths
from sktsrep._validation import check_mask, check_n_axes, validate_series
from sktsrep._versions import VersionedMixin

__all__ = ["GaussianImputer"]

# Covariances are learned from at most so many series, and so many values.
_MOST_SERIES = 4096
_MOST_VALUES = 2**21

# Sizes of what is learned: lags, numbers in lags of all pairs of channels, and
# components of the covariance between timepoints.
_MOST_LAGS = 512
_MOST_COVARIANCES = 2**20
_MOST_COMPONENTS = 512

# Half of the stationary covariance is separable. Held-out windows of ETTh1 are most
# likely at 0.5 to 0.8.
_SEPARABLE_SHARE = 0.5

# The prior weight is the best of these for held-out series, of which so many values are
# judged. One series alone is filled as if there were a hundred others.
_PRIOR_WEIGHTS = np.logspace(0, 6, 13)
_MOST_JUDGED = 512
_N_FOLDS = 5
_WEIGHT_FOR_ONE = 100.0

# Missing values follow from so many observed ones, the nearest in time. Of series that
# have more, so many missing ones are computed together, because they lie together.
_NEAREST = 1024
_AT_ONCE = 128


class GaussianImputer(
    VersionedMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Fill in missing values by what the observed ones make most likely.

    Series are taken as draws of one Gaussian process, with covariances between all
    channels and timepoints. A missing value is the mean given the observed values of
    its series [1]_, before and after, in all channels. There is no network: it takes
    seconds.

    Two covariances are mixed. The first is stationary, as in recordings: a level per
    series that is constant in time, and a process around it whose covariance depends
    on the lag alone. A few series suffice for it. Half of it is separable [2]_: all
    channels have the same correlation in time, so a channel that is missing as a whole
    follows from the others at the same timepoints. The second is the covariance between
    timepoints as the series have it. It knows of shapes that are at the same place in
    all series, and needs many.

    Parameters
    ----------
    prior_weight : float or "auto", default="auto"
        So many series the stationary covariance counts as. "auto" chooses, from 1 to
        1,000,000, what makes held-out series of ``fit`` most likely: a fifth at a time,
        neighbors together, because windows of recordings overlap. Set it where series
        are sorted by class: about 10 where their shapes are aligned, as heartbeats
        are, and 10,000 for windows of recordings.
    noise : float, default=1e-3
        Variance of the noise in observed values, as a share of their channel's
        variance. More noise gives smoother fillings.

    Attributes
    ----------
    mean_, deviation_ : ndarray of shape (n_channels, 1)
        Moments of the observed values.
    level_covariance_ : ndarray of shape (n_channels, n_channels)
        Covariance of the series' means, after standardizing.
    lag_covariance_ : ndarray of shape (2 * n_lags - 1, n_channels, n_channels)
        Stationary covariance of a channel with another one ``lag`` timepoints later,
        for lags from ``1 - n_lags`` to ``n_lags - 1``. Longer lags have none.
    components_ : ndarray of shape (n_components, n_channels, n_timepoints)
        The sum of their outer products is the covariance between timepoints.
    stationary_share_ : float
        Share of the stationary covariance in the mixture.
    prior_weight_ : float
        The prior weight that was used.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    See Also
    --------
    MaskGITSampler : Draws fillings that look like series, with all their detail.
    Windows : Fills gaps of recordings, of any length.

    References
    ----------
    .. [1] Rasmussen, Williams 2006, "Gaussian processes for machine learning",
       equations 2.25 and 2.26.
    .. [2] Bonilla, Chai, Williams 2007, "Multi-task Gaussian process prediction",
       equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.imputation import GaussianImputer
    >>> X = np.sin(np.arange(40) / 3 + np.arange(20)[:, None])
    >>> gaps = X.copy()
    >>> gaps[:, 10:15] = np.nan
    >>> filled = GaussianImputer().fit(gaps).transform(gaps)
    >>> bool(np.abs(filled - X).max() < 0.1)
    True
    """

    _parameter_constraints = {
        "prior_weight": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "noise": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, prior_weight="auto", *, noise=1e-3):
        self.prior_weight = prior_weight
        self.noise = noise

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    # ------------------------------------------------------------------- learning

    @all_or_nothing
    def fit(self, X, y=None):
        """Learn the covariances.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series, which may have gaps; those without a value tell nothing. A list may
            hold series of unequal length.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        X = validate_series(self, X, reset=True, allow_nan=True)
        check_n_axes(X, type(self).__name__, 3)
        if np.isnan(X).all():
            raise ValueError("X has no observed value.")
        n_most = min(_MOST_SERIES, max(_MOST_VALUES // X[0].size, 1))
        rows = np.linspace(0, len(X) - 1, min(n_most, len(X))).round().astype(int)
        n_observed = observed_lengths(X[~np.isnan(X).reshape(len(X), -1).all(axis=1)])
        series = _with_channels(X[rows, ..., : n_observed.max()]).astype(float)
        self._fit_moments(series)
        series = (series - self.mean_) / self.deviation_
        self._fit_stationary(series)
        self._fit_components(series)
        return self

    def _fit_moments(self, X):
        n_values = np.maximum((~np.isnan(X)).sum(axis=(0, 2)), 1)[:, None]
        self.mean_ = np.nansum(X, axis=(0, 2))[:, None] / n_values
        around = np.nansum(np.square(X - self.mean_), axis=(0, 2))[:, None]
        deviation = np.sqrt(around / n_values)
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)

    def _fit_stationary(self, series):
        """Learn the covariances of levels and lags of standardized series."""
        n_samples, n_channels, n_timepoints = series.shape
        known = ~np.isnan(series)
        level = np.nansum(series, axis=2) / np.maximum(known.sum(axis=2), 1)
        levels = level.T @ level / n_samples
        rest = np.where(known, series - level[:, :, None], 0)
        n_lags = min(
            n_timepoints, _MOST_LAGS, max(_MOST_COVARIANCES // n_channels**2, 1)
        )
        lags = np.empty((2 * n_lags - 1, n_channels, n_channels))
        # Twice as long, so that the ends do not meet.
        waves = np.fft.rfft(rest, 2 * n_timepoints, axis=2)
        for channel in range(n_channels):
            cross = np.einsum("nf,nbf->bf", waves[:, channel].conj(), waves)
            by_lag = np.roll(np.fft.irfft(cross, axis=1), n_lags - 1, axis=1)
            lags[:, channel] = by_lag.T[: 2 * n_lags - 1]
        # Dividing long lags by as much as short ones keeps the estimate positive; so
        # does fading.
        lags /= max(known.sum() / n_channels, 1)
        if n_lags < n_timepoints:
            lags *= np.bartlett(2 * n_lags + 1)[1:-1, None, None]
        total = levels + lags[n_lags - 1]
        self.level_covariance_ = _half_separable(levels, total)
        self.lag_covariance_ = _half_separable(lags, total)

    def _fit_components(self, series):
        """Learn the covariance between timepoints of standardized series."""
        shape = series.shape[1:]
        self.components_ = np.zeros((0, *shape))
        self.stationary_share_ = 1.0
        missing = np.isnan(series)
        if missing.any():
            series, _ = self._fill(series, missing)
        self.prior_weight_ = self.prior_weight
        if self.prior_weight == "auto":
            self.prior_weight_ = self._best_weight(series, missing)
        rows = series.reshape(len(series), -1) / np.sqrt(len(series))
        total = np.square(rows).sum()
        if len(rows) > rows.shape[1]:
            rows = np.linalg.qr(rows, mode="r")  # has the same products
        if len(rows) > _MOST_COMPONENTS:
            _, sizes, rows = randomized_svd(rows, _MOST_COMPONENTS, random_state=0)
            rows *= sizes[:, None]
        share = len(series) / (len(series) + self.prior_weight_)
        kept = np.square(rows).sum() / total if total > 0 else 1.0
        self.components_ = np.sqrt(share) * rows.reshape(-1, *shape)
        # What the components leave out is stationary, too.
        self.stationary_share_ = float(1 - share * kept)

    def _best_weight(self, series, missing):
        """Prior weight that makes held-out standardized series most likely."""
        _, n_channels, n_timepoints = series.shape
        n_channels = min(n_channels, _MOST_JUDGED // 2)
        n_judged = min(n_timepoints, _MOST_JUDGED // n_channels)
        cells = np.indices((n_channels, n_judged)).reshape(2, -1)
        cells[1] += (n_timepoints - n_judged) // 2
        values = series[:, *cells]
        complete = ~missing[:, *cells].any(axis=1)
        if complete.sum() >= _N_FOLDS:  # what was filled in is too likely
            values = values[complete]
        if len(values) == 1:
            return _WEIGHT_FOR_ONE
        stationary = self._covariance(cells, cells)
        stationary[np.diag_indices(len(stationary))] += self.noise
        surprise = np.zeros(len(_PRIOR_WEIGHTS))
        for train, test in KFold(min(len(values), _N_FOLDS)).split(values):
            among = values[train].T @ values[train] / len(train)
            # In these axes, both covariances are diagonal, at every share of them.
            ratios, axes = eigh(among, stationary)
            share = len(train) / (len(train) + _PRIOR_WEIGHTS[:, None])
            variances = share * ratios + 1 - share
            squares = np.square(values[test] @ axes).mean(axis=0) / variances
            surprise += len(test) * (np.log(variances) + squares).sum(axis=1)
        return float(_PRIOR_WEIGHTS[surprise.argmin()])

    # -------------------------------------------------------------------- filling

    def transform(self, X):
        """Fill in the gaps of series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series; NaN means missing or, after the end of a series, not there.

        Returns
        -------
        ndarray
            The series, in their float dtype. Only what is not there is still NaN.
        """
        check_is_fitted(self)
        X = validate_series(self, X, reset=False, allow_nan=True, pad=True)
        filled, _ = self._impute(X, np.isnan(X))
        lengths = observed_lengths(X)
        return filled if (lengths == X.shape[-1]).all() else end_at(filled, lengths)

    def impute(self, X, mask=None, *, return_std=False):
        """Fill in all missing values, also after the end of a series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series; missing values may be NaN.
        mask : array-like of bool of the same shape, default=None
            True where a value is missing; None is where ``X`` is NaN.
        return_std : bool, default=False
            Whether to also give the standard deviation of what was filled in.

        Returns
        -------
        filled : ndarray of the same shape
            The series; values that are not missing are exactly those given.
        std : ndarray of the same shape
            Only with ``return_std``: what the observed values leave open, 0 where a
            value is known. 95 % of the values lie within two deviations if series are
            Gaussian.
        """
        check_is_fitted(self)
        X = validate_series(self, X, reset=False, allow_nan=True, pad=True)
        mask = np.isnan(X) if mask is None else check_mask(mask, X)
        filled, std = self._impute(X, mask)
        return (filled, std) if return_std else filled

    def _impute(self, X, mask):
        series, missing = _with_channels(X), _with_channels(mask)
        z = (np.where(missing, 0, series) - self.mean_) / self.deviation_
        z, variance = self._fill(z, missing)
        filled = np.where(missing, z * self.deviation_ + self.mean_, series)
        std = np.sqrt(variance) * self.deviation_
        return [part.astype(X.dtype).reshape(X.shape) for part in (filled, std)]

    def _fill(self, z, missing):
        """Standardized series without gaps, and the variance of what was filled in."""
        filled, variance = z.copy(), np.zeros(z.shape)
        patterns = np.packbits(missing.reshape(len(z), -1), axis=1)
        _, first, pattern = np.unique(
            patterns, axis=0, return_index=True, return_inverse=True
        )
        for number, row in enumerate(first):
            rows = np.flatnonzero(pattern.ravel() == number)
            for cells, observed in _neighborhoods(missing[row]):
                weights, left_open = self._weights(cells, observed)
                # By einsum: a matrix product's rounding depends on the number of rows.
                means = np.einsum("no,om->nm", z[rows][:, *observed], weights)
                filled[rows[:, None], *cells] = means
                variance[rows[:, None], *cells] = left_open
        return filled, variance

    def _weights(self, missing, observed):
        """Weights of observed cells for missing ones, and the variance left open."""
        among = self._covariance(observed, observed)
        among[np.diag_indices(len(among))] += self.noise
        between = self._covariance(observed, missing)
        weights = cho_solve(cho_factor(among), between) if len(among) else between
        channels, times = missing
        stationary = self.level_covariance_ + self.lag_covariance_[self._n_lags - 1]
        total = self.stationary_share_ * stationary[channels, channels]
        total += np.square(self._components_at(channels, times)).sum(axis=0)
        return weights, (total - (between * weights).sum(axis=0)).clip(min=0)

    def _components_at(self, channels, times):
        """Components of cells; what follows the longest series is like its end."""
        last = self.components_.shape[2] - 1
        return self.components_[:, channels, times.clip(max=last)]

    @property
    def _n_lags(self):
        return (len(self.lag_covariance_) + 1) // 2

    def _covariance(self, cells, others):
        """Covariances of cells, which are their channels and times, with others."""
        (channels, times), (other_channels, other_times) = cells, others
        lags = other_times - times[:, None]
        pairs = channels[:, None], other_channels
        most = self._n_lags - 1
        near = self.lag_covariance_[lags.clip(-most, most) + most, *pairs]
        near = np.where(np.abs(lags) <= most, near, 0)
        parts = self._components_at(*cells), self._components_at(*others)
        between = parts[0].T @ parts[1]
        return between + self.stationary_share_ * (self.level_covariance_[pairs] + near)


def _half_separable(covariance, total):
    """Mix covariances (..., n_channels, n_channels) with separable ones.

    The latter are the covariance ``total`` at one timepoint, times the share of its
    variances that the others have.
    """
    variance = np.trace(total)
    shares = np.trace(covariance, axis1=-2, axis2=-1) / (variance if variance else 1)
    separable = np.multiply.outer(shares, total)
    return covariance + _SEPARABLE_SHARE * (separable - covariance)


def _with_channels(X):
    return X[:, None] if X.ndim == 2 else X


def _neighborhoods(missing):
    """Pairs of missing cells and of the observed cells that tell of them.

    ``missing`` has shape (n_channels, n_timepoints).
    """
    times, channels = np.nonzero(~missing.T)  # in the order of time
    missing_times, missing_channels = np.nonzero(missing.T)
    is_long = len(times) > _NEAREST
    size = _AT_ONCE if is_long else missing.size
    for start in range(0, len(missing_times), size):
        part = slice(start, start + size)
        wanted = missing_times[part]
        near = slice(None)
        if is_long:
            after = np.searchsorted(wanted, times).clip(max=len(wanted) - 1)
            before = (after - 1).clip(min=0)
            distance = np.minimum(*(np.abs(wanted[i] - times) for i in (before, after)))
            near = np.sort(np.argsort(distance, kind="stable")[:_NEAREST])
        yield (missing_channels[part], wanted), (channels[near], times[near])
