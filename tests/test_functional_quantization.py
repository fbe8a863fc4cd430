"""Lookup, losses and perplexity of codes against slow formulas."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.spatial.distance import cosine
from tensors import normal, seeds, small
from torch.autograd import gradcheck

from sktsrep.functional import (
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    orthogonal_loss,
    perplexity,
)


@given(seed=seeds, n_codes=small, dim=small, shape=st.lists(small, max_size=2))
def test_lookup_is_the_nearest_code(seed, n_codes, dim, shape):
    z, codebook = normal(*shape, dim, seed=seed), normal(n_codes, dim, seed=seed + 1)
    tokens = codebook_lookup(z, codebook)
    distance = (z.unsqueeze(-2) - codebook).square().sum(dim=-1)
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, distance.argmin(dim=-1))


def test_lookup_takes_the_first_of_equal_codes():
    codebook = torch.tensor([[9.0, 9], [1, 2], [1, 2], [-1, 2], [1, 2]])
    assert codebook_lookup(torch.tensor([[1.0, 2], [0, 2]]), codebook).tolist() == [
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("loss", "learner"), [(codebook_loss, 1), (commitment_loss, 0)]
)
def test_quantization_losses(loss, learner):
    pair = [normal(2, 3, seed=seed).requires_grad_() for seed in (1, 2)]
    difference = (pair[learner] - pair[1 - learner]).detach()
    value = loss(*pair)
    value.backward()
    assert_allclose(value.detach(), difference.square().mean())
    assert_allclose(pair[learner].grad, 2 * difference / 6)
    assert pair[1 - learner].grad is None


@given(n_codes=small, dim=small, seed=seeds)
def test_orthogonal_loss_is_the_slow_formula(n_codes, dim, seed):
    codebook = normal(n_codes, dim, seed=seed)
    pairs = itertools.product(enumerate(codebook.numpy()), repeat=2)
    expected = sum((1 - cosine(a, b) - (i == j)) ** 2 for (i, a), (j, b) in pairs)
    assert_allclose(orthogonal_loss(codebook), expected / n_codes**2, atol=1e-12)


def test_orthogonal_loss_at_known_points_and_its_gradient():
    codebook = normal(3, 4).requires_grad_()
    assert gradcheck(orthogonal_loss, codebook)
    assert_allclose(orthogonal_loss(5 * torch.eye(4)), 0)
    assert_allclose(orthogonal_loss(torch.ones(4, 2)), 12 / 16, rtol=1e-6)


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_perplexity_is_the_exponential_of_the_entropy(counts):
    expected = math.exp(stats.entropy(counts)) if any(counts) else 1
    assert_allclose(perplexity(torch.tensor(counts)), expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_perplexity_ignores_the_scale_of_the_counts(scale):
    assert_allclose(perplexity(scale * torch.ones(5)), 5, rtol=1e-5)
