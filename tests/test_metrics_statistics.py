"""Correlations of channels and roughness: known answers, invariances, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import waves
from hypothesis import given
from hypothesis import strategies as st

from sktsrep.metrics import correlational_score, roughness_ratio

seeds = st.integers(0, 2**31 - 1)
every_statistic = pytest.mark.parametrize(
    "statistic", [correlational_score, roughness_ratio]
)


def noise(seed, n_samples=9, n_channels=3):
    """Noise whose channels are correlated, and have their own offset and scale."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_channels, 8))
    mixed = rng.normal(size=(n_channels, n_channels)) @ X
    return moved(mixed, rng)


def moved(X, rng):
    shape = (2, X.shape[1], 1)
    scale, offset = rng.uniform(0.1, 10, size=shape) * [[[1]], [[5]]]
    return X * scale + offset


# ------------------------------------------------------------------------ correlations


@given(seeds)
def test_correlational_score_is_the_sum_over_pairs(seed):
    X, Y = noise(seed), noise(seed + 1, 7)
    expected = 0.0
    for i in range(3):
        for j in range(i + 1):
            r, g = (np.corrcoef(Z[:, i].ravel(), Z[:, j].ravel())[0, 1] for Z in (X, Y))
            expected += abs(r - g) / 10
    assert correlational_score(X, Y) == pytest.approx(expected)


@given(seeds)
def test_invariances_of_the_correlational_score(seed):
    rng = np.random.default_rng(seed)
    X, Y = noise(seed), noise(seed + 1, 7)
    score = pytest.approx(correlational_score(X, Y), abs=1e-12)
    assert correlational_score(Y, X) == score
    assert correlational_score(moved(X, rng), moved(Y, rng)) == score
    order = rng.permutation(3)
    assert correlational_score(X[:, order], Y[:, order]) == score
    assert correlational_score(X[..., ::-1], rng.permutation(Y)) == score
    assert correlational_score(X, X) == 0
    assert correlational_score(X, moved(X, rng)) == pytest.approx(0, abs=1e-12)


def test_correlational_score_of_opposites_and_of_independent_channels():
    wave = waves(40)[0]
    X, Y = np.stack([wave] * 3, axis=1), np.stack([wave, -wave, wave], axis=1)
    assert correlational_score(X, Y) == pytest.approx(2 * 2 / 10)
    independent = np.random.default_rng(0).normal(size=(400, 3, 50))
    assert correlational_score(X, independent) == pytest.approx(3 / 10, abs=0.01)


@pytest.mark.parametrize("X", [waves()[0], waves(n_channels=1)[0]], ids=["2-D", "3-D"])
def test_correlations_need_two_channels(X):
    with pytest.raises(ValueError, match="at least two channels"):
        correlational_score(X, X)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300, 5e-324])
def test_constant_channels_have_no_correlations(value):
    X, constant = noise(0), noise(1)
    constant[:, 1] = value
    with pytest.raises(ValueError, match="All generated series are constant"):
        correlational_score(X, constant)
    with pytest.raises(ValueError, match="All real series are constant"):
        correlational_score(constant, X)


# --------------------------------------------------------------------------- roughness


@given(seeds)
def test_roughness_is_the_mean_over_standardized_channels(seed):
    X, Y = noise(seed), noise(seed + 1, 7)
    power = np.zeros(2)
    for channel in range(3):
        for place, Z in enumerate((X, Y)):
            z = Z[:, channel] / X[:, channel].std()
            power[place] += np.mean((z[:, 2:] - 2 * z[:, 1:-1] + z[:, :-2]) ** 2)
    assert roughness_ratio(X, Y) == pytest.approx(power[1] / power[0])


@given(seeds)
def test_invariances_of_roughness(seed):
    rng = np.random.default_rng(seed)
    X, Y = noise(seed), noise(seed + 1, 7)
    ratio = roughness_ratio(X, Y)
    both = moved(np.concatenate([X, Y]), rng)
    slopes = rng.normal(size=(16, 3, 1)) * np.arange(8)
    assert roughness_ratio(both[:9], both[9:]) == pytest.approx(ratio)
    assert roughness_ratio(X, Y + slopes[9:]) == pytest.approx(ratio)
    assert roughness_ratio(X[..., ::-1], rng.permutation(Y)) == pytest.approx(ratio)
    assert roughness_ratio(X, X) == 1
    assert roughness_ratio(X, 3 * Y) == pytest.approx(9 * ratio)


def test_smooth_and_noisy_series():
    X, Y = waves(200)[0], waves(200, seed=1)[0]
    assert roughness_ratio(X, Y) == pytest.approx(1, abs=0.1)
    smooth = (Y[:, :-2] + Y[:, 1:-1] + Y[:, 2:]) / 3
    assert roughness_ratio(X[:, 1:-1], smooth) < 0.5
    rough = Y + np.random.default_rng(0).normal(size=Y.shape)
    added = 6 / np.square(np.diff(X, n=2)).mean()
    assert roughness_ratio(X, rough) == pytest.approx(1 + added, rel=0.1)
    assert roughness_ratio(X, np.ones_like(X)) == 0


def test_constant_channels_are_left_out_of_roughness():
    X, Y = noise(0), noise(1)
    ratio = roughness_ratio(X[:, ::2], Y[:, ::2])
    for value in (0.0, 0.1, 1e300):
        X[:, 1] = value
        assert roughness_ratio(X, Y) == pytest.approx(ratio)


def test_roughness_that_is_undefined():
    X = noise(0)
    with pytest.raises(ValueError, match="at least three timepoints, got 2"):
        roughness_ratio(X[..., :2], X[..., :2])
    assert roughness_ratio(X[..., :3], X[..., :3]) == 1
    level = 7 + np.random.default_rng(0).normal(size=(9, 3, 1))
    for lines in (level * np.arange(8), level + np.zeros(8), np.ones((9, 3, 8))):
        with pytest.raises(ValueError, match="All real series are straight lines"):
            roughness_ratio(lines, X)


# --------------------------------------------------------------------------- bad input


@every_statistic
@pytest.mark.parametrize("exponent", [-1000, -400, 400, 900])
def test_huge_and_tiny_series(statistic, exponent):
    X, Y = noise(0), noise(1)
    far = (np.ldexp(x, exponent) for x in (X, Y))
    assert statistic(*far) == pytest.approx(statistic(X, Y))


def test_values_that_are_too_large_beside_real_ones():
    X, Y = noise(0), noise(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for real, generated in ((X, 1e300 * Y), (1e-300 * X, 1e300 * Y)):
            with pytest.raises(ValueError, match="rescale X_generated"):
                roughness_ratio(real, generated)
    assert roughness_ratio(1e300 * X, Y) == 0
    assert correlational_score(1e-300 * X, 1e300 * Y) == (
        pytest.approx(correlational_score(X, Y))
    )


@every_statistic
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda X: np.ma.masked_greater(X, 0), "X_real has masked values"),
        (lambda X: np.where(X[3] == X, np.nan, X), "no observed value in row 3"),
        (lambda X: np.where(X > 0, X, np.inf), "Input X_real contains infinity"),
        (lambda X: np.full(X.shape, "a"), "X_real must hold numbers"),
        (lambda X: X * 1j, "X_real must hold numbers"),
        (lambda X: X[0, 0], "one series"),
        (lambda X: X[:0], "X_real is empty"),
        (lambda X: X[..., :0], "X_real is empty"),
        (lambda X: X[..., :5], "shape"),
        (lambda X: X[:, :2], "shape"),
        (lambda X: X[:, None], "n_samples"),
    ],
)
def test_series_that_are_refused(statistic, make, match):
    X = noise(0)
    with pytest.raises(ValueError, match=match):
        statistic(make(X), X)


@every_statistic
def test_tensors_and_lists_are_taken_and_left_as_they_were(statistic):
    X, Y = noise(0), noise(1)
    expected = statistic(X, Y)
    tensors = [torch.tensor(x, requires_grad=True) for x in (X, Y)]
    assert statistic(*tensors) == expected
    assert statistic(X.tolist(), list(Y)) == expected
    np.testing.assert_array_equal(X, noise(0))


def test_frames_are_series_of_one_channel():
    X, Y = waves()[0], waves(seed=1)[0]
    frames = (pd.DataFrame(x) for x in (X, Y))
    assert roughness_ratio(*frames) == roughness_ratio(X[:, None], Y)
