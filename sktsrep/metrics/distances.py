"""Distances between the distributions of real and generated series.

Every distance is biased upwards on a finite number of series. Compare it only with a
distance on the same number of series, or with its floor (``return_floor=True``): the
distance between real series and other real series, at the same number.
"""

import math
from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy.linalg import svdvals
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator, clone
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sktsrep.metrics._checks import (
    check_pair,
    check_vectors,
    exponent_of,
    flatten,
    pair_for,
    row_blocks,
)
from sktsrep.metrics.features import RandomConvolutionFeatures

__all__ = ["DistanceEstimate", "context_fid", "frechet_distance", "mmd"]

_N_SPLITS = 10  # random splits of the real data; a floor is the mean over them

# Extrapolation fits a line to this many subsets. The smallest holds a third of the
# series: the distance is linear in 1 / n only when n is large.
_N_SUBSETS = 12
_SMALLEST_SHARE = 1 / 3
_MIN_EXTRAPOLATED = 10  # series, so that the smallest subset has three

_N_MEDIAN = 1000  # series for a median distance: half a million pairs

# Below this share of the vectors' squares, an expanded squared distance is imprecise;
# squares below the second number are, too.
_CANCELLED = 1e-6
_UNDERFLOWN = 1e-290
_TOO_DIFFERENT = (
    "The values of X_real and X_generated differ too much in size: squared distances "
    "of some would be 0 beside those of others"
)
_LARGEST = np.finfo(np.float64).max


class DistanceEstimate(NamedTuple):
    """Hold a distance and its floor, at the same number of series.

    Parameters
    ----------
    value : float
        Distance between generated and real series.
    floor : float
        Distance between real and other real series; a perfect sampler would reach it.
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


def estimate(distance, real, generated, return_floor, random_state, exponent=0):
    """Compute a distance, or its mean and its floor over random halves of ``real``.

    The result is multiplied by ``2 ** exponent``, the unit of rescaled series.
    """
    if not return_floor:
        return _in_unit(distance(real, generated), exponent)
    n = min(len(real) // 2, len(generated))
    if n < 1:
        raise ValueError(f"A floor needs at least two real series, got {len(real)}.")
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
    value, floor = (_in_unit(mean, exponent) for mean in np.mean(pairs, axis=0))
    return DistanceEstimate(value, floor, n)


def _in_unit(value, exponent):
    with np.errstate(over="ignore"):
        value = float(np.ldexp(value, exponent))
    if not math.isfinite(value):
        raise ValueError(
            "X_real or X_generated has values so large that their distance exceeds the "
            "range of floats: rescale both."
        )
    return value


def _extract_features(features, X_real, X_generated):
    """Turn both collections into features (n_samples, n_features)."""
    if isinstance(features, str):  # "passthrough"
        real, generated = check_pair(X_real, X_generated, 2)
        return flatten(real), flatten(generated)
    check_pair(X_real, X_generated, 2)
    features = RandomConvolutionFeatures() if features is None else features
    if not hasattr(features, "transform"):
        raise TypeError(
            f"features must be a transformer, got {type(features).__name__} instead."
        )
    pair = pair_for(features, X_real, X_generated)
    with np.errstate(over="ignore", invalid="ignore"):  # the result is checked
        features = clone(features).fit(pair[0], None)
        both = [features.transform(X) for X in pair]
    name = "the output of features for"
    return (
        check_vectors(both[0], f"{name} X_real"),
        check_vectors(both[1], f"{name} X_generated"),
    )


def _frechet(a, b):
    """Compute the squared Frechet distance of Gaussians fitted to sets of vectors."""
    if min(len(a), len(b)) < 2:
        raise ValueError("A Frechet distance needs at least two series on each side.")
    gap = a.mean(axis=0) - b.mean(axis=0)
    # With covariances R_a^T R_a and R_b^T R_b, the trace of the root of their product
    # is the nuclear norm of R_a R_b^T. That needs no matrix root and is always real.
    root_a, root_b = (
        np.linalg.qr((x - x.mean(axis=0)) / math.sqrt(len(x) - 1), mode="r")
        for x in (a, b)
    )
    shared = svdvals(root_a @ root_b.T).sum()
    return max(gap @ gap + (root_a**2).sum() + (root_b**2).sum() - 2 * shared, 0.0)


def _frechet_at_infinity(a, b, rng):
    """Fit a line to the distances of subsets over 1 / size; return its intercept."""
    if min(len(a), len(b)) < _MIN_EXTRAPOLATED:
        raise ValueError(
            f"extrapolate=True needs at least {_MIN_EXTRAPOLATED} series on each side."
        )
    shares = np.linspace(_SMALLEST_SHARE, 1, _N_SUBSETS)
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
    r"""Compute the Frechet distance (FID) between features; lower is better.

    .. math:: \|\mu_r - \mu_g\|^2 + \mathrm{tr}(\Sigma_r + \Sigma_g
              - 2 (\Sigma_r \Sigma_g)^{1/2})

    with the means :math:`\mu` and covariances :math:`\Sigma` of the features of real
    and generated series.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, at least two on each side. NaN and unequal lengths: see
        :func:`evaluate_samples`.
    features : transformer, "passthrough" or None, default=None
        Computes the features; a clone is fitted on ``X_real``. Wrap a fitted one in a
        :class:`~sklearn.frozen.FrozenEstimator`. None is
        :class:`RandomConvolutionFeatures`; "passthrough" takes the values as they are.
    extrapolate : bool, default=False
        Whether to extrapolate to infinitely many series [2]_: fit a line to the
        distances of random subsets over 1 / size, and return its intercept. The
        result can be negative; it needs more series than features.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the subsets and the splits of the floor.

    Returns
    -------
    float or DistanceEstimate
        0 or more, in the squared unit of the features.

    Notes
    -----
    Compare only distances with the same features and the same number of series. The
    papers of NC-VQVAE and TimeVQVAE use the features of a supervised FCN: pass
    ``features=FrozenEstimator(FCNClassifier().fit(X_train, y_train))`` with
    :class:`sktsrep.fcn.FCNClassifier`. Compare with their tables only if you use their
    split and their number of samples. No paper reports figures with the default
    features.

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
    exponent = exponent_of(real, generated)
    real, generated = (np.ldexp(x, -exponent) for x in (real, generated))
    rng = check_random_state(random_state)

    def distance(a, b):
        return _frechet_at_infinity(a, b, rng) if extrapolate else _frechet(a, b)

    return estimate(distance, real, generated, return_floor, rng, 2 * exponent)


def context_fid(
    X_real,
    X_generated,
    features,
    *,
    extrapolate=False,
    return_floor=False,
    random_state=0,
):
    """Compute the Frechet distance between self-supervised embeddings; lower is better.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series, at least two on each side. NaN and unequal lengths: see
        :func:`evaluate_samples`.
    features : transformer
        Encoder such as :class:`sktsrep.encoders.SSLEncoder`. A clone is fitted on
        ``X_real``; better pass a :class:`~sklearn.frozen.FrozenEstimator` that was
        fitted on the training part.
    extrapolate, return_floor, random_state
        As for :func:`frechet_distance`.

    Returns
    -------
    float or DistanceEstimate
        0 or more, in the squared unit of the embeddings.

    Notes
    -----
    Published figures use a TS2Vec encoder trained on the data at hand [1]_. Another
    encoder gives another scale, so only the order of samplers can be compared.

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


def _rescale(x, exponent):
    """Divide by ``2 ** exponent`` without loss."""
    rescaled = np.ldexp(x, -exponent)
    if (np.ldexp(rescaled, exponent) != x).any():
        raise ValueError(f"{_TOO_DIFFERENT}.")
    return rescaled


def _median_gamma(vectors, rng):
    """Compute 1 / (median squared distance among distinct vectors); None if none."""
    chosen = vectors[rng.permutation(len(vectors))[:_N_MEDIAN]]
    distances = pdist(chosen, "sqeuclidean")
    distinct = distances > 0
    lost = (pdist(chosen, "chebyshev") > 0).sum() > distinct.sum()
    median = np.median(distances[distinct]) if distinct.any() else None
    if lost or (median is not None and median < _UNDERFLOWN):
        raise ValueError(f"{_TOO_DIFFERENT}. Give gamma.")
    return None if median is None else 1 / median


def _squared_distances(a, b, center, root_gamma):
    """Compute gamma times the squared distances of vectors (n_a, d) and (n_b, d)."""
    # They expand the square of a difference, which is imprecise far from 0, and if the
    # difference is small.
    near_a, near_b = a - center, b - center
    squared = euclidean_distances(near_a, near_b, squared=True)
    sizes = np.square(near_a).sum(axis=1)[:, None] + np.square(near_b).sum(axis=1)
    rows, columns = np.nonzero(squared <= _CANCELLED * sizes + _UNDERFLOWN)
    with np.errstate(over="ignore", invalid="ignore"):
        squared *= root_gamma * root_gamma
        for part in row_blocks(len(rows), a.shape[1]):
            gap = root_gamma * (a[rows[part]] - b[columns[part]])
            squared[rows[part], columns[part]] = np.square(gap).sum(axis=1)
    return squared


def _kernel_sum(a, b, center, root_gamma):
    """Sum the kernel over all pairs, in blocks of rows."""
    return sum(
        np.exp(-_squared_distances(a[rows], b, center, root_gamma)).sum()
        for rows in row_blocks(len(a), len(b) + a.shape[1])
    )


def _squared_mmd(a, b, center, root_gamma, unbiased):
    within = 0.0
    for x in (a, b):
        n = len(x)
        total = _kernel_sum(x, x, center, root_gamma)
        if not unbiased:
            within += total / n**2
        elif n < 2:
            raise ValueError("unbiased=True needs at least two series on each side.")
        else:
            within += (total - n) / (n * (n - 1))
    across = _kernel_sum(a, b, center, root_gamma) / (len(a) * len(b))
    squared = within - 2 * across
    return squared if unbiased else max(squared, 0.0)


@validate_params(
    {
        "X_real": ["array-like"],
        "X_generated": ["array-like"],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "unbiased": ["boolean"],
        "return_floor": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def mmd(
    X_real,
    X_generated,
    gamma=None,
    *,
    unbiased=False,
    return_floor=False,
    random_state=0,
):
    r"""Compute the squared maximum mean discrepancy (RBF kernel); lower is better.

    .. math:: E\,k(x, x') + E\,k(y, y') - 2 E\,k(x, y),\quad
              k(x, y) = \exp(-\gamma \|x - y\|^2)

    with real series :math:`x, x'` and generated series :math:`y, y'`.

    Parameters
    ----------
    X_real, X_generated : array-like of shape (n_samples, n_features) or \
            (n_samples, n_channels, n_timepoints)
        Series, or features of them. NaN and unequal lengths: see
        :func:`evaluate_samples`.
    gamma : float, default=None
        Coefficient of the kernel, as in :func:`sklearn.metrics.pairwise.rbf_kernel`.
        None is 1 / (median squared distance among real series).
    unbiased : bool, default=False
        Whether to leave out pairs of a series with itself. The mean is then 0 for equal
        distributions, and values can be negative.
    return_floor : bool, default=False
        Whether to return a :class:`DistanceEstimate` with the real-against-real floor.
    random_state : int, RandomState instance or None, default=0
        Draws the splits of the floor and, from larger data, 1000 series for the median.

    Returns
    -------
    float or DistanceEstimate
        Between 0 and 2, without unit; it can be negative if ``unbiased``.

    Notes
    -----
    Compare only figures with the same ``gamma`` and the same number of series. Papers
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
    real, generated = (flatten(x) for x in check_pair(X_real, X_generated))
    exponent = exponent_of(real, generated)
    real, generated = (_rescale(x, exponent) for x in (real, generated))
    center = real.mean(axis=0)
    rng = check_random_state(random_state)
    median = _median_gamma(real, rng) if gamma is None else None
    with np.errstate(over="ignore"):
        given = np.ldexp(math.sqrt(gamma or 1.0), exponent)
    root_gamma = min(given, _LARGEST) if median is None else math.sqrt(median)

    def distance(a, b):
        return _squared_mmd(a, b, center, root_gamma, unbiased)

    return estimate(distance, real, generated, return_floor, rng)
