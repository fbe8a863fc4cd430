"""Information in tokens, and usage of the codebook."""

import math
from numbers import Integral, Real

import numpy as np
from scipy import stats
from scipy.special import log_softmax
from sklearn.metrics import mutual_info_score
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sktsrep.metrics._checks import (
    check_discrete,
    check_labels,
    check_numbers,
    check_vectors,
    exponent_of,
)

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


def _entropy(values, correction, axis=None):
    """Compute the plug-in entropy in nats, optionally with its correction."""
    counts = np.unique(values, return_counts=True, axis=axis)[1]
    bias = (len(counts) - 1) / (2 * counts.sum()) if correction else 0.0
    return stats.entropy(counts) + bias


@validate_params(
    {"tokens": ["array-like"], "base": _BASE, "correction": _CORRECTION},
    prefer_skip_nested_validation=True,
)
def entropy(tokens, *, base=math.e, correction=None):
    """Compute the entropy of tokens.

    Parameters
    ----------
    tokens : array-like of any shape
        Tokens or other discrete values; all count as draws of one variable.
    base : float, default=e
        Base of the logarithm, above 1: e for nats, 2 for bits.
    correction : {"miller_madow"} or None, default=None
        Whether to correct the plug-in estimate for its first-order bias [1]_: add
        (distinct values - 1) / (2 draws) nats.

    Returns
    -------
    float
        Between 0 and the logarithm of the number of distinct values; the correction may
        exceed that.

    References
    ----------
    .. [1] Miller 1955, "Note on the bias of information estimates".

    Examples
    --------
    >>> from sktsrep.metrics import entropy
    >>> round(entropy([0, 1, 2, 3], base=2), 6)
    2.0
    """
    tokens = check_discrete(tokens, "tokens")
    return float(_entropy(tokens, correction) / math.log(base))


@validate_params(
    {"tokens": ["array-like"], "base": _BASE, "correction": _CORRECTION},
    prefer_skip_nested_validation=True,
)
def perplexity(tokens, *, base=math.e, correction=None):
    """Compute the effective number of codes in use, ``base ** entropy``.

    Parameters
    ----------
    tokens : array-like of any shape
        Tokens of the whole data set; in a single batch, perplexity depends on its size.
    base : float, default=e
        Base of logarithm and power; the result is the same for every base.
    correction : {"miller_madow"} or None, default=None
        As for :func:`entropy`.

    Returns
    -------
    float
        Between 1 and the number of distinct tokens; the correction may exceed that.

    Notes
    -----
    The published perplexities of NC-VQVAE are means over batches, which are lower.

    Examples
    --------
    >>> from sktsrep.metrics import perplexity
    >>> round(perplexity([[0, 1], [7, 7]]), 4)
    2.8284
    """
    return float(base ** entropy(tokens, base=base, correction=correction))


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
    r"""Compute the Kullback-Leibler divergence of discrete distributions.

    .. math:: \sum_i p_i \log (p_i / q_i)

    Parameters
    ----------
    p, q : array-like of shape (n_values,)
        Probabilities, or counts as from :func:`numpy.bincount`; each is divided by its
        sum.
    base : float, default=e
        Base of the logarithm, above 1: e for nats, 2 for bits.
    correction : {"miller_madow"} or None, default=None
        Whether to subtract (distinct values - 1) / (2 draws) of ``p``, which must then
        hold counts; ``q`` is treated as known. The result may be negative.

    Returns
    -------
    float
        0 for equal distributions; infinite if ``q`` lacks a value that ``p`` has.

    Examples
    --------
    >>> from sktsrep.metrics import kl_divergence
    >>> round(kl_divergence([1, 0], [0.25, 0.75], base=2), 6)
    2.0
    """
    p, q = (_check_histogram(x, name) for x, name in ((p, "p"), (q, "q")))
    if len(p) != len(q):
        raise ValueError(f"p and q must have one length, got {len(p)} and {len(q)}.")
    log_p, log_q = _log_shares(p), _log_shares(q)
    held = p > 0
    divergence = np.sum(np.exp(log_p[held]) * (log_p[held] - log_q[held]))
    if not correction:
        return max(float(divergence / math.log(base)), 0.0)
    if not np.array_equal(p, p.round()):
        raise ValueError("The correction needs counts in p, got fractions.")
    # Divided first: the sum of large counts may exceed the range of floats.
    divergence -= (np.count_nonzero(p) - 1) / (2 * (p / p.max()).sum()) / p.max()
    return float(divergence / math.log(base))


def _log_shares(p):
    """Compute the logarithm of ``p / p.sum()``, of any size."""
    with np.errstate(divide="ignore"):
        return log_softmax(np.log(p))


def _check_histogram(p, name):
    p = check_numbers(p, name)
    if p.ndim != 1 or p.min() < 0 or not p.any():
        raise ValueError(
            f"{name} must be 1-D: counts or probabilities, not negative and not all 0."
        )
    return p


@validate_params(
    {
        "tokens": ["array-like"],
        "labels": ["array-like"],
        "base": _BASE,
        "normalized": ["boolean"],
        "correction": _CORRECTION,
    },
    prefer_skip_nested_validation=True,
)
def mutual_information(
    tokens, labels, *, base=math.e, normalized=False, correction=None
):
    """Compute the mutual information of tokens and labels.

    Parameters
    ----------
    tokens : array-like of shape (n_samples,) or (n_samples, n_tokens)
        Tokens or other discrete values. If a series has several tokens, the result is
        that of one token drawn at random; its position is ignored.
    labels : array-like of shape (n_samples,)
        Label of each series.
    base : float, default=e
        Base of the logarithm, above 1; it has no effect if ``normalized``.
    normalized : bool, default=False
        Whether to divide by the mean of both entropies.
    correction : {"miller_madow"} or None, default=None
        Whether to correct each of the three entropies. Without the correction, the
        result is too large when a small data set has many distinct tokens; with it,
        the result may be negative. Some bias remains, because the tokens of a series
        are not independent.

    Returns
    -------
    float
        0 for independence; if normalized, 1 when each determines the other.

    Raises
    ------
    ValueError
        If normalized and neither varies.

    See Also
    --------
    sklearn.metrics.normalized_mutual_info_score : The same without the correction.

    Examples
    --------
    >>> from sktsrep.metrics import mutual_information
    >>> round(mutual_information([[0, 0], [1, 2]], ["a", "b"], base=2), 6)
    1.0
    """
    tokens = check_discrete(tokens, "tokens")
    labels = check_labels(labels, "labels")
    check_consistent_length(tokens, labels)
    n_tokens = tokens.size // len(tokens)
    tokens = np.unique(tokens.ravel(), return_inverse=True)[1].ravel()
    labels = np.repeat(np.unique(labels, return_inverse=True)[1], n_tokens)
    if correction is None and not normalized:
        return float(mutual_info_score(labels, tokens) / math.log(base))
    entropies = _entropy(tokens, correction), _entropy(labels, correction)
    joint = _entropy(np.stack([tokens, labels]), correction, axis=1)
    information = sum(entropies) - joint
    if not normalized:
        return float(information / math.log(base))
    if sum(entropies) == 0:
        raise ValueError(
            "All tokens are equal and all labels are equal: nothing to normalize by."
        )
    return float(information / np.mean(entropies))


@validate_params(
    {
        "tokens": ["array-like"],
        "n_codes": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def codebook_usage(tokens, n_codes):
    """Compute the share of codes that are used at least once.

    Parameters
    ----------
    tokens : array-like of any shape
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
    used = np.unique(check_discrete(tokens, "tokens"))
    if used.dtype.kind not in "iu" or used[0] < 0 or used[-1] >= n_codes:
        raise ValueError(
            f"tokens must be integers from 0 to {n_codes - 1}, got values from "
            f"{used[0]} to {used[-1]} instead."
        )
    return len(used) / n_codes


def codebook_correlation(codebook):
    """Compute the Pearson correlation of every pair of codes, over their components.

    Parameters
    ----------
    codebook : array-like of shape (n_codes, code_dim)
        Codes with at least two components; the components of a code must not all be
        equal.

    Returns
    -------
    ndarray of shape (n_codes, n_codes)
        Correlations. The mean absolute value off the diagonal is the usual summary,
        about ``sqrt(2 / (pi * code_dim))`` for random Gaussian codes.

    Examples
    --------
    >>> from sktsrep.metrics import codebook_correlation
    >>> codebook_correlation([[0.0, 1.0, 0.0], [2.0, 0.0, 2.0]]).round(6)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    codebook = check_vectors(codebook, "codebook")
    constant = np.flatnonzero((codebook == codebook[:, :1]).all(axis=1))
    if len(constant):
        raise ValueError(
            "A code of codebook whose components are all equal has no correlation with "
            f"other codes: rows {constant.tolist()}."
        )
    return correlate_rows(codebook)


def correlate_rows(x):
    """Compute the Pearson correlation of rows of any size; NaN for constant rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(np.ldexp(x, -exponent_of(x, axis=1))))
