"""Schedules, masks and draws: exact counts and expected frequencies."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from tensors import generator, normal, seeds, small

from sktsrep.functional import (
    MASK_SCHEDULES,
    mask_fraction,
    n_masked_tokens,
    random_token_mask,
    remask,
    sample_categorical,
)

schedules = pytest.mark.parametrize("schedule", MASK_SCHEDULES)


MEAN_SHARE = dict(
    cosine=2 / math.pi, linear=1 / 2, square=2 / 3, cubic=3 / 4, sqrt=1 / 3
)


@schedules
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mask_fraction_falls_from_one_to_zero(schedule, dtype):
    share = mask_fraction(torch.linspace(0, 1, 101, dtype=dtype), schedule)
    assert share.dtype == dtype
    assert (share.diff() < 0).all()
    assert share[0] == 1
    assert 0 <= share[-1] < 1e-15
    assert_allclose(share.mean(), MEAN_SHARE[schedule], atol=0.01)


def test_mask_fraction_names_the_schedules():
    with pytest.raises(ValueError, match="cosine"):
        mask_fraction(torch.zeros(1), "cosin")


@schedules
@given(n_steps=st.integers(1, 30), n_tokens=st.integers(0, 40))
def test_n_masked_tokens_follows_the_schedule(schedule, n_steps, n_tokens):
    start = torch.tensor([n_tokens])
    for step in range(1, n_steps):
        left = n_masked_tokens(step, n_steps, start, start, schedule)
        share = float(mask_fraction(torch.tensor(step / n_steps).double(), schedule))
        wanted = {math.floor(share * n_tokens + slip) for slip in (-1e-6, 0, 1e-6)}
        assert int(left) in {max(min(max(n, 1), n_tokens - 1), 0) for n in wanted}
    assert n_masked_tokens(n_steps, n_steps, start, start, schedule) == 0


@schedules
def test_random_token_mask_follows_the_schedule(schedule):
    mask = random_token_mask(4000, 50, schedule, generator=generator())
    share = mask.double().mean()
    assert mask.dtype == torch.bool
    assert mask.any(dim=1).all()
    assert_allclose(share, MEAN_SHARE[schedule] + 0.5 / 50, atol=0.02)
    assert_allclose(mask.double().mean(dim=0), share, atol=0.04)  # no preferred place
    assert len(mask.sum(dim=1).unique()) > 30  # every row has its own ratio


@given(n_samples=st.integers(0, 5), n_tokens=small, seed=seeds)
def test_random_token_mask_has_a_masked_token_in_every_row(n_samples, n_tokens, seed):
    draws = [
        random_token_mask(n_samples, n_tokens, generator=generator(seed))
        for _ in range(2)
    ]
    assert draws[0].shape == (n_samples, n_tokens)
    assert draws[0].any(dim=1).all()
    assert torch.equal(*draws)


def test_a_whole_number_of_masked_tokens_is_not_rounded_down():
    n_tokens = torch.tensor([22])
    for step in range(1, 22):
        left = n_masked_tokens(step, 22, n_tokens, n_tokens, "linear")
        assert left == 22 - step


@given(seed=seeds, hidden=st.sets(st.integers(0, 5), max_size=5))
def test_sample_categorical_never_draws_the_impossible(seed, hidden):
    logits = normal(200, 6, seed=seed)
    logits[:, list(hidden)] = -torch.inf
    tokens, log_probability = sample_categorical(logits, generator=generator(seed))
    assert hidden.isdisjoint(tokens.tolist())
    expected = logits.log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    assert_allclose(log_probability, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sample_categorical_frequencies(dtype):
    probability = torch.tensor([1 / 2, 0, 1 / 4, 1 / 8, 1 / 16, 1 / 16], dtype=dtype)
    logits = probability.log().expand(16_000, 6) + 5
    tokens, log_probability = sample_categorical(logits, generator=generator())
    counts, expected = tokens.bincount(minlength=6), 16_000 * probability
    assert log_probability.dtype == torch.float64
    assert counts[1] == 0
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_sample_categorical_takes_any_leading_shape(shape):
    logits = normal(6, *shape).movedim(0, -1)  # not contiguous
    tokens, log_probability = sample_categorical(logits, generator=generator())
    assert tokens.shape == log_probability.shape == shape


@given(seed=seeds, n_tokens=small, temperature=st.sampled_from([0.0, 1.0, 10.0]))
def test_remask_masks_the_exact_number_of_unknown_tokens(seed, n_tokens, temperature):
    source = generator(seed)
    unknown = torch.rand(4, n_tokens, generator=source) < 0.7
    n_masked = (unknown.sum(dim=1) * torch.rand(4, generator=source)).round().long()
    log_probability = -torch.rand(4, n_tokens, dtype=torch.float64, generator=source)
    masked = remask(log_probability, unknown, n_masked, temperature, generator=source)
    assert torch.equal(masked.sum(dim=1), n_masked)
    assert not (masked & ~unknown).any()


def test_remask_without_noise_masks_the_least_confident():
    log_probability = torch.tensor([[-3.0, -1, -2, -9]], dtype=torch.float64)
    unknown = torch.tensor([[True, True, True, False]])
    masked = remask(log_probability, unknown, torch.tensor([2]))
    assert masked.tolist() == [[True, False, True, False]]


def test_remask_noise_is_gumbel():
    """The token kept maximizes log p + Gumbel noise, which makes it a draw from p."""
    probability = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    log_probability = probability.log().expand(5000, 3)
    unknown = torch.ones(5000, 3, dtype=torch.bool)
    n_masked = torch.full((5000,), 2)
    masked = remask(log_probability, unknown, n_masked, 1.0, generator=generator())
    kept = (~masked).sum(dim=0)
    assert stats.chisquare(kept, 5000 * probability).pvalue > 1e-3


@schedules
@given(n_tokens=st.integers(1, 20), n_steps=st.integers(1, 25), seed=seeds)
def test_decoding_ends_with_no_token_masked(schedule, n_tokens, n_steps, seed):
    source = generator(seed)
    unknown = torch.rand(3, n_tokens, generator=source) < 0.8
    n_start = unknown.sum(dim=1)
    for step in range(1, n_steps + 1):
        before = unknown
        n_masked = n_masked_tokens(step, n_steps, n_start, before.sum(dim=1), schedule)
        _, log_p = sample_categorical(torch.zeros(3, n_tokens, 4), generator=source)
        unknown = remask(log_p, before, n_masked, 1.0, generator=source)
        assert (unknown <= before).all()
        assert ((unknown.sum(dim=1) < before.sum(dim=1)) | ~before.any(dim=1)).all()
    assert not unknown.any()
