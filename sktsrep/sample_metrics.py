"""Samples against real data: distances between distributions, and scores of models.

Real series come first, generated ones last. Every distance is biased upwards at a
finite number of series, so that each can return what real series give against other
real series at the same number (``return_floor=True``). A distance is only worth
comparing with one at the same number, or with its own floor.
"""

import math
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats
from scipy.linalg import svdvals
from scipy.spatial.distance import pdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

__all__ = [
    "DistanceEstimate",
    "RandomConvolutionFeatures",
    "autocorrelation_difference",
    "classification_accuracy_score",
    "context_fid",
    "discriminative_score",
    "frechet_distance",
    "inception_score",
    "kurtosis_difference",
    "marginal_difference",
    "memorization_ratio",
    "mmd",
    "predictive_score",
    "skewness_difference",
]

_N_SPLITS = 10  # random splits of the real data that a floor is the mean of

# ------------------------------------------------------------------------- helpers


def _check_series(X, name, n_samples=1):
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


def _check_pair(X_real, X_generated, n_samples=1):
    """Two collections of series of one shape."""
    real = _check_series(X_real, "X_real", n_samples)
    generated = _check_series(X_generated, "X_generated", n_samples)
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            f"Real series have shape {real.shape[1:]} (channels, timepoints), but "
            f"generated ones have {generated.shape[1:]}."
        )
    return real, generated


def _flatten(series):
    return series.reshape(len(series), -1)


class DistanceEstimate(NamedTuple):
    """A distance and its floor, at the same number of series.

    Parameters
    ----------
    value : float
        Generated against real series.
    floor : float
        Real against other real series: what a perfect sampler would get.
    n : int
        Number of series on each side.

    Examples
    --------
    >>> DistanceEstimate(value=2.0, floor=0.5, n=100).floor
    0.5
    """

    value: float
    floor: float
    n: int


def _estimate(distance, real, generated, return_floor, random_state):
    """The distance; with its floor, both are means over random halves of the real."""
    if not return_floor:
        return float(distance(real, generated))
    n = min(len(real) // 2, len(generated))
    if n < 1:
        raise ValueError(f"A floor needs two real series or more, got {len(real)}.")
    rng = check_random_state(random_state)
    pairs = []
    for _ in range(_N_SPLITS):
        half, other = rng.permutation(len(real))[: 2 * n].reshape(2, n)
        drawn = rng.permutation(len(generated))[:n]
        pairs.append(
            (
                distance(real[half], generated[drawn]),
                distance(real[half], real[other]),
            )
        )
    value, floor = np.mean(pairs, axis=0).tolist()
    return DistanceEstimate(value, floor, n)


def _default_classifier():
    return make_pipeline(
        RandomConvolutionFeatures(100),
        StandardScaler(),
        LogisticRegression(max_iter=5000),
    )


# ------------------------------------------------------------------------ features


class RandomConvolutionFeatures(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Features without labels or training: random dilated convolutions, pooled.

    Each kernel has 9 Gaussian weights over all channels and a dilation between 1 and
    what the series holds, and gives two features: the mean over time of what exceeds
    its bias (a random quantile of its output on the data of ``fit``), and the maximum,
    after ROCKET [1]_. Features are standardised by the data of ``fit``.

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
        Timepoints between neighbouring weights.
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
        self._input_scale = np.where(spread > 0, spread, 1.0)
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
        return 2 * self.n_kernels

    def _check(self, X, reset):
        X = validate_data(self, X, reset=reset, dtype=np.float64, allow_nd=True)
        return _check_series(X, "X")

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


def _extract_features(features, X_real, X_generated):
    """Both collections as features (n_samples, n_features)."""
    if isinstance(features, str):  # "passthrough"
        real, generated = _check_pair(X_real, X_generated, 2)
        return _flatten(real), _flatten(generated)
    _check_pair(X_real, X_generated, 2)
    features = RandomConvolutionFeatures() if features is None else features
    features = clone(features).fit(X_real, None)
    return tuple(
        check_array(features.transform(X), dtype=np.float64, input_name="features")
        for X in (X_real, X_generated)
    )


# ----------------------------------------------------------------------- distances


def _frechet(a, b):
    """Squared Frechet distance of Gaussians fitted to two sets of vectors."""
    if min(len(a), len(b)) < 2:
        raise ValueError("A Frechet distance needs two series or more on each side.")
    gap = a.mean(axis=0) - b.mean(axis=0)
    # With covariances R_a^T R_a and R_b^T R_b, the trace of the root of their product
    # is the nuclear norm of R_a R_b^T: no matrix root, real at every rank.
    root_a, root_b = (
        np.linalg.qr((x - x.mean(axis=0)) / math.sqrt(len(x) - 1), mode="r")
        for x in (a, b)
    )
    shared = svdvals(root_a @ root_b.T).sum()
    return max(gap @ gap + (root_a**2).sum() + (root_b**2).sum() - 2 * shared, 0.0)


def _frechet_at_infinity(a, b, rng):
    """Intercept of the line through distances of subsets over one over their size."""
    if min(len(a), len(b)) < 10:
        raise ValueError("extrapolate=True needs ten series or more on each side.")
    shares = np.linspace(1 / 3, 1, 12)
    distances = [
        _frechet(*(x[rng.permutation(len(x))[: round(s * len(x))]] for x in (a, b)))
        for s in shares
    ]
    return np.polynomial.Polynomial.fit(1 / shares, distances, 1)(0)


@validate_params(
    {
        "X_real": ["array-like"],
        "X_generated": ["array-like"],
        "features": [StrOptions({"passthrough"}), None, BaseEstimator],
        "extrapolate": ["boolean"],
        "return_floor": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def frechet_distance(
    X_real,
    X_generated,
    *,
    features=None,
    extrapolate=False,
    return_floor=False,
    random_state=0,
):
    r"""Frechet distance (FID) between features of real and generated series.

    .. math:: \|\mu_r - \mu_g\|^2 + \mathrm{tr}(\Sigma_r + \Sigma_g
              - 2 (\Sigma_r \Sigma_g)^{1/2})

    with means :math:`\mu` and covariances :math:`\Sigma` of the features.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, two or more on each side.
    features : transformer, "passthrough" or None, default=None
        What the distance is taken on; a clone is fitted on ``X_real``. Put a fitted
        one into a :class:`~sklearn.frozen.FrozenEstimator`. None is
        :class:`RandomConvolutionFeatures`; "passthrough" takes the values as they are.
    extrapolate : bool, default=False
        Whether to extrapolate to infinitely many series: the intercept of a line
        through the distances of random subsets over one over their size [2]_. It can
        be negative, and is only as good as the line: more series than features.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the subsets.

    Returns
    -------
    float or DistanceEstimate
        0 or more; without unit, or the features' squared.

    Notes
    -----
    Comparable only at the same features and the same number of series. The FID of
    NC-VQVAE and TimeVQVAE is the one on a supervised FCN's features: give
    ``features=FrozenEstimator(FCNClassifier().fit(X_train, y_train))`` of
    :class:`sktsrep.fcn.FCNClassifier`, and compare with their tables only where your
    network was trained on the same split and the number of samples is theirs. Figures
    with the default features compare with no paper's.

    References
    ----------
    .. [1] Heusel et al. 2017, "GANs trained by a two time-scale update rule",
       arXiv 1706.08500.
    .. [2] Chong, Forsyth 2020, "Effectively unbiased FID and inception score",
       arXiv 1911.07023, with subsets of the real data too.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import frechet_distance
    >>> X = np.array([[-1.0], [1.0]])
    >>> round(frechet_distance(X, X + 3, features="passthrough"), 6)
    9.0
    """
    real, generated = _extract_features(features, X_real, X_generated)
    rng = check_random_state(random_state)

    def distance(a, b):
        return _frechet_at_infinity(a, b, rng) if extrapolate else _frechet(a, b)

    return _estimate(distance, real, generated, return_floor, rng)


def context_fid(
    X_real,
    X_generated,
    features,
    *,
    extrapolate=False,
    return_floor=False,
    random_state=0,
):
    """Frechet distance on the embeddings of a self-supervised encoder.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, two or more on each side.
    features : transformer
        Such as :class:`sktsrep.encoders.SSLEncoder`. A clone is fitted on ``X_real``;
        better a :class:`~sklearn.frozen.FrozenEstimator` fitted on the training part.
    extrapolate, return_floor, random_state
        As for :func:`frechet_distance`.

    Returns
    -------
    float or DistanceEstimate

    Notes
    -----
    Published figures stand on a TS2Vec encoder trained on the data at hand [1]_; with
    another encoder they are on another scale, and the order alone can be compared.

    References
    ----------
    .. [1] Jeha et al. 2022, "PSA-GAN", arXiv 2108.00981.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sktsrep.metrics import context_fid
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> round(context_fid(X, X, PCA(2)), 6)
    0.0
    """
    return frechet_distance(
        X_real,
        X_generated,
        features=features,
        extrapolate=extrapolate,
        return_floor=return_floor,
        random_state=random_state,
    )


def _median_gamma(vectors, rng, n_most=1000):
    """One over the median squared distance among distinct vectors."""
    chosen = rng.permutation(len(vectors))[:n_most]
    distances = pdist(vectors[chosen], "sqeuclidean")
    distances = distances[distances > 0]
    return 1 / np.median(distances) if len(distances) else 1.0


def _squared_mmd(a, b, gamma, unbiased):
    within = 0.0
    for x in (a, b):
        kernel = rbf_kernel(x, gamma=gamma)
        if not unbiased:
            within += kernel.mean()
        elif len(x) < 2:
            raise ValueError("unbiased=True needs two series or more on each side.")
        else:
            within += (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))
    squared = within - 2 * rbf_kernel(a, b, gamma=gamma).mean()
    return squared if unbiased else max(squared, 0.0)


def mmd(X, Y, gamma=None, *, unbiased=False, return_floor=False, random_state=0):
    r"""Squared maximum mean discrepancy of two samples under an RBF kernel.

    .. math:: E\,k(x, x') + E\,k(y, y') - 2 E\,k(x, y),\quad
              k(x, y) = \exp(-\gamma \|x - y\|^2)

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features) or (n_samples, n_channels, \
            n_timepoints)
        Real and generated series, or features of them.
    gamma : float, default=None
        Of the kernel, as in :func:`sklearn.metrics.pairwise.rbf_kernel`; None is one
        over the median squared distance among all series of both.
    unbiased : bool, default=False
        Whether to leave out pairs of a series with itself: then 0 is the mean for
        equal distributions, and values can be negative.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor, and 1000 series for the median of more.

    Returns
    -------
    float or DistanceEstimate

    Notes
    -----
    Comparable with figures at the same ``gamma`` and the same number of series; papers
    differ in kernel and bandwidth.

    References
    ----------
    Gretton et al. 2012, "A kernel two-sample test", JMLR 13, equations 3 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import mmd
    >>> X = np.zeros((3, 1))
    >>> round(mmd(X, X + 1, gamma=1.0), 4)  # 2 - 2 / e
    1.2642
    """
    real, generated = (_flatten(x) for x in _check_pair(X, Y))
    rng = check_random_state(random_state)
    if gamma is None:
        gamma = _median_gamma(np.concatenate([real, generated]), rng)
    elif not gamma > 0:
        raise ValueError(f"gamma must be positive, got {gamma!r} instead.")

    def distance(a, b):
        return _squared_mmd(a, b, gamma, unbiased)

    return _estimate(distance, real, generated, return_floor, rng)


def marginal_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Wasserstein distance of the values at a timepoint, mean over all timepoints.

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
        In the unit of the data.

    Notes
    -----
    It has the purpose of TSGBench's marginal distribution difference, but no bins: the
    numbers cannot be compared.

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
    real, generated = (_flatten(x) for x in _check_pair(X_real, X_generated))

    def distance(a, b):
        columns = zip(a.T, b.T, strict=True)
        return np.mean([stats.wasserstein_distance(u, v) for u, v in columns])

    return _estimate(distance, real, generated, return_floor, random_state)


def _autocorrelation(series, n_lags):
    """Mean autocorrelation (n_channels, n_lags) at lags 1 to ``n_lags``."""
    centred = series - series.mean(axis=-1, keepdims=True)
    n_timepoints = series.shape[-1]
    spectrum = np.abs(np.fft.rfft(centred, 2 * n_timepoints)) ** 2
    covariance = np.fft.irfft(spectrum.mean(axis=0), 2 * n_timepoints)
    variance = covariance[:, :1]
    scale = np.square(series).mean(axis=(0, 2))[:, None] * n_timepoints
    if (variance <= 1e-12 * scale).any():
        raise ValueError(
            "All series are constant in a channel: they have no autocorrelation."
        )
    return covariance[:, 1 : n_lags + 1] / variance


def autocorrelation_difference(
    X_real, X_generated, *, n_lags=None, return_floor=False, random_state=0
):
    """Mean absolute difference of the autocorrelation functions.

    The autocovariances of all series of a channel are averaged before the division by
    the variance, so that nearly constant series do no harm.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series of two timepoints or more.
    n_lags : int, default=None
        Lags 1 to ``n_lags`` are compared; None is half the length.
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
    TSGBench takes the norm over lags and channels instead of the mean.

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
    real, generated = _check_pair(X_real, X_generated)
    n_timepoints = real.shape[-1]
    if n_lags is None:
        n_lags = max(n_timepoints // 2, 1)
    if not 1 <= n_lags < n_timepoints:
        raise ValueError(
            f"n_lags must lie between 1 and n_timepoints - 1 = {n_timepoints - 1}, got "
            f"{n_lags} instead."
        )

    def distance(a, b):
        gap = _autocorrelation(a, n_lags) - _autocorrelation(b, n_lags)
        return np.abs(gap).mean()

    return _estimate(distance, real, generated, return_floor, random_state)


def _moment_difference(moment, X_real, X_generated, return_floor, random_state):
    """Mean absolute difference of a moment of the values at a timepoint."""
    real, generated = (_flatten(x) for x in _check_pair(X_real, X_generated, 2))
    varies = np.ptp(real, axis=0) > 1e-9 * np.abs(real).max(axis=0)
    if not varies.any():
        raise ValueError("All real series are equal: they have no higher moments.")

    def moments(x):
        if (np.ptp(x, axis=0) <= 1e-9 * np.abs(x).max(axis=0)).any():
            raise ValueError(
                "Series are constant at a timepoint where the real ones vary: they "
                "have no higher moments there."
            )
        return moment(x, axis=0)

    def distance(a, b):
        return np.abs(moments(a) - moments(b)).mean()

    real, generated = real[:, varies], generated[:, varies]
    return _estimate(distance, real, generated, return_floor, random_state)


def skewness_difference(X_real, X_generated, *, return_floor=False, random_state=0):
    """Mean absolute difference of the skewness of the values at a timepoint.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, two or more on each side. Timepoints at which all real ones are equal
        are left out.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor.

    Returns
    -------
    float or DistanceEstimate

    Notes
    -----
    TSGBench takes one skewness of all values of a channel, which no permutation in
    time can change; this one is taken at every timepoint.

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
    """Mean absolute difference of the kurtosis of the values at a timepoint.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, two or more on each side. Timepoints at which all real ones are equal
        are left out.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor.

    Returns
    -------
    float or DistanceEstimate

    Notes
    -----
    As for :func:`skewness_difference`, not TSGBench's number. The kurtosis of fewer
    than some hundred series is mostly chance: look at the floor.

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


# -------------------------------------------------------------------------- scores


def inception_score(X_generated, classifier):
    r"""Inception score: samples that a classifier is sure of, of all its classes.

    .. math:: \exp E_x\,\mathrm{KL}(p(y \mid x) \,\|\, E_x\,p(y \mid x))

    Parameters
    ----------
    X_generated : array-like
        Series, as the classifier takes them.
    classifier : classifier
        Fitted on real series, with ``predict_proba``.

    Returns
    -------
    float
        Between 1 and the number of classes.

    Notes
    -----
    All samples are one split. Papers whose score is the mean over ten splits, as
    NC-VQVAE's and TimeVQVAE's with 256 samples, have lower figures when there are many
    classes: a split of 25 samples cannot score above 25.

    References
    ----------
    Salimans et al. 2016, "Improved techniques for training GANs", arXiv 1606.03498.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sktsrep.metrics import inception_score
    >>> X = np.array([[0.0], [1.0]])
    >>> classifier = KNeighborsClassifier(1).fit(X, ["a", "b"])
    >>> [round(inception_score(x, classifier), 6) for x in (X, X[:1])]
    [2.0, 1.0]
    """
    probabilities = check_array(
        classifier.predict_proba(X_generated), input_name="probabilities"
    )
    if probabilities.shape[1] < 2:
        raise ValueError("The classifier knows one class: every score would be 1.")
    marginal = probabilities.mean(axis=0, keepdims=True)
    return float(np.exp(stats.entropy(probabilities, marginal, axis=1).mean()))


def classification_accuracy_score(
    X_real, y_real, X_generated, y_generated, *, classifier=None, train_on="generated"
):
    """Accuracy of a classifier trained on generated and tested on real series (CAS).

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series.
    y_real, y_generated : array-like of shape (n_samples,)
        Their classes; of generated ones, those that were asked for.
    classifier : classifier, default=None
        A clone of it is trained. None is logistic regression on
        :class:`RandomConvolutionFeatures`.
    train_on : {"generated", "real"}, default="generated"
        "generated": train on synthetic, test on real (TSTR), which missing modes make
        worse. "real": the reverse (TRTS), which they do not.

    Returns
    -------
    float
        Between 0 and 1.

    Notes
    -----
    The published score is that of a supervised FCN: give
    :class:`sktsrep.fcn.FCNClassifier` and compare with the accuracy of the same
    classifier trained on the real training part.

    References
    ----------
    Ravuri, Vinyals 2019, "Classification accuracy score", arXiv 1905.10887; Esteban,
    Hyland, Raetsch 2017, arXiv 1706.02633.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import classification_accuracy_score
    >>> y = np.arange(20) % 2
    >>> X = np.sin(np.linspace(0, 9, 48) * (1 + y[:, None]) + np.arange(20)[:, None])
    >>> classification_accuracy_score(X, y, X, y)
    1.0
    """
    _check_pair(X_real, X_generated)
    real, generated = (
        (X_real, column_or_1d(y_real)),
        (X_generated, column_or_1d(y_generated)),
    )
    if train_on not in {"generated", "real"}:
        raise ValueError(
            f"train_on must be 'generated' or 'real', got {train_on!r} instead."
        )
    train, test = (generated, real) if train_on == "generated" else (real, generated)
    if len(np.unique(train[1])) < 2:
        raise ValueError(f"The {train_on} series to train on are all of one class.")
    model = _default_classifier() if classifier is None else clone(classifier)
    predicted = model.fit(*train).predict(test[0])
    return float(np.mean(np.asarray(predicted) == test[1]))


def discriminative_score(X_real, X_generated, *, classifier=None, cv=5, random_state=0):
    """How far a classifier gets beyond guessing which series are real.

    The cross-validated accuracy on as many real as generated series, less one half; 0
    where it is below.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, ``cv`` or more on each side.
    classifier : classifier, default=None
        A clone of it is trained. None is logistic regression on
        :class:`RandomConvolutionFeatures`.
    cv : int, default=5
        Folds.
    random_state : int, RandomState instance or None, default=0
        Chooses among the more numerous kind, and the folds.

    Returns
    -------
    float
        From 0 (cannot be told apart) to 0.5 (perfectly).

    Notes
    -----
    TimeGAN's score is the absolute difference, with a recurrent network, on one split
    [1]_; figures compare only at the same classifier and number of series. Accuracy
    below one half counts as one half, because copies of the real series bring it to
    zero.

    References
    ----------
    .. [1] Yoon, Jarrett, van der Schaar 2019, "TimeGAN", NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import discriminative_score
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> discriminative_score(X, np.sign(X))
    0.5
    """
    real, generated = _check_pair(X_real, X_generated, cv)
    rng = check_random_state(random_state)
    n = min(len(real), len(generated))
    X = np.concatenate([x[rng.permutation(len(x))[:n]] for x in (real, generated)])
    X = X[:, 0] if X.shape[1] == 1 else X
    y = np.repeat([1, 0], n)
    folds = StratifiedKFold(cv, shuffle=True, random_state=rng)
    model = _default_classifier() if classifier is None else classifier
    accuracy = cross_val_score(model, X, y, cv=folds, scoring="accuracy").mean()
    return max(float(accuracy) - 0.5, 0.0)


def _lagged(series, n_lags):
    """Windows of ``n_lags`` values of all channels, and the values that follow."""
    windows = sliding_window_view(series, n_lags + 1, axis=-1)
    windows = np.moveaxis(windows, 2, 1)  # (samples, windows, channels, n_lags + 1)
    windows = windows.reshape(-1, *windows.shape[2:])
    past, future = windows[..., :-1].reshape(len(windows), -1), windows[..., -1]
    return past, future[:, 0] if future.shape[1] == 1 else future


def predictive_score(X_real, X_generated, *, regressor=None, n_lags=10):
    """Error on real series of a one-step forecast learnt from generated ones.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series of two timepoints or more.
    regressor : regressor, default=None
        A clone of it learns the next value of all channels from the last ones. None is
        ridge regression, its penalty chosen by leave-one-out.
    n_lags : int, default=10
        How many last values it sees; fewer where the series are short.

    Returns
    -------
    float
        Mean absolute error, in the unit of the data.

    Notes
    -----
    After TimeGAN, whose regressor is a recurrent network on series scaled to [0, 1]:
    figures do not compare. The floor is the score with real training series in the
    place of generated ones.

    References
    ----------
    Yoon, Jarrett, van der Schaar 2019, "TimeGAN", NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import predictive_score
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> predictive_score(X, X) < 0.001
    True
    """
    real, generated = _check_pair(X_real, X_generated)
    if real.shape[-1] < 2:
        raise ValueError("A forecast needs series of two timepoints or more.")
    n_lags = min(n_lags, real.shape[-1] - 1)
    model = RidgeCV(np.logspace(-4, 4, 9)) if regressor is None else clone(regressor)
    model.fit(*_lagged(generated, n_lags))
    past, future = _lagged(real, n_lags)
    return float(mean_absolute_error(future, model.predict(past)))


def memorization_ratio(X_train, X_test, X_generated, *, metric="euclidean"):
    """Distance of samples to the nearest training series, against held-out series'.

    Parameters
    ----------
    X_train : array-like of shape (n_samples, n_timepoints) or (n_samples, \
            n_channels, n_timepoints)
        What the sampler learnt from.
    X_test : array-like
        Real series that it did not see.
    X_generated : array-like
        Its samples.
    metric : str or callable, default="euclidean"
        Of :class:`sklearn.neighbors.BallTree`, on values of all channels in a
        row.

    Returns
    -------
    float
        Ratio of the mean distances: 0 for copies of training series, about 1 for a
        perfect sampler, more for samples that are far from all data.

    Raises
    ------
    ValueError
        When all held-out series are in the training part.

    Notes
    -----
    Meehan, Chaudhuri and Dasgupta test the same two sets of distances for a shift
    within regions of the data [1]_; this is a plain ratio, comparable with no table.

    References
    ----------
    .. [1] Meehan, Chaudhuri, Dasgupta 2020, "A non-parametric test to detect
       data-copying in generative models", arXiv 2004.05675.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import memorization_ratio
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> memorization_ratio(X[:10], X[10:], X[:10])
    0.0
    """
    train, test = _check_pair(X_train, X_test)
    train, generated = _check_pair(train, X_generated)
    # A tree, because brute force rounds the distance of a copy to more than 0.
    search = NearestNeighbors(n_neighbors=1, algorithm="ball_tree", metric=metric)
    search.fit(_flatten(train))

    def distance(series):
        return search.kneighbors(_flatten(series))[0].mean()

    held_out = distance(test)
    if held_out == 0:
        raise ValueError("Every held-out series is also in the training part.")
    return float(distance(generated) / held_out)
