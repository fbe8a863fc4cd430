"""Tests of limits that channels keep, and samples with them."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktsrep import load
from sktsrep._limits import find_limits, find_values, keep_limits, keep_values
from tests.estimators import tiny_autoregressive, tiny_sampler, tiny_tokenizer, waves


def days(n_samples=40, n_timepoints=30, seed=0):
    """Lowest, first and highest prices, of which many are the same; then a trade."""
    rng = np.random.default_rng(seed)
    first = 100 + rng.normal(size=(n_samples, n_timepoints)).cumsum(axis=1)
    up, down = np.maximum(rng.normal(size=(2, n_samples, n_timepoints)), 0)
    trade = rng.normal(size=first.shape)
    return np.stack([first - down, first, first + up, trade], axis=1)


def is_possible(X, slack=1e-6):
    low, first, high, _ = np.moveaxis(X, 1, 0)
    return (low <= first + slack) & (first <= high + slack)


@pytest.mark.parametrize("scale", [np.ones(4), np.array([1e-6, 1e6, 3.0, 1.0])])
def test_one_channel_above_another_in_any_units(scale):
    X = days()
    units = scale[:, None], 7 * scale[:, None]
    limits = find_limits(X * units[0] + units[1])
    assert len(limits["bound"]) == 3  # the lowest is below the highest, too
    assert (limits["normal"][:, 3] == 0).all()
    noisy = X + np.random.default_rng(1).normal(size=X.shape)
    assert not is_possible(noisy).all()
    kept = keep_limits(noisy * units[0] + units[1], limits)
    kept = (kept - units[1]) / units[0]
    assert is_possible(kept).all()
    fine = is_possible(noisy)
    moved = np.abs(kept - noisy).max(axis=1)
    np.testing.assert_allclose(moved[fine], 0, atol=1e-7)
    assert moved.max() < 5  # by no more than they were beyond


def test_limits_of_one_channel():
    rng = np.random.default_rng(0)
    rain = np.clip(rng.normal(size=(40, 30)), 0, 1.5)
    limits = find_limits(rain)
    X = keep_limits(2 * rng.normal(size=(5, 30)), limits)
    np.testing.assert_allclose([X.min(), X.max()], [0, 1.5], atol=1e-8)
    assert len(find_limits(rng.normal(size=(40, 30)))["bound"]) == 0


def test_equal_channels_stay_equal():
    X, _ = waves(n_channels=1)
    limits = find_limits(np.concatenate([X, 3 * X + 1], axis=1))
    kept = keep_limits(np.random.default_rng(0).normal(size=(5, 2, 20)), limits)
    np.testing.assert_allclose(kept[:, 1], 3 * kept[:, 0] + 1, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 40))
def test_series_of_fit_keep_their_limits(seed, n_channels, n_samples):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, size=(n_samples, n_channels, 12)).astype(float)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[..., 0] = 1.0
    limits = find_limits(X)
    np.testing.assert_allclose(keep_limits(X, limits), X, atol=1e-6)
    beyond = keep_limits(10 * X, limits)
    again = keep_limits(beyond, limits)
    np.testing.assert_allclose(again, beyond, atol=1e-6)
    products = np.einsum("lc,nct->lnt", limits["normal"], beyond)
    assert (np.nan_to_num(products - limits["bound"][:, None, None]) < 1e-3).all()


def test_constant_channels_and_few_values_have_no_limits():
    X = days()[:, ::3]
    assert len(find_limits(X)["bound"]) == 0
    X[:, 1] = 5
    assert len(find_limits(X)["bound"]) == 0
    assert len(find_limits(days()[:1, :, :2])["bound"]) == 0
    assert len(find_limits(np.full((3, 20), np.nan))["bound"]) == 0
    limits = find_limits(1e300 * np.maximum(days(), 0))
    assert len(limits["bound"]) == 0


@pytest.mark.parametrize("make", [tiny_sampler, tiny_autoregressive])
def test_samples_keep_the_limits_of_training_series(make, tmp_path):
    X = days()
    sampler = make(tiny_tokenizer()).fit(X)
    sampler.texture_ = np.tile(2 * np.eye(4), (9, 1, 1))  # rougher than it would be
    samples = sampler.sample(50, random_state=0)
    assert is_possible(samples).all()
    without = copy.copy(sampler)
    without._limits = None
    assert not is_possible(without.sample(50, random_state=0)).all()
    sampler.save(tmp_path / "sampler.safetensors")
    again = load(tmp_path / "sampler.safetensors").sample(50, random_state=0)
    np.testing.assert_array_equal(again, samples)


def test_samples_of_unequal_lengths_end_where_they_end():
    X = [x[:, : 30 - i % 7] for i, x in enumerate(days())]
    samples = tiny_sampler(tiny_tokenizer()).fit(X).sample(20, random_state=0)
    ends = np.isnan(samples).all(axis=1)
    assert ends.any()
    assert is_possible(samples)[~ends].all()


def test_channels_of_few_values_are_found():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3, 40))
    X[:, 1] = rng.choice([-2.5, 0.0, 7.0], size=(20, 40))
    X[3, 1, 5:] = np.nan
    values = find_values(X)
    np.testing.assert_array_equal(values["channel"], [1, 1, 1])
    np.testing.assert_array_equal(values["value"], [-2.5, 0.0, 7.0])
    np.testing.assert_array_equal(keep_values(X, values), X)
    drawn = rng.normal(size=(5, 3, 40)).astype(np.float32)
    kept = keep_values(drawn, values)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept[:, ::2], drawn[:, ::2])
    gaps = np.abs(drawn[:, 1, :, None] - values["value"])
    np.testing.assert_array_equal(kept[:, 1], values["value"][gaps.argmin(axis=-1)])
    assert len(find_values(X[:1, :, :3])["value"]) == 0


def test_samples_take_values_of_fit(tmp_path):
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(4, size=(40, 50)) * 0.1, rng.normal(size=(40, 50))], 1)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    sampler.save(tmp_path / "sampler.safetensors")
    drawn = load(tmp_path / "sampler.safetensors").sample(5, random_state=0)
    assert set(np.unique(drawn[:, 0])) <= set(np.unique(X[:, 0]))
    assert len(np.unique(drawn[:, 1])) > 200
