"""Spread and collapse of embeddings."""

import math
from numbers import Real

import numpy as np
from scipy import stats
from scipy.linalg import svdvals
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from sklearn.preprocessing import normalize
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, validate_params

__all__ = ["alignment", "effective_rank", "uniformity"]


def _check_embeddings(Z, name="Z"):
    return check_array(Z, dtype=np.float64, ensure_min_samples=2, input_name=name)


def effective_rank(Z):
    """Exponential of the entropy of the normalized singular values (RankMe).

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Embeddings of two series or more; they are centered first.

    Returns
    -------
    float
        At most the smaller of ``n_samples - 1`` and ``n_features``; near 1 after a
        dimensional collapse, 0 when all rows are equal.

    Notes
    -----
    RankMe [2]_ does not center: on embeddings with a large mean, its figures are lower.
    It depends on the number of series and the scale of the features.

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
    Z = _check_embeddings(Z)
    singular = svdvals(Z - Z.mean(axis=0))
    if singular[0] <= 1e-12 * np.abs(Z).max() * math.sqrt(Z.size):
        return 0.0
    return float(np.exp(stats.entropy(singular)))


def _check_directions(Z, name="Z"):
    """Embeddings of unit norm."""
    Z = check_array(Z, dtype=np.float64, input_name=name)
    if not Z.any(axis=1).all():
        raise ValueError(f"{name} has rows of zeros, which have no direction.")
    return normalize(Z)


@validate_params(
    {
        "Z": ["array-like"],
        "Z_prime": ["array-like"],
        "power": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def alignment(Z, Z_prime, *, power=2):
    """Mean distance of two views' embeddings on the unit sphere, to a power.

    Parameters
    ----------
    Z, Z_prime : array-like of shape (n_samples, n_features)
        Embeddings of two views; row by row they belong together.
    power : float, default=2
        Of the distance.

    Returns
    -------
    float
        0 for views of the same direction; at most ``2 ** power``.

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
            f"Both views must have one shape, got {Z.shape} and {Z_prime.shape}."
        )
    return float((np.linalg.norm(Z - Z_prime, axis=1) ** power).mean())


@validate_params(
    {
        "Z": ["array-like"],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def uniformity(Z, *, temperature=2):
    r"""How evenly embeddings are spread over the unit sphere; low is even.

    .. math:: \log E \exp(-t \|z - z'\|^2)

    over all pairs of different rows.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Embeddings of two series or more.
    temperature : float, default=2
        :math:`t`.

    Returns
    -------
    float
        At most 0, which means that all have one direction.

    References
    ----------
    Wang, Isola 2020, "Alignment and uniformity on the hypersphere", arXiv 2005.10242.

    Examples
    --------
    >>> from sktsrep.metrics import uniformity
    >>> round(uniformity([[1.0, 0.0], [-2.0, 0.0]]), 6)  # -2 * 2 ** 2
    -8.0
    """
    squared = pdist(_check_embeddings(_check_directions(Z)), "sqeuclidean")
    return float(logsumexp(-temperature * squared) - math.log(len(squared)))
