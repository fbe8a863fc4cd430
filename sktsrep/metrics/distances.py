"""Distances between the distributions of real and generated series.

Every distance is biased upwards on a finite number of series. Compare it only with a
distance on the same number of series, or with its floor (``return_floor=True``): the
distance between real series and other real series, at the same number.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import svdvals
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator, clone
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import StrOptions, validate_params

from sktsrep.metrics._checks import check_pair, flatten, with_axes_of
from sktsrep.metrics.features import RandomConvolutionFeatures

__all__ = ["DistanceEstimate", "context_fid", "frechet_distance", "mmd"]

_N_SPLITS = 10  # random splits of the real data; a floor is the mean over them

# Extrapolation fits a line to this many subsets. The smallest holds a third of the
# series: the distance is linear in 1 / n only when n is large.
_N_SUBSETS = 12
_SMALLEST_SHARE = 1 / 3
_MIN_EXTRAPOLATED = 10  # series, so that the smallest subset has three

_N_MEDIAN = 1000  # series for a median distance: half a million pairs


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


def estimate(distance, real, generated, return_floor, random_state):
    """Compute a distance, or its mean and its floor over random halves of ``real``."""
    if not return_floor:
        return float(distance(real, generated))
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
    value, floor = np.mean(pairs, axis=0).tolist()
    return DistanceEstimate(value, floor, n)


def _extract_features(features, X_real, X_generated):
    """Turn both collections into features (n_samples, n_features)."""
    if isinstance(features, str):  # "passthrough"
        real, generated = check_pair(X_real, X_generated, 2)
        return flatten(real), flatten(generated)
    check_pair(X_real, X_generated, 2)
    X_generated = with_axes_of(X_real, X_generated)
    features = RandomConvolutionFeatures() if features is None else features
    features = clone(features).fit(X_real, None)
    return tuple(
        check_array(features.transform(X), dtype=np.float64, input_name="features")
        for X in (X_real, X_generated)
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
        Series, at least two on each side.
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
    rng = check_random_state(random_state)

    def distance(a, b):
        return _frechet_at_infinity(a, b, rng) if extrapolate else _frechet(a, b)

    return estimate(distance, real, generated, return_floor, rng)


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
        Series, at least two on each side.
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


def _median_gamma(vectors, rng):
    """Compute 1 / (median squared distance among distinct vectors)."""
    chosen = rng.permutation(len(vectors))[:_N_MEDIAN]
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
            raise ValueError("unbiased=True needs at least two series on each side.")
        else:
            within += (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))
    squared = within - 2 * rbf_kernel(a, b, gamma=gamma).mean()
    return squared if unbiased else max(squared, 0.0)


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
        Series, or features of them.
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
    # The kernel expands the square of a difference, which loses precision far from 0.
    center = real.mean(axis=0)
    real, generated = real - center, generated - center
    rng = check_random_state(random_state)
    if gamma is None:
        gamma = _median_gamma(real, rng)
    elif not gamma > 0:
        raise ValueError(f"gamma must be positive, got {gamma!r} instead.")

    def distance(a, b):
        return _squared_mmd(a, b, gamma, unbiased)

    return estimate(distance, real, generated, return_floor, rng)
