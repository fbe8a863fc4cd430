"""Features that samples and real series are compared by, and what checks the two."""

import math
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["RandomConvolutionFeatures"]


def check_series(X, name, n_samples=1):
    """Float64 series (n_samples, n_channels, n_timepoints); no NaN, no infinity."""
    X = check_array(
        X,
        dtype=np.float64,
        allow_nd=True,
        ensure_min_samples=n_samples,
        input_name=name,
    )
    if X.ndim > 3:
        raise ValueError(
            f"{name} must be (n_samples, n_timepoints) or (n_samples, n_channels, "
            f"n_timepoints), got shape {X.shape}."
        )
    return X[:, None] if X.ndim == 2 else X


def check_pair(X, Y, n_samples=1, *, names=("X_real", "X_generated")):
    """Two collections of series of one shape."""
    X, Y = (check_series(Z, n, n_samples) for Z, n in zip((X, Y), names, strict=True))
    if X.shape[1:] != Y.shape[1:]:
        raise ValueError(
            f"{names[0]} has series of shape {X.shape[1:]} (channels, timepoints), but "
            f"{names[1]} of shape {Y.shape[1:]}."
        )
    return X, Y


def with_axes_of(X_real, X_generated):
    """Generated series with the axes and the column names, if any, of real ones."""
    if np.ndim(X_generated) != np.ndim(X_real):
        X_generated = np.reshape(X_generated, (-1, *np.shape(X_real)[1:]))
    if isinstance(X_real, pd.DataFrame):
        return pd.DataFrame(np.asarray(X_generated), columns=X_real.columns)
    return X_generated


def draw_samples(sampler, n_samples, y, random_state):
    """Samples, and their classes where the sampler was told them."""
    conditional = len(getattr(sampler, "classes_", ())) > 0
    if y is None or not conditional:
        return sampler.sample(n_samples, random_state=random_state), None
    return sampler.sample(n_samples, y=y, random_state=random_state), y


def flatten(series):
    """(n_samples, ...) -> (n_samples, n_values)."""
    return series.reshape(len(series), -1)


class RandomConvolutionFeatures(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Features without labels or training: random dilated convolutions, pooled.

    Each kernel has 9 Gaussian weights over all channels and a dilation between 1 and
    what the series holds, and gives two features: the mean over time of what exceeds
    its bias (a random quantile of its output on the data of ``fit``), and the maximum,
    after ROCKET [1]_. Features are standardized by the data of ``fit``.

    Parameters
    ----------
    n_kernels : int, default=16
        Kernels; there are twice as many features. A Frechet distance needs several
        series a feature.
    random_state : int, RandomState instance or None, default=0
        Decides the kernels. A fixed number makes distances comparable.

    Attributes
    ----------
    weights_ : ndarray of shape (n_kernels, n_channels, 9)
        Kernels, of unit norm.
    dilations_ : ndarray of shape (n_kernels,)
        Timepoints between neighboring weights.
    biases_ : ndarray of shape (n_kernels,)
        Thresholds.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only when ``X`` has feature names that are all strings.

    References
    ----------
    .. [1] Dempster, Petitjean, Webb 2020, "ROCKET", arXiv 1910.13051.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import RandomConvolutionFeatures
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> RandomConvolutionFeatures().fit_transform(X).shape
    (20, 32)
    """

    _parameter_constraints = {
        "n_kernels": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
    _length = 9

    def __init__(self, n_kernels=16, *, random_state=0):
        self.n_kernels = n_kernels
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Draw the kernels, and learn biases and scales.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        series = self._check(X, reset=True)
        _, n_channels, n_timepoints = series.shape
        rng = check_random_state(self.random_state)
        self._input_mean = series.mean(axis=(0, 2), keepdims=True)
        spread = series.std(axis=(0, 2), keepdims=True)
        # A constant channel is left with the rounding of its mean.
        varies = spread > 1e-12 * np.abs(self._input_mean)
        self._input_scale = np.where(varies, spread, 1.0)
        weights = rng.normal(size=(self.n_kernels, n_channels, self._length))
        norms = np.linalg.norm(weights, axis=(1, 2), keepdims=True)
        self.weights_ = weights / norms
        largest = max((n_timepoints - 1) / (self._length - 1), 1)
        exponents = rng.uniform(0, math.log2(largest), self.n_kernels)
        self.dilations_ = (2**exponents).astype(int)
        quantiles = rng.uniform(size=self.n_kernels)
        outputs = self._convolve(series)
        self.biases_ = np.array(
            [np.quantile(x, q) for x, q in zip(outputs, quantiles, strict=True)]
        )
        self._scaler = StandardScaler().fit(self._pool(series))
        return self

    def transform(self, X):
        """Pooled features of series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples, 2 * n_kernels)
        """
        check_is_fitted(self)
        return self._scaler.transform(self._pool(self._check(X, reset=False)))

    @property
    def _n_features_out(self):
        return 2 * len(self.weights_)

    def _check(self, X, reset):
        X = validate_data(self, X, reset=reset, dtype=np.float64, allow_nd=True)
        return check_series(X, "X")

    def _convolve(self, series):
        """Output (n_samples, n_timepoints) of every kernel, ends repeated."""
        series = (series - self._input_mean) / self._input_scale
        for weights, dilation in zip(self.weights_, self.dilations_, strict=True):
            reach = (self._length - 1) * dilation
            padding = (0, 0), (0, 0), (reach // 2, reach // 2)
            padded = np.pad(series, padding, mode="edge")
            windows = sliding_window_view(padded, reach + 1, axis=-1)[..., ::dilation]
            yield np.einsum("nctl,cl->nt", windows, weights)

    def _pool(self, series):
        columns = []
        for output, bias in zip(self._convolve(series), self.biases_, strict=True):
            columns.append(np.maximum(output - bias, 0).mean(axis=1))
            columns.append(output.max(axis=1))
        return np.stack(columns, axis=1)


def default_classifier():
    """What separates samples where the caller names no classifier."""
    return make_pipeline(
        RandomConvolutionFeatures(100), LogisticRegression(max_iter=5000)
    )
