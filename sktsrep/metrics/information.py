"""Information in tokens, and use of the codebook."""

import math
from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import mutual_info_score
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import column_or_1d

__all__ = [
    "codebook_correlation",
    "codebook_usage",
    "entropy",
    "kl_divergence",
    "mutual_information",
    "perplexity",
]


_BASE = [Interval(Real, 1, None, closed="neither")]


_CORRECTION = [StrOptions({"miller_madow"}), None]


def _check_symbols(codes, name="codes"):
    """Discrete values of any kind, as an array without missing ones."""
    values = check_array(
        codes, dtype=None, ensure_2d=False, allow_nd=True, input_name=name
    )
    if pd.isna(values).any():
        raise ValueError(f"{name} has missing values.")
    return values


def _entropy(values, correction, axis=None):
    """Plug-in entropy in nats, with Miller and Madow's first-order term."""
    counts = np.unique(values, return_counts=True, axis=axis)[1]
    bias = (len(counts) - 1) / (2 * counts.sum()) if correction else 0.0
    return stats.entropy(counts) + bias


@validate_params(
    {"codes": ["array-like"], "base": _BASE, "correction": _CORRECTION},
    prefer_skip_nested_validation=True,
)
def entropy(codes, *, base=math.e, correction=None):
    """Entropy of discrete values.

    Parameters
    ----------
    codes : array-like of any shape
        Tokens or labels; all values count as draws of one variable.
    base : float, default=e
        Of the logarithm, above 1: e for nats, 2 for bits.
    correction : {"miller_madow"} or None, default=None
        Whether to add (values seen - 1) / (2 draws), the first-order bias of the
        plug-in estimate [1]_.

    Returns
    -------
    float
        Between 0 and the logarithm of the number of values seen; with the correction
        it may exceed it.

    References
    ----------
    .. [1] Miller 1955, "Note on the bias of information estimates".

    Examples
    --------
    >>> from sktsrep.metrics import entropy
    >>> round(entropy([0, 1, 2, 3], base=2), 6)
    2.0
    """
    return float(_entropy(_check_symbols(codes), correction) / math.log(base))


@validate_params(
    {"codes": ["array-like"], "base": _BASE, "correction": _CORRECTION},
    prefer_skip_nested_validation=True,
)
def perplexity(codes, *, base=math.e, correction=None):
    """The base to the power of the entropy: the number of codes really in use.

    Parameters
    ----------
    codes : array-like of any shape
        Tokens of the whole data set: of a batch alone, perplexity depends on its size.
    base : float, default=e
        Of logarithm and power; the result is the same for every base.
    correction : {"miller_madow"} or None, default=None
        As for :func:`entropy`.

    Returns
    -------
    float
        Between 1 and the number of codes seen; with the correction it may be more.

    Notes
    -----
    The published perplexities of NC-VQVAE are means over batches, which are lower.

    Examples
    --------
    >>> from sktsrep.metrics import perplexity
    >>> round(perplexity([[0, 1], [7, 7]]), 4)
    2.8284
    """
    return float(base ** entropy(codes, base=base, correction=correction))


@validate_params(
    {
        "p": ["array-like"],
        "q": ["array-like"],
        "base": _BASE,
        "correction": _CORRECTION,
    },
    prefer_skip_nested_validation=True,
)
def kl_divergence(p, q, *, base=math.e, correction=None):
    r"""Kullback-Leibler divergence of discrete distributions.

    .. math:: \sum_i p_i \log (p_i / q_i)

    Parameters
    ----------
    p, q : array-like of shape (n_values,)
        Probabilities, or counts such as :func:`numpy.bincount` gives; each is divided
        by its sum.
    base : float, default=e
        Of the logarithm, above 1: e for nats, 2 for bits.
    correction : {"miller_madow"} or None, default=None
        Whether to subtract (values seen - 1) / (2 draws) of ``p``, which then must be
        counts; ``q`` is taken as known. The result may be negative.

    Returns
    -------
    float
        0 for equal distributions; infinite when ``p`` has a value that ``q`` has not.

    Examples
    --------
    >>> from sktsrep.metrics import kl_divergence
    >>> round(kl_divergence([1, 0], [0.25, 0.75], base=2), 6)
    2.0
    """
    p, q = (_check_histogram(x, name) for x, name in ((p, "p"), (q, "q")))
    check_consistent_length(p, q)
    divergence = stats.entropy(p, q)
    if correction:
        if not np.array_equal(p, p.round()):
            raise ValueError("A correction needs counts for p, got fractions.")
        divergence -= (np.count_nonzero(p) - 1) / (2 * p.sum())
    return float(divergence / math.log(base))


def _check_histogram(p, name):
    p = check_array(p, dtype=np.float64, ensure_2d=False, input_name=name)
    if p.ndim != 1 or p.min() < 0 or p.sum() == 0:
        raise ValueError(
            f"{name} must be one row of counts or probabilities, not all 0."
        )
    return p


@validate_params(
    {
        "codes": ["array-like"],
        "labels": ["array-like"],
        "base": _BASE,
        "normalized": ["boolean"],
        "correction": _CORRECTION,
    },
    prefer_skip_nested_validation=True,
)
def mutual_information(
    codes, labels, *, base=math.e, normalized=False, correction=None
):
    """Mutual information of tokens and labels.

    Parameters
    ----------
    codes : array-like of shape (n_samples,) or (n_samples, n_tokens)
        Discrete values. Of several tokens a series, one drawn at random is meant: its
        place is not looked at.
    labels : array-like of shape (n_samples,)
        Label of each series.
    base : float, default=e
        Of the logarithm, above 1; without effect on the normalized one.
    normalized : bool, default=False
        Whether to divide by the mean of both entropies.
    correction : {"miller_madow"} or None, default=None
        Whether to correct the three entropies that it consists of. Without, it is too
        large for many codes and few series; with it, it may be negative. The tokens of
        a series are not independent, so that some bias stays.

    Returns
    -------
    float
        0 for independence; 1 (normalized) when each determines the other.

    Raises
    ------
    ValueError
        When normalized and neither varies.

    See Also
    --------
    sklearn.metrics.normalized_mutual_info_score : The same without the correction.

    Examples
    --------
    >>> from sktsrep.metrics import mutual_information
    >>> round(mutual_information([[0, 0], [1, 2]], ["a", "b"], base=2), 6)
    1.0
    """
    codes, labels = (
        _check_symbols(codes),
        column_or_1d(_check_symbols(labels, "labels")),
    )
    check_consistent_length(codes, labels)
    n_tokens = codes.size // len(codes)
    codes = np.unique(codes.ravel(), return_inverse=True)[1].ravel()
    labels = np.repeat(np.unique(labels, return_inverse=True)[1], n_tokens)
    if correction is None and not normalized:
        return float(mutual_info_score(labels, codes) / math.log(base))
    entropies = _entropy(codes, correction), _entropy(labels, correction)
    joint = _entropy(np.stack([codes, labels]), correction, axis=1)
    information = sum(entropies) - joint
    if not normalized:
        return float(information / math.log(base))
    if sum(entropies) == 0:
        raise ValueError("All codes and all labels are equal: nothing to normalize by.")
    return float(information / np.mean(entropies))


@validate_params(
    {
        "codes": ["array-like"],
        "n_codes": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def codebook_usage(codes, n_codes):
    """Share of the codebook that occurs at least once.

    Parameters
    ----------
    codes : array-like of any shape
        Tokens, integers from 0 to ``n_codes - 1``.
    n_codes : int
        Size of the codebook.

    Returns
    -------
    float
        Between 1 / ``n_codes`` and 1.

    Examples
    --------
    >>> from sktsrep.metrics import codebook_usage
    >>> codebook_usage([[0, 1], [1, 1]], n_codes=8)
    0.25
    """
    used = np.unique(_check_symbols(codes))
    if used.dtype.kind not in "iu" or used[0] < 0 or used[-1] >= n_codes:
        raise ValueError(f"codes must be integers from 0 to {n_codes - 1}.")
    return len(used) / n_codes


def codebook_correlation(codebook):
    """Pearson correlation of every two codes, over their components.

    Parameters
    ----------
    codebook : array-like of shape (n_codes, code_dim)
        Codes of two components or more, none of them with all components equal.

    Returns
    -------
    ndarray of shape (n_codes, n_codes)
        The mean absolute value off the diagonal is the usual summary; that of random
        Gaussian codes is about ``sqrt(2 / (pi * code_dim))``.

    Examples
    --------
    >>> from sktsrep.metrics import codebook_correlation
    >>> codebook_correlation([[0.0, 1.0, 0.0], [2.0, 0.0, 2.0]]).round(6)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    codebook = check_array(codebook, dtype=np.float64, input_name="codebook")
    constant = np.flatnonzero(np.ptp(codebook, axis=1) == 0)
    if len(constant):
        raise ValueError(
            "A code whose components are all equal has no correlation with others: "
            f"rows {constant.tolist()}."
        )
    return np.atleast_2d(np.corrcoef(codebook))
