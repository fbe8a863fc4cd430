"""Gaps and futures of series, drawn token by token."""

import functools

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array

from sktsrep._gaps import closest, observed_lengths, pad_ends
from sktsrep._inputs import as_array_like
from sktsrep._validation import check_mask, check_positive_int, validate_series

__all__ = ["ImputationMixin"]


class ImputationMixin:
    """What samplers can do that draw any tokens given any others."""

    def impute(
        self,
        X,
        mask=None,
        y=None,
        *,
        n_candidates=8,
        n_draws=1,
        return_std=False,
        random_state=None,
    ):
        """Fill in missing parts of series with parts that fit the rest.

        Tokens are sampled given those of what is observed, and what is decoded is moved
        by what it misses of the observed values [1]_.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series; missing values may be NaN, also at the ends, which are filled like
            other gaps. Needs a tokenizer and no spectrograms.
        mask : array-like of bool of the same shape, default=None
            True where a value is missing; None is where ``X`` is NaN.
        y : label or array-like of shape (n_samples,), default=None
            Class of all, or of each; None for the distribution without classes.
        n_candidates : int, default=8
            Draws per filling, among which the one closest to the known values is kept.
        n_draws : int, default=1
            Fillings whose mean is given. One is a way in which the series may go on;
            the mean of several has a smaller squared error, but is too smooth.
        return_std : bool, default=False
            Whether to also give the standard deviation of the fillings, 0 where values
            are known; needs ``n_draws`` of at least 2.
        random_state : int, RandomState instance, Generator or None, default=None
            Decides the filling; None takes the estimator's.

        Returns
        -------
        filled : ndarray or DataFrame
            The series; values that are not missing are exactly those given. A data
            frame where ``X`` is one.
        std : ndarray or DataFrame of the same shape
            Only with ``return_std``.

        See Also
        --------
        sktsrep.imputation.GaussianImputer : Has the smaller error, and draws nothing.

        Notes
        -----
        Every second of several draws is a whole new series: no token counts as known,
        and it meets the observed values by being moved alone. A network knows its
        training series well and is too sure how others go on, so intervals would be
        too narrow without such draws.

        Gaps of recordings of any length are filled by
        :meth:`sktsrep.Windows.fill_gaps`.

        References
        ----------
        .. [1] Matheron's rule: Wilson et al. 2020, "Efficiently sampling functions from
           Gaussian process posteriors", arXiv 2002.09309, equation 4.
        """
        self._check_series("impute")
        if y is None:
            self._check_class_free("impute")
        self._check_guidance()
        check_positive_int(n_candidates, "n_candidates")
        check_positive_int(n_draws, "n_draws")
        if return_std and n_draws < 2:
            raise ValueError("return_std=True needs n_draws of at least 2.")
        frame = X if isinstance(X, pd.DataFrame) else None
        X = validate_series(self, X, reset=False, allow_nan=True, pad=True)
        mask = np.isnan(X) if mask is None else check_mask(mask, X)
        classes = self._given_classes(len(X), y)
        filled, std = np.array(X), np.zeros_like(X)
        rows = np.flatnonzero(mask.reshape(len(X), -1).any(axis=1))
        if len(rows):
            _, generator = self._generators(random_state)
            gaps = X[rows], mask[rows], classes[rows]
            are_free = _are_free(n_draws)[:, None]
            draws = self._fill(*gaps, are_free, n_candidates, generator)
            filled[rows] = draws[0] if n_draws == 1 else np.mean(draws, axis=0)
            std[rows] = np.std(draws, axis=0)
            # A mean of equal numbers is off by rounding.
            filled[~mask], std[~mask] = X[~mask], 0
        if frame is not None:
            axes = {"index": frame.index, "columns": frame.columns}
            filled, std = (pd.DataFrame(part, **axes) for part in (filled, std))
        return (filled, std) if return_std else filled

    def _fill(self, X, mask, classes, are_free, n_candidates, generator):
        """Series with draws in their gaps, (n_draws, *X.shape).

        ``are_free`` tells which draws take no token as known: (n_draws, n_samples), or
        (n_draws, 1) for all series alike.
        """
        likely, std = self.imputer_.impute(X, mask, return_std=True)
        tokens, unknown = self._encode(likely), self._unknown_tokens(mask)
        draw = functools.partial(self._generate, generator=generator)
        drawn = []
        for is_free in are_free:
            rows = tokens, unknown | is_free[:, None], classes
            draws = [self._apply_in_chunks(draw, *rows) for _ in range(n_candidates)]
            series = np.stack([self.tokenizer_.decode(draw.numpy()) for draw in draws])
            drawn.append(closest(likely, mask, series))
        return self._meet(likely, std, mask, np.stack(drawn))

    def forecast(
        self,
        X,
        horizon,
        y=None,
        *,
        n_candidates=1,
        n_draws=20,
        quantiles=None,
        random_state=None,
    ):
        """Draw how series go on.

        The end of a series is filled in like a gap, at most half as long as the series
        of ``fit`` at a time, by draws as in :meth:`impute`. Further steps follow from
        those that were drawn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_known) or (n_samples, n_channels, n_known)
            Series of any length, which may have gaps. The last values count: no more
            than a series of ``fit`` has. A list may hold series of unequal length,
            each of which is continued from its own end.
        horizon : int
            Timepoints to forecast.
        y : label or array-like of shape (n_samples,), default=None
            Class of all, or of each; None for the distribution without classes.
        n_candidates : int, default=1
            Draws per step, among which the one closest to the known values is kept.
        n_draws : int, default=20
            Futures that are drawn per series.
        quantiles : array-like of shape (n_quantiles,), default=None
            Quantiles of the draws to give, between 0 and 1; None is their mean.
        random_state : int, RandomState instance, Generator or None, default=None
            Decides the draws; None takes the estimator's.

        Returns
        -------
        ndarray of shape (n_samples, horizon) or (n_samples, n_channels, horizon)
            Mean of the draws; with quantiles, an array with one such part for each.

        Examples
        --------
        >>> import numpy as np
        >>> from sktsrep.samplers import MaskGITSampler
        >>> from sktsrep.tokenizers import SSLVQTokenizer
        >>> X = np.sin(np.arange(48) / 3 + np.arange(20)[:, None])
        >>> tokenizer = SSLVQTokenizer(hidden_dim=8, max_epochs=2)
        >>> sampler = MaskGITSampler(tokenizer, hidden_dim=8, max_epochs=2).fit(X)
        >>> sampler.forecast(X, horizon=30).shape
        (20, 30)
        >>> sampler.forecast(X[:3], horizon=5, quantiles=[0.1, 0.9]).shape
        (2, 3, 5)
        """
        self._check_series("forecast")
        if y is None:
            self._check_class_free("forecast")
        self._check_guidance()
        check_positive_int(horizon, "horizon")
        check_positive_int(n_candidates, "n_candidates")
        check_positive_int(n_draws, "n_draws")
        levels = None if quantiles is None else _check_quantiles(quantiles)
        X = self._latest(X)
        classes = np.repeat(self._given_classes(len(X), y), n_draws)
        path = np.repeat(X, n_draws, axis=0)
        are_free = np.tile(_are_free(n_draws), (1, len(X)))
        _, generator = self._generators(random_state)
        length = X.shape[-1]
        most_new = max(length // 2, 1)
        futures = []
        for start in range(0, horizon, most_new):
            n_new = min(most_new, horizon - start)
            path = pad_ends(path[..., n_new:], length)
            gaps = path, np.isnan(path), classes
            (path,) = self._fill(*gaps, are_free, n_candidates, generator)
            futures.append(path[..., length - n_new :])
        draws = np.concatenate(futures, axis=-1)
        draws = draws.reshape(len(X), n_draws, *draws.shape[1:])
        if levels is None:
            return draws.mean(axis=1)
        return np.quantile(draws, levels, axis=1).astype(X.dtype)

    def _latest(self, X):
        """The last values of series of any length, as many as ``fit`` saw.

        Before the beginning of a series, there is NaN.
        """
        X = as_array_like(X, "X", pad=True)
        X = list(X.to_numpy() if isinstance(X, pd.DataFrame) else X)
        X = validate_series(self, X, reset=False, allow_nan=True, any_length=True)
        n_timepoints = self.sample_shape_[-1]
        first = observed_lengths(X) - n_timepoints
        times = first[:, None] + np.arange(n_timepoints)
        times = times.reshape(len(X), *(1 for _ in X.shape[1:-1]), n_timepoints)
        latest = np.take_along_axis(X, times.clip(0, X.shape[-1] - 1), axis=-1)
        return np.where(times >= 0, latest, np.nan).astype(X.dtype)


def _are_free(n_draws):
    """Which draws take no token as known: every second, so that they spread enough."""
    return np.arange(n_draws) % 2 == 1


def _check_quantiles(quantiles):
    levels = np.asarray(quantiles)
    if levels.ndim == 1:
        levels = check_array(levels, ensure_2d=False, input_name="quantiles")
    if levels.ndim != 1 or levels.min() < 0 or levels.max() > 1:
        raise ValueError(
            f"quantiles must be a list of numbers between 0 and 1, got {quantiles!r}."
        )
    return levels
