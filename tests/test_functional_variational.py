"""Terms of the evidence lower bound against torch's distributions."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from tensors import normal
from torch.autograd import gradcheck
from torch.distributions import Normal, kl_divergence

from sktsrep.functional import (
    gaussian_kl,
    gaussian_nll,
)


def test_gaussian_kl_against_torch_and_monte_carlo():
    mean, log_variance = normal(2, 3, 4)
    posterior = Normal(mean, (log_variance / 2).exp())
    prior = Normal(torch.zeros_like(mean), 1.0)
    noise = normal(50_000, 3, 4, seed=1)
    draws = mean + posterior.stddev * noise
    ratio = (posterior.log_prob(draws) - prior.log_prob(draws)).sum(dim=-1)
    error = ratio.std(dim=0) / math.sqrt(len(ratio))
    exact = gaussian_kl(mean, log_variance)
    assert_allclose(exact, kl_divergence(posterior, prior).sum(dim=-1))
    assert ((ratio.mean(dim=0) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize("shape", [(5, 3, 4), (3, 4), (5, 1, 1), ()])
def test_gaussian_nll_against_scipy(shape):
    x, mean = normal(2, 5, 3, 4)
    log_variance = normal(*shape, seed=1)
    density = stats.norm(mean.numpy(), np.exp(log_variance.numpy() / 2)).logpdf(x)
    assert_allclose(gaussian_nll(x, mean, log_variance), -density.sum(axis=(1, 2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaussian_functions_keep_the_dtype(dtype):
    x, mean, log_variance = normal(3, 5, 4, dtype=dtype)
    assert gaussian_kl(mean, log_variance).dtype == dtype
    assert gaussian_nll(x, mean, log_variance).dtype == dtype


def test_gaussian_gradients_by_finite_differences():
    x, mean, log_variance = (part.requires_grad_() for part in normal(3, 2, 3).unbind())
    assert gradcheck(gaussian_kl, (mean, log_variance))
    assert gradcheck(gaussian_nll, (x, mean, log_variance))
