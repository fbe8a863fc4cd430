"""Information, codebooks and embeddings: known answers and invariances."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

from sktsrep import metrics
from sktsrep.functional import effective_rank as tensor_effective_rank

tokens = st.lists(st.integers(0, 5), min_size=1, max_size=40)
seeds = st.integers(0, 2**31 - 1)


# -------------------------------------------------------------------------- information


def test_entropy_of_known_distributions():
    assert metrics.entropy([3] * 7) == 0
    assert metrics.entropy(np.arange(8), base=2) == pytest.approx(3)
    assert metrics.entropy(["a", "a", "b", "b"], base=10) == pytest.approx(np.log10(2))
    assert metrics.perplexity(np.arange(6).reshape(2, 3)) == pytest.approx(6)


@given(tokens)
def test_entropy_is_scipys(values):
    counts = np.bincount(values)
    assert metrics.entropy(values) == pytest.approx(stats.entropy(counts), abs=1e-12)


@given(tokens, st.floats(1.1, 50), st.randoms(use_true_random=False))
def test_entropy_invariances(values, base, random):
    nats = metrics.entropy(values)
    assert metrics.entropy(values, base=base) * np.log(base) == pytest.approx(nats)
    assert metrics.perplexity(values, base=base) == pytest.approx(np.exp(nats))
    shuffled = random.sample(values, len(values))
    renamed = [f"token {17 - value}" for value in shuffled]
    assert metrics.entropy(renamed) == pytest.approx(nats, abs=1e-12)


def test_miller_madow_removes_most_of_the_bias():
    draws = np.random.default_rng(0).integers(16, size=(200, 60))
    plain = np.mean([metrics.entropy(row) for row in draws])
    corrected = np.mean(
        [metrics.entropy(row, correction="miller_madow") for row in draws]
    )
    assert abs(corrected - np.log(16)) < 0.2 * abs(plain - np.log(16))


def test_kl_of_gaussians():
    grid = np.linspace(-20, 20, 4001)
    p, q = stats.norm.pdf(grid, 0, 1), stats.norm.pdf(grid, 1, 2)
    closed_form = np.log(2) + (1 + 1) / (2 * 4) - 0.5
    assert metrics.kl_divergence(p, q) == pytest.approx(closed_form, abs=1e-8)


def test_kl_at_the_edges():
    assert metrics.kl_divergence([1, 2, 3], [2, 4, 6]) == pytest.approx(0, abs=1e-12)
    assert metrics.kl_divergence([1, 1], [1, 0]) == np.inf
    corrected = metrics.kl_divergence([3, 5], [1, 1], correction="miller_madow")
    plain = metrics.kl_divergence([3, 5], [1, 1])
    assert corrected == pytest.approx(plain - 1 / 16)
    with pytest.raises(ValueError, match="counts"):
        metrics.kl_divergence([0.5, 0.5], [1, 1], correction="miller_madow")
    for p in ([0, 0], [-1, 2], [[1, 1]], [np.nan, 1]):
        with pytest.raises(ValueError, match="p"):
            metrics.kl_divergence(p, [1, 1])


@given(tokens, seeds)
def test_mutual_information_is_scikit_learns(values, seed):
    labels = np.random.default_rng(seed).integers(3, size=len(values))
    expected = mutual_info_score(labels, values)
    information = metrics.mutual_information(values, labels)
    assert information == pytest.approx(expected, abs=1e-12)
    if len(set(values)) > 1 or len(set(labels)) > 1:
        normalized = metrics.mutual_information(values, labels, normalized=True)
        expected = normalized_mutual_info_score(labels, values)
        assert normalized == pytest.approx(expected, abs=1e-9)


def test_mutual_information_of_tokens_and_its_correction():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 50)
    tokens = np.where(labels == "a", 0, 1)[:, None].repeat(4, axis=1)
    assert metrics.mutual_information(tokens, labels, base=2) == pytest.approx(1)
    assert metrics.mutual_information(tokens, labels, normalized=True) == (
        pytest.approx(1)
    )
    noise = rng.integers(16, size=(100, 100))
    plain = [metrics.mutual_information(row, labels) for row in noise]
    corrected = [
        metrics.mutual_information(row, labels, correction="miller_madow")
        for row in noise
    ]
    assert abs(np.mean(corrected)) < 0.25 * np.mean(plain)


def test_one_class_has_no_normalized_information():
    assert metrics.mutual_information([0, 1, 2], ["a"] * 3) == pytest.approx(0)
    with pytest.raises(ValueError, match="nothing to normalize"):
        metrics.mutual_information([0, 0], ["a", "a"], normalized=True)


@pytest.mark.parametrize("bad", [[], [0.0, np.nan], [None, 1]])
def test_bad_tokens(bad):
    with pytest.raises(ValueError):
        metrics.entropy(bad)
    with pytest.raises(ValueError):
        metrics.codebook_usage(bad, 4)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="tokens has missing values"):
        metrics.entropy(np.array([None, 1], dtype=object))
    with pytest.raises(ValueError, match="labels has missing values"):
        metrics.mutual_information([0, 1], np.array([None, 1], dtype=object))
    with pytest.raises(ValueError, match="tokens must be integers from 0 to 3"):
        metrics.codebook_usage([4], 4)


@pytest.mark.parametrize("params", [{"base": 1}, {"base": -2}, {"correction": "bayes"}])
def test_bad_parameters(params):
    with pytest.raises(ValueError, match="parameter of entropy"):
        metrics.entropy([0, 1], **params)


# -------------------------------------------------------------------- codes, embeddings


def test_codebooks():
    assert metrics.codebook_usage([[0, 3], [3, 3]], 4) == 0.5
    for bad in ([0, 4], [-1, 0], [0.0, 1.0]):
        with pytest.raises(ValueError, match="integers from 0 to 3"):
            metrics.codebook_usage(bad, 4)
    codebook = np.random.default_rng(0).normal(size=(5, 8))
    correlation = metrics.codebook_correlation(codebook)
    np.testing.assert_allclose(correlation, np.corrcoef(codebook))
    np.testing.assert_allclose(
        correlation, metrics.codebook_correlation(3 * codebook - 1)
    )
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        metrics.codebook_correlation([[0.0, 1.0], [2.0, 2.0]])


def test_effective_rank():
    torch = pytest.importorskip("torch")
    Z = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 7) + 100
    covariance = torch.tensor(np.cov(Z.T))
    rank = metrics.effective_rank(Z)
    assert rank == pytest.approx(float(tensor_effective_rank(covariance)))
    rotation = stats.ortho_group.rvs(6, random_state=0)
    assert metrics.effective_rank(-2 * Z @ rotation + 3) == pytest.approx(rank)
    assert metrics.effective_rank(np.outer(np.arange(9), [1, 2])) == pytest.approx(1)
    assert metrics.effective_rank(np.full((9, 4), 0.1)) == 0
    with pytest.raises(ValueError, match="minimum of 2"):
        metrics.effective_rank(np.ones((1, 4)))


def test_alignment_and_uniformity():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 8))
    assert metrics.alignment(Z, 3 * Z) == pytest.approx(0, abs=1e-12)
    assert metrics.alignment(Z, -Z, power=1) == pytest.approx(2)
    assert metrics.uniformity(np.ones((4, 3))) == pytest.approx(0)
    assert metrics.uniformity(Z) < metrics.uniformity(Z + 1) < 0
    assert metrics.uniformity(Z) == pytest.approx(metrics.uniformity(5 * Z[::-1]))
    for function in (metrics.uniformity, lambda z: metrics.alignment(z, z)):
        with pytest.raises(ValueError, match="no direction"):
            function(np.zeros((3, 2)))


def test_tokens_may_be_text():
    tokens, labels = ["a", "b", "a", "c"], [0, 1, 0, 1]
    for kind in (np.array(tokens, dtype=object), pd.Series(tokens), tokens):
        assert metrics.mutual_information(kind, labels) == pytest.approx(np.log(2))


# ------------------------------------------------------------------------- any size


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
def test_embeddings_and_codebooks_of_any_size(exponent):
    Z = np.random.default_rng(0).normal(size=(20, 5))
    far = np.ldexp(Z, exponent)
    for function in (
        metrics.effective_rank,
        metrics.uniformity,
        lambda Z: metrics.alignment(Z, Z[::-1]),
        lambda Z: metrics.codebook_correlation(Z)[0, 1],
        lambda Z: metrics.kl_divergence(np.abs(Z[0]), np.abs(Z[1])),
    ):
        assert function(far) == pytest.approx(function(Z), rel=1e-9)


def test_kl_of_shares_far_apart():
    share = metrics.kl_divergence([1.0, 1.0], [1e-300, 1e300])
    assert share == pytest.approx(300 * np.log(10) - np.log(2))
    counts = [1.5e308, 1.5e308]
    assert metrics.kl_divergence(counts, counts, correction="miller_madow") == (
        pytest.approx(0, abs=1e-12)
    )


def test_parameters_that_are_too_large():
    Z = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(ValueError, match="power=10000"):
        metrics.alignment(Z, -Z, power=10_000)
    with pytest.raises(ValueError, match="temperature=1e"):
        metrics.uniformity(np.eye(2), temperature=1e308)
    with pytest.raises(ValueError, match="base"):
        metrics.entropy([0, 1], base=np.inf)


@pytest.mark.parametrize(
    "function",
    [
        metrics.effective_rank,
        metrics.uniformity,
        lambda Z: metrics.alignment(Z, Z),
        metrics.codebook_correlation,
    ],
)
@pytest.mark.parametrize(
    ("Z", "match"),
    [
        ([[np.nan, 1.0], [1.0, 2.0]], "(Z|codebook) contains NaN"),
        (np.ma.masked_greater([[0.0, 1.0], [2.0, 3.0]], 2), "has masked values"),
        ([[1.0], [1.0, 2.0]], "length"),
        (np.ones((2, 0)), "(Z|codebook) is empty"),
        (np.ones((2, 2, 2)), r"must have shape \(n_samples, n_features\)"),
    ],
)
def test_embeddings_that_are_refused(function, Z, match):
    with pytest.raises(ValueError, match=match):
        function(Z)


def test_tokens_that_are_refused():
    for tokens, error, match in (
        (np.ma.masked_equal([0, 1, 1], 1), ValueError, "tokens has masked values"),
        ([[0], [1, 2]], ValueError, "tokens must have equal length"),
        (np.array([0, "a"], dtype=object), TypeError, "tokens must hold values of one"),
    ):
        with pytest.raises(error, match=match):
            metrics.entropy(tokens)
