"""Spread and collapse of embeddings."""

import math
from numbers import Real

import numpy as np
from scipy import stats
from scipy.linalg import svdvals
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval, validate_params

from sktsrep.metrics._checks import check_vectors, exponent_of, row_blocks

__all__ = ["alignment", "effective_rank", "uniformity"]

_ROUNDING = 1e-12  # relative error of a mean in float64, with a wide margin


def effective_rank(Z):
    """Compute the effective rank (RankMe): exp(entropy of normalized singular values).

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Embeddings of at least two series; they are centered first.

    Returns
    -------
    float
        At most ``min(n_samples - 1, n_features)``; near 1 after a dimensional
        collapse, 0 when all rows are equal.

    Notes
    -----
    RankMe [2]_ does not center, so its figures are lower on embeddings with a large
    mean. The rank depends on the number of series and the scale of the features.

    References
    ----------
    .. [1] Roy, Vetterli 2007, "The effective rank".
    .. [2] Garrido et al. 2023, "RankMe", arXiv 2210.02885.

    Examples
    --------
    >>> from sktsrep.metrics import effective_rank
    >>> round(effective_rank([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), 6)
    2.0
    """
    Z = check_vectors(Z, "Z", 2)
    Z = np.ldexp(Z, -exponent_of(Z))
    singular = svdvals(Z - Z.mean(axis=0))
    # Equal rows are left with the rounding of their mean.
    if singular[0] <= _ROUNDING * np.abs(Z).max() * math.sqrt(Z.size):
        return 0.0
    return float(np.exp(stats.entropy(singular)))


def _check_directions(Z, name="Z", n_samples=1):
    """Check embeddings and scale them to unit norm."""
    Z = check_vectors(Z, name, n_samples)
    if not Z.any(axis=1).all():
        raise ValueError(f"{name} has rows of zeros, which have no direction.")
    return normalize(np.ldexp(Z, -exponent_of(Z, axis=1)))


@validate_params(
    {
        "Z": ["array-like"],
        "Z_prime": ["array-like"],
        "power": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def alignment(Z, Z_prime, *, power=2):
    """Compute the mean distance between two views on the unit sphere.

    Parameters
    ----------
    Z, Z_prime : array-like of shape (n_samples, n_features)
        Embeddings of two views; row i of both belongs to series i.
    power : float, default=2
        Power to which each distance is raised.

    Returns
    -------
    float
        Between 0 (equal directions) and ``2 ** power``; lower is better.

    References
    ----------
    Wang, Isola 2020, "Alignment and uniformity on the hypersphere", arXiv 2005.10242.

    Examples
    --------
    >>> from sktsrep.metrics import alignment
    >>> round(alignment([[1.0, 0.0]], [[0.0, 3.0]]), 6)
    2.0
    """
    Z, Z_prime = _check_directions(Z), _check_directions(Z_prime, "Z_prime")
    if Z.shape != Z_prime.shape:
        raise ValueError(
            f"Z and Z_prime must have one shape, got {Z.shape} and {Z_prime.shape}."
        )
    with np.errstate(over="ignore"):
        value = float((np.linalg.norm(Z - Z_prime, axis=1) ** power).mean())
    if not math.isfinite(value):
        raise ValueError(f"power={power} is too large: the result is infinite.")
    return value


@validate_params(
    {
        "Z": ["array-like"],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def uniformity(Z, *, temperature=2):
    r"""Measure how evenly embeddings spread over the unit sphere; lower is more even.

    .. math:: \log E \exp(-t \|z - z'\|^2)

    where the mean is over all pairs of different rows :math:`z, z'` of unit norm.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Embeddings of at least two series.
    temperature : float, default=2
        The factor :math:`t`.

    Returns
    -------
    float
        At most 0, which is reached when all embeddings have one direction.

    References
    ----------
    Wang, Isola 2020, "Alignment and uniformity on the hypersphere", arXiv 2005.10242.

    Examples
    --------
    >>> from sktsrep.metrics import uniformity
    >>> round(uniformity([[1.0, 0.0], [-2.0, 0.0]]), 6)  # -2 * 2 ** 2
    -8.0
    """
    Z = _check_directions(Z, n_samples=2)
    n = len(Z)
    blocks = row_blocks(n, n + Z.shape[1])
    with np.errstate(over="ignore"):
        total = logsumexp([_log_sum(Z, rows, temperature) for rows in blocks])
    value = float(total - math.log(n * (n - 1) / 2))
    if not math.isfinite(value):
        raise ValueError(
            f"temperature={temperature} is too large: the result is infinite."
        )
    return value


def _log_sum(Z, rows, temperature):
    """Sum the kernel over the pairs of some rows with later ones; return its log."""
    squared = cdist(Z[rows], Z[rows.start :], "sqeuclidean")
    squared[np.tril_indices(len(squared))] = np.inf  # pairs with themselves, or earlier
    return logsumexp(-temperature * squared)
