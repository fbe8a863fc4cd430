"""Features of series that need neither labels nor training."""

import math
from numbers import Integral

import numpy as np
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

from sktsrep._device import to_tensor
from sktsrep._doc_link import DocLinkMixin
from sktsrep._gaps import bridge, by_length, channel_levels, observed_lengths
from sktsrep._inputs import as_array_like, is_list_of_series
from sktsrep.functional import channel_scale
from sktsrep.metrics._checks import check_series, exponent_of, row_blocks

__all__ = ["RandomConvolutionFeatures"]

# ROCKET draws 10,000 kernels with 7, 9 or 11 weights. Here all have the middle length,
# and the default classifier has 100: metrics train it often, on small data sets.
_KERNEL_LENGTH = 9
_N_CLASSIFIER_KERNELS = 100

_LARGEST = 1e150  # feature that can be squared


class RandomConvolutionFeatures(
    DocLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Pool random dilated convolutions into features, without labels or training.

    Each kernel has 9 Gaussian weights per channel and a random dilation, at most so
    large that the kernel spans the series. It gives two features, similar to those of
    ROCKET [1]_: the mean over time of its output above a bias, and the maximum of its
    output. The bias is a random quantile of the output on the data of ``fit``, which
    also standardize the features.

    Missing values are bridged by lines. A series that is over keeps its last value
    until the longest one of ``fit`` ends, so its features tell how long it is.

    Parameters
    ----------
    n_kernels : int, default=16
        Kernels; there are twice as many features. A Frechet distance needs several
        series per feature.
    random_state : int, RandomState instance or None, default=0
        Draws the kernels. A fixed int makes distances comparable.

    Attributes
    ----------
    weights_ : ndarray of shape (n_kernels, n_channels, 9)
        Kernels, of unit norm.
    dilations_ : ndarray of shape (n_kernels,)
        Timepoints between neighboring weights.
    biases_ : ndarray of shape (n_kernels,)
        Thresholds of the kernels' outputs.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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

    def __init__(self, n_kernels=16, *, random_state=0):
        self.n_kernels = n_kernels
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Draw the kernels and learn their biases and the scale of the features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series. A list may hold series of unequal length. NaN means missing or,
            after the end of a series, not there.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        series = self._check(X, reset=True)
        self._longest = observed_lengths(series).max()
        self._levels = channel_levels(series)
        series = bridge(series, self._levels)[..., : self._longest]
        _, n_channels, n_timepoints = series.shape
        rng = check_random_state(self.random_state)
        self._input_exponent = exponent_of(series, axis=(0, 2))
        series = np.ldexp(series, -self._input_exponent)
        self._input_mean = series.mean(axis=(0, 2), keepdims=True)
        mean = to_tensor(self._input_mean[0], "cpu")
        scale = channel_scale(to_tensor(series, "cpu"), mean).numpy()
        # A constant channel keeps its unit, so that noise in its copy is no feature.
        varies = scale <= 2 * series.std(axis=(0, 2))[:, None]
        self._input_scale = np.where(varies, scale, 1.0)
        weights = rng.normal(size=(self.n_kernels, n_channels, _KERNEL_LENGTH))
        norms = np.linalg.norm(weights, axis=(1, 2), keepdims=True)
        self.weights_ = weights / norms
        largest = max((n_timepoints - 1) / (_KERNEL_LENGTH - 1), 1)
        exponents = rng.uniform(0, math.log2(largest), self.n_kernels)
        self.dilations_ = (2**exponents).astype(int)
        quantiles = rng.uniform(size=self.n_kernels)
        series = (series - self._input_mean) / self._input_scale
        outputs = (self._output(series, kernel) for kernel in self._kernels())
        self.biases_ = np.array(
            [np.quantile(x, q) for x, q in zip(outputs, quantiles, strict=True)]
        )
        self._scaler = StandardScaler().fit(self._pool(series))
        return self

    def transform(self, X):
        """Compute the features of series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series. Those in a list may have any length.

        Returns
        -------
        ndarray of shape (n_samples, 2 * n_kernels)
            Features, standardized by the data of ``fit``.
        """
        check_is_fitted(self)
        series = self._check(X, reset=False)
        lengths = np.maximum(observed_lengths(series), self._longest)
        series = bridge(series, self._levels)
        if (lengths == series.shape[-1]).all():
            return self._transform(series)

        def held(length, rows):
            times = np.arange(length).clip(max=series.shape[-1] - 1)
            return self._transform(series[rows][..., times])

        return by_length(held, lengths)

    def _transform(self, series):
        """Compute the features of series without gaps."""
        with np.errstate(over="ignore", invalid="ignore"):
            series = np.ldexp(series, -self._input_exponent)
            series = (series - self._input_mean) / self._input_scale
            features = self._scaler.transform(self._pool(series))
        if not (np.abs(features) < _LARGEST).all():
            raise ValueError(
                "X has values that are too large beside the series of fit: rescale X."
            )
        return features

    @property
    def _n_features_out(self):
        return 2 * len(self.weights_)

    def _check(self, X, reset):
        is_free = is_list_of_series(X) and not reset
        X = as_array_like(X, "X", pad=True)
        checks = {"dtype": np.float64, "allow_nd": True, "ensure_all_finite": False}
        if is_free:
            X = check_array(X, **checks)
        else:
            X = validate_data(self, X, reset=reset, **checks)
        series = check_series(X, "X", allow_nan=True)
        if is_free and series.shape[1] != self.weights_.shape[1]:
            raise ValueError(
                f"X has series of {series.shape[1]} channels, but "
                f"{type(self).__name__} is expecting {self.weights_.shape[1]}."
            )
        return series

    def _kernels(self):
        return zip(self.weights_, self.dilations_, strict=True)

    def _output(self, series, kernel):
        """Compute a kernel's output (n_samples, n_timepoints), in blocks of series."""
        blocks = row_blocks(len(series), series[0].size)
        return np.concatenate([_convolve(series[rows], *kernel) for rows in blocks])

    def _pool(self, series):
        blocks = row_blocks(len(series), series[0].size)
        return np.concatenate([self._pool_block(series[rows]) for rows in blocks])

    def _pool_block(self, series):
        columns = []
        for kernel, bias in zip(self._kernels(), self.biases_, strict=True):
            output = _convolve(series, *kernel)
            columns.append(np.maximum(output - bias, 0).mean(axis=1))
            columns.append(output.max(axis=1))
        return np.stack(columns, axis=1)


def _convolve(series, weights, dilation):
    """Compute a kernel's output (n_samples, n_timepoints), ends repeated."""
    reach = (_KERNEL_LENGTH - 1) * dilation
    padding = (0, 0), (0, 0), (reach // 2, reach // 2)
    padded = np.pad(series, padding, mode="edge")
    windows = sliding_window_view(padded, reach + 1, axis=-1)[..., ::dilation]
    return np.einsum("nctl,cl->nt", windows, weights)


def default_classifier():
    """Make the classifier that is used where the caller names none."""
    return make_pipeline(
        RandomConvolutionFeatures(_N_CLASSIFIER_KERNELS),
        LogisticRegression(max_iter=5000),  # the default 100 rarely converge
    )
