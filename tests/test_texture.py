"""Noise that samples lack beside real series."""

import numpy as np
import pytest
from estimators import tiny_sampler, tiny_tokenizer, waves
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import welch

from sktsrep._texture import _SHARE, add_texture, find_texture


def smooth_series(n_samples=200, n_timepoints=96, n_channels=None):
    rng = np.random.default_rng(0)
    shape = (n_samples, 1) if n_channels is None else (n_samples, n_channels, 1)
    return np.sin(np.arange(n_timepoints) / 9 + rng.uniform(0, 6, shape))


def power(X):
    """Relative to the series' deviations."""
    X = X / X.std(axis=1, keepdims=True)
    return welch(X, nperseg=16, noverlap=12)[1].mean(axis=0)


@given(scale=st.floats(0.1, 0.3), low=st.booleans())
def test_half_of_the_missing_power_comes_back(scale, low):
    rng = np.random.default_rng(1)
    smooth = smooth_series(n_timepoints=256)
    noise = rng.normal(scale=scale, size=smooth.shape)
    if low:  # not white
        noise = (noise + np.roll(noise, 1, axis=1)) / 2
    real = smooth + noise
    rough = add_texture(smooth, find_texture(real, smooth), 0)
    before, now, goal = (power(x)[2:-1] for x in (smooth, rough, real))
    returned = (now - before).sum() / (goal - before).sum()
    assert returned == pytest.approx(_SHARE, abs=0.15)


def test_channels_keep_what_their_noise_shares():
    rng = np.random.default_rng(0)
    smooth = smooth_series(n_channels=2)
    shared = rng.normal(scale=0.2, size=(len(smooth), 1, smooth.shape[-1]))
    texture = find_texture(smooth + shared, smooth)
    noise = add_texture(smooth, texture, 0) - smooth
    assert np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1] > 0.9


def test_channels_that_are_too_rough_leave_less_noise_to_others():
    rng = np.random.default_rng(0)
    smooth = smooth_series(n_channels=2)
    real, drawn = smooth.copy(), smooth.copy()
    real[:, 0] += rng.normal(scale=0.1, size=smooth[:, 0].shape)
    texture = find_texture(real, drawn)
    drawn[:, 1] += rng.normal(scale=0.3, size=smooth[:, 1].shape)
    assert texture[4:].max() > 0.05
    np.testing.assert_allclose(find_texture(real, drawn)[4:], 0, atol=1e-7)


def test_every_series_keeps_its_mean_and_deviation():
    smooth = 1e4 + smooth_series() * np.linspace(0, 50, 200)[:, None]
    texture = np.full((9, 1, 1), 0.2)
    rough = add_texture(smooth, texture, 0)
    np.testing.assert_allclose(rough.mean(axis=1), smooth.mean(axis=1))
    np.testing.assert_allclose(rough.std(axis=1), smooth.std(axis=1), atol=1e-9)
    np.testing.assert_array_equal(rough[0], smooth[0])  # a constant one
    assert np.abs(rough[1:] - smooth[1:]).max(axis=1).min() > 0


def test_noise_that_comes_and_goes_is_not_put_everywhere():
    rng = np.random.default_rng(0)
    smooth = smooth_series()
    noise = rng.normal(scale=0.2, size=smooth.shape)
    noise[:, 30:] = 0
    texture = find_texture(smooth + noise, smooth)[3:]  # above the waves
    np.testing.assert_allclose(texture, 0, atol=0.05)  # of 0.3


def test_rough_series_need_no_noise():
    rng = np.random.default_rng(0)
    smooth = smooth_series()
    rough = smooth + rng.normal(scale=0.2, size=smooth.shape)
    np.testing.assert_allclose(find_texture(smooth, rough), 0, atol=1e-7)
    np.testing.assert_allclose(find_texture(rough, rough), 0, atol=1e-7)


@pytest.mark.parametrize("n_timepoints", [1, 3])
def test_series_too_short_to_tell(n_timepoints):
    X = smooth_series(n_timepoints=n_timepoints)
    assert find_texture(X, X) is None


@pytest.mark.parametrize("n_timepoints", [4, 5, 16, 17])
def test_short_series(n_timepoints):
    rng = np.random.default_rng(0)
    smooth = smooth_series(n_timepoints=n_timepoints)
    real = smooth + rng.normal(size=smooth.shape)
    rough = add_texture(smooth, find_texture(real, smooth), 0)
    assert np.isfinite(rough).all()


def test_unequal_lengths_and_gaps():
    rng = np.random.default_rng(0)
    smooth = smooth_series()
    smooth[::2, 60:] = np.nan  # they end
    real = smooth + rng.normal(scale=0.2, size=smooth.shape)
    texture = find_texture(real, smooth)
    real[::3, 20:30] = np.nan  # what is missing in some changes little
    np.testing.assert_allclose(find_texture(real, smooth), texture, atol=0.02)
    rough = add_texture(smooth, texture, 0)
    np.testing.assert_array_equal(np.isnan(rough), np.isnan(smooth))
    assert find_texture(np.where(smooth > 0.5, np.nan, smooth), smooth) is None


@pytest.mark.parametrize("n_channels", [None, 2])
def test_samples_are_rougher_and_the_tokens_the_same(n_channels):
    X, y = waves(n_channels=n_channels or 1)
    X = X if n_channels else X.reshape(len(X), -1)
    X = X + np.random.default_rng(0).normal(scale=0.3, size=X.shape)
    sampler = tiny_sampler(tiny_tokenizer(max_epochs=30)).fit(X, y)
    assert sampler.texture_.shape == (9, n_channels or 1, n_channels or 1)
    rough = sampler.sample(50, random_state=0)
    smooth = sampler.tokenizer_.decode(sampler.sample_tokens(50, random_state=0))
    assert np.diff(rough).std() > np.diff(smooth).std()
    np.testing.assert_array_equal(sampler.sample(50, random_state=0), rough)
    sampler.set_params(texture=False).fit(X, y)
    assert sampler.texture_ is None
    np.testing.assert_array_equal(sampler.sample(50, random_state=0), smooth)


def test_tokens_and_spectrograms_have_no_texture():
    tokens = np.arange(60).reshape(20, 3) % 4
    assert tiny_sampler().fit(tokens).texture_ is None
