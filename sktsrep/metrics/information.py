"""Information in tokens, and usage of the codebook."""

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


def _check_discrete(values, name="tokens"):
    """Check discrete values of any dtype; none may be missing."""
    values = check_array(
        values, dtype=None, ensure_2d=False, allow_nd=True, input_name=name
    )
    if pd.isna(values).any():
        raise ValueError(f"{name} has missing values.")
    return values


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
    return float(_entropy(_check_discrete(tokens), correction) / math.log(base))


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
    check_consistent_length(p, q)
    divergence = stats.entropy(p, q)
    if correction:
        if not np.array_equal(p, p.round()):
            raise ValueError("The correction needs counts in p, got fractions.")
        divergence -= (np.count_nonzero(p) - 1) / (2 * p.sum())
    return float(divergence / math.log(base))


def _check_histogram(p, name):
    p = check_array(p, dtype=np.float64, ensure_2d=False, input_name=name)
    if p.ndim != 1 or p.min() < 0 or p.sum() == 0:
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
    tokens = _check_discrete(tokens)
    labels = column_or_1d(_check_discrete(labels, "labels"))
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
    used = np.unique(_check_discrete(tokens))
    if used.dtype.kind not in "iu" or used[0] < 0 or used[-1] >= n_codes:
        raise ValueError(f"tokens must be integers from 0 to {n_codes - 1}.")
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
    codebook = check_array(codebook, dtype=np.float64, input_name="codebook")
    constant = np.flatnonzero(np.ptp(codebook, axis=1) == 0)
    if len(constant):
        raise ValueError(
            "A code whose components are all equal has no correlation with other "
            f"codes: rows {constant.tolist()}."
        )
    return np.atleast_2d(np.corrcoef(codebook))
