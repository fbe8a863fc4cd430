"""Gaps filled by a Gaussian process, in series and in recordings."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.impute import KNNImputer, SimpleImputer

from sktsrep.imputation import GaussianImputer
from sktsrep.recordings import Windows
from tests.estimators import tiny_sampler, tiny_tokenizer, waves


def correlated(n_samples=60, n_channels=2, n_timepoints=40, seed=0):
    """Smooth random series whose channels are mixtures of the same sources."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_samples, n_channels, n_timepoints + 8))
    smooth = np.lib.stride_tricks.sliding_window_view(noise, 9, axis=2).mean(axis=-1)
    mixing = rng.normal(size=(n_channels, n_channels)) + 2 * np.eye(n_channels)
    return 5 + mixing @ smooth


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 30), st.floats(0.05, 0.95))
def test_known_values_stay_and_missing_ones_become_finite(seed, channels, time, share):
    rng = np.random.default_rng(seed)
    X = correlated(10, channels, time, seed)
    mask = rng.random(X.shape) < share
    mask[0] = False
    gaps = np.where(mask, np.nan, X)
    filled, std = GaussianImputer().fit(gaps).impute(gaps, return_std=True)
    assert_array_equal(filled[~mask], X[~mask])
    assert np.isfinite(filled).all()
    assert (std[~mask] == 0).all()
    assert (std[mask] >= 0).all()


def test_it_is_the_conditional_mean_of_its_covariance():
    X = correlated()
    imputer = GaussianImputer().fit(X)
    mask = np.zeros(X.shape[1:], dtype=bool)
    mask[0, 5:12] = mask[1, 30:] = True
    cells = np.indices(mask.shape).reshape(2, -1)
    covariance = imputer._covariance(cells, cells)
    known = ~mask.ravel()
    z = ((X[3] - imputer.mean_) / imputer.deviation_).ravel()
    among = covariance[np.ix_(known, known)] + imputer.noise * np.eye(known.sum())
    between = covariance[np.ix_(~known, known)]
    expected = between @ np.linalg.solve(among, z[known])
    left = covariance[np.ix_(~known, ~known)] - between @ np.linalg.solve(
        among, between.T
    )
    filled, std = imputer.impute(X[3:4], mask[None], return_std=True)
    deviation = np.broadcast_to(imputer.deviation_, mask.shape)[mask]
    means = np.broadcast_to(imputer.mean_, mask.shape)[mask]
    assert_allclose(filled[0][mask], expected * deviation + means, rtol=1e-6)
    assert_allclose(std[0][mask], np.sqrt(np.diag(left)) * deviation, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 12), st.integers(1, 3), st.integers(1, 30))
def test_covariances_are_positive_definite(seed, n_samples, n_channels, n_timepoints):
    X = correlated(n_samples, n_channels, n_timepoints, seed)
    imputer = GaussianImputer().fit(X)
    cells = np.indices(X.shape[1:]).reshape(2, -1)
    covariance = imputer._covariance(cells, cells)
    assert_allclose(covariance, covariance.T, atol=1e-9)
    assert np.linalg.eigvalsh(covariance).min() > -1e-8
    # The noise makes it a density.
    noise = imputer.noise * np.eye(len(covariance))
    assert np.isfinite(multivariate_normal(cov=covariance + noise).logpdf(0 * cells[0]))


def test_gaps_are_filled_better_than_by_lines_neighbors_and_means():
    X = correlated(n_samples=200)
    train, test = X[:150], X[150:]
    rng = np.random.default_rng(0)
    mask = rng.random(test.shape) < 0.1
    mask[:, 0, 15:25] = True  # the other channel tells something
    gaps = np.where(mask, np.nan, test)
    lines = pd.DataFrame(gaps.reshape(-1, 40)).interpolate(
        axis=1, limit_direction="both"
    )
    others = [
        part.fit(train.reshape(150, -1)).transform(gaps.reshape(50, -1))
        for part in (SimpleImputer(), KNNImputer())
    ]
    error = np.abs(GaussianImputer().fit(train).impute(gaps) - test)[mask].mean()
    for other in (lines.to_numpy(), *others):
        assert error < 0.7 * np.abs(other.reshape(test.shape) - test)[mask].mean()


def test_deviations_tell_how_large_errors_are():
    X = correlated(n_samples=400)
    mask = np.zeros(X[200:].shape, dtype=bool)
    mask[:, :, 10:20] = True
    imputer = GaussianImputer().fit(X[:200])
    filled, std = imputer.impute(X[200:], mask, return_std=True)
    inside = np.abs(filled - X[200:])[mask] < 2 * std[mask]
    assert 0.9 < inside.mean() < 0.99


def test_aligned_shapes_are_learned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)) * rng.normal(size=30).cumsum()  # one shape
    gaps = X[:20].copy()
    gaps[:, 10:25] = np.nan
    filled = GaussianImputer().fit(X[20:]).transform(gaps)
    assert np.abs(filled - X[:20]).max() < 0.05 * X.std()


def test_what_is_not_there_stays_so():
    X = correlated(n_channels=1)[:, 0]
    series = [x[: 20 + i % 20] for i, x in enumerate(X)]
    series[0][5] = np.nan
    imputer = GaussianImputer().fit(series)
    filled = imputer.transform(series)
    for x, y in zip(series, filled, strict=True):
        assert_array_equal(np.isnan(y), np.arange(filled.shape[1]) >= len(x))
    assert np.isfinite(imputer.impute(series)).all()


def test_a_series_alone_is_filled_like_among_others():
    X = correlated()
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    gaps[::2, :, 7:9] = np.nan
    imputer = GaussianImputer().fit(X)
    together = imputer.transform(gaps)
    alone = np.concatenate([imputer.transform(x[None]) for x in gaps])
    assert_array_equal(together, alone)


def bumps(n_samples=60, n_timepoints=40, seed=0):
    """Bumps of random heights at two places that all series share, with some noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_timepoints)
    shapes = np.exp(-np.square((time - np.array([[12], [28]])) / 3))
    X = rng.normal(size=(n_samples, 2)) @ shapes
    return X + 0.05 * rng.normal(size=X.shape)


@pytest.mark.parametrize("make", [bumps, correlated])
def test_the_prior_weight_suits_the_series(make):
    X, test = make(seed=0), make(seed=1)
    chosen = GaussianImputer().fit(X)
    assert (chosen.prior_weight_ < 100) == (make is bumps)
    gaps = test.copy()
    gaps[..., 10:20] = np.nan
    error, fixed = (
        np.abs(imputer.transform(gaps) - test).mean()
        for imputer in (chosen, GaussianImputer(100).fit(X))
    )
    assert error < fixed
    assert GaussianImputer().fit(X[:1]).prior_weight_ == 100


def test_separable_covariances_tell_a_channel_from_few_series(monkeypatch):
    X = correlated(n_samples=66, n_channels=4)
    gaps = X[6:].copy()
    gaps[:, 0] = np.nan

    def error():
        filled = GaussianImputer().fit(X[:6]).transform(gaps)
        return np.abs(filled - X[6:]).mean()

    half = error()
    monkeypatch.setattr("sktsrep.imputation._SEPARABLE_SHARE", 0)
    assert half < 0.95 * error()


def test_padding_and_shorter_lists_change_nothing():
    X = correlated(n_channels=2)
    gaps = X.copy()
    gaps[:, 0, 10:20] = np.nan
    padded = np.pad(gaps, ((0, 0), (0, 0), (0, 9)), constant_values=np.nan)
    one, other = GaussianImputer().fit(gaps), GaussianImputer().fit(padded)
    assert one.prior_weight_ == other.prior_weight_
    assert_allclose(one.transform(gaps), other.transform(padded)[..., :40])
    filled, std = other.impute(padded, return_std=True)
    assert np.isfinite(filled).all()
    assert (std[..., 45:] > 0).all()
    short = [x[:, :25] for x in gaps[:3]]
    ended = gaps[:3].copy()
    ended[..., 25:] = np.nan
    assert_array_equal(one.transform(short), one.transform(ended))


def test_long_series_are_filled_by_what_is_near(monkeypatch):
    X = correlated(n_channels=2, n_timepoints=300)
    mask = np.random.default_rng(0).random(X.shape) < 0.1
    imputer = GaussianImputer(100).fit(X)
    whole = imputer.impute(X[:5], mask[:5])
    monkeypatch.setattr("sktsrep.imputation._NEAREST", 150)
    monkeypatch.setattr("sktsrep.imputation._AT_ONCE", 5)
    near = imputer.impute(X[:5], mask[:5])
    errors = [np.abs(filled - X[:5])[mask[:5]].mean() for filled in (near, whole)]
    assert errors[0] < 0.1 * X.std()
    assert errors[1] < errors[0]
    monkeypatch.setattr("sktsrep.imputation._MOST_LAGS", 20)
    assert GaussianImputer().fit(X).lag_covariance_.shape == (39, 2, 2)


def test_many_series_have_few_components(monkeypatch):
    X = correlated(n_samples=300)
    every = GaussianImputer().fit(X)
    assert every.components_.shape == (80, 2, 40)
    monkeypatch.setattr("sktsrep.imputation._MOST_COMPONENTS", 20)
    few = GaussianImputer().fit(X)
    assert few.components_.shape == (20, 2, 40)
    assert few.stationary_share_ > every.stationary_share_
    gaps = X.copy()
    gaps[:, 0, 10:20] = np.nan
    errors = [np.abs(part.transform(gaps) - X).mean() for part in (few, every)]
    assert errors[0] < 1.3 * errors[1]


def test_units_do_not_matter():
    X = correlated()
    mask = np.random.default_rng(0).random(X.shape) < 0.2
    unit = np.array([1e-6, 1e6])[:, None]
    filled = GaussianImputer().fit(X).impute(X, mask)
    scaled = GaussianImputer().fit(unit * X).impute(unit * X, mask)
    assert_allclose(scaled, unit * filled, rtol=1e-6)


def test_constant_channels_and_single_series():
    X = np.ones((3, 2, 10))
    X[:, 1] = np.arange(10)
    gaps = X.copy()
    gaps[0, 0, 3:] = np.nan
    assert_allclose(GaussianImputer().fit(gaps[:1]).transform(gaps)[0, 0], 1)
    with pytest.raises(ValueError, match="no observed value"):
        GaussianImputer().fit(np.full((2, 5), np.nan))


# ------------------------------------------------------------------- recordings


def recording(n_timepoints=600, seed=0):
    """A recording of two correlated channels with a rhythm."""
    time = np.arange(n_timepoints)
    noise = correlated(1, 2, n_timepoints, seed)[0].T
    return np.stack([np.sin(time / 3), np.cos(time / 3)], axis=1) + 0.2 * noise


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_gap_is_filled_and_the_rest_stays(data):
    length = data.draw(st.integers(1, 20))
    n = data.draw(st.integers(length, 90))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(n, 2))
    for _ in range(data.draw(st.integers(0, 4))):
        start, size = rng.integers(n), rng.integers(1, 40)
        x[start : start + size, rng.integers(3) :] = np.nan
    seen = []

    def impute(X):
        seen.append(X)
        return np.nan_to_num(X, nan=7.0)

    filled = Windows(length).fit(x).fill_gaps(x, impute)
    assert_array_equal(filled, np.nan_to_num(x, nan=7.0))
    assert all(X.shape[1:] == (2, length) for X in seen)


def test_gaps_longer_than_windows_are_one_curve():
    x = recording()
    gaps = x.copy()
    gaps[200:290] = np.nan  # longer than a window, and all channels
    gaps[400:460, 0] = np.nan
    gaps[:50] = np.nan
    windows = Windows(64, step=1).fit(gaps)
    imputer = GaussianImputer().fit(windows.transform(gaps))
    filled = windows.fill_gaps(gaps, imputer.impute)
    assert np.isfinite(filled).all()
    steps = np.abs(np.diff(filled, axis=0)).max(axis=0)
    assert (steps < 1.5 * np.abs(np.diff(x, axis=0)).max(axis=0)).all()
    assert np.abs(filled - x)[400:460, 0].mean() < 0.3  # the other channel tells


def test_filled_recordings_are_of_the_same_kind():
    x = recording(200)
    index = pd.date_range("2020", periods=200, freq="h")
    frame = pd.DataFrame(x, index=index, columns=["a", "b"])
    frame.iloc[50:70, 0] = np.nan
    windows = Windows(32).fit(frame)
    impute = GaussianImputer().fit(windows.transform(frame)).impute
    filled, other = windows.fill_gaps([frame, frame[::-1]], impute)
    pd.testing.assert_index_equal(filled.index, index)
    assert list(filled.columns) == ["a", "b"]
    assert filled.notna().all(axis=None)
    assert other.notna().all(axis=None)
    assert frame.isna().any(axis=None)  # the argument is as it was
    column = Windows(32).fit(frame["a"])
    impute = GaussianImputer().fit(column.transform(frame["a"])).impute
    assert column.fill_gaps(frame["a"], impute).name == "a"
    with pytest.raises(ValueError, match="must give windows of shape"):
        windows.fill_gaps(frame, lambda X: X[:, 0])


def test_samplers_fill_recordings():
    x = recording(400)
    x[100:140] = np.nan
    windows = Windows(50).fit(x)
    X = windows.transform(x)
    X = X[~np.isnan(X).all(axis=(1, 2))]
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    draws = [
        windows.fill_gaps(x, functools.partial(sampler.impute, random_state=seed))
        for seed in (0, 0, 1)
    ]
    assert np.isfinite(draws[0]).all()
    assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


# ---------------------------------------------------------------------- futures


@pytest.mark.parametrize("n_channels", [None, 2])
def test_forecasts_continue_every_series_from_its_end(n_channels):
    X, y = waves(n_channels=n_channels)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X, y)
    future = sampler.forecast(X, 70, n_draws=2, random_state=0)
    assert future.shape == (*X.shape[:-1], 70)
    assert future.dtype == X.dtype
    assert np.isfinite(future).all()
    # What lies further back than a series of fit does not count.
    longer = np.concatenate([X[..., :9], X], axis=-1)
    again = sampler.forecast(longer, 70, n_draws=2, random_state=0)
    assert_array_equal(again, future)
    padded = np.concatenate([X, np.full_like(X[..., :9], np.nan)], axis=-1)
    again = sampler.forecast(list(padded), 70, n_draws=2, random_state=0)
    assert_array_equal(again, future)
    short = sampler.forecast(X[..., -20:], 5, y=0, n_draws=2)
    assert short.shape == (*X.shape[:-1], 5)


def test_quantiles_of_forecasts_are_ordered():
    X, _ = waves()
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    low, middle, high = sampler.forecast(X[:5], 30, quantiles=[0.1, 0.5, 0.9])
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (low < high).any()
    for quantiles in ([-0.1], [0.5, 1.5], [[0.5]]):
        with pytest.raises(ValueError, match="quantiles must"):
            sampler.forecast(X, 5, quantiles=quantiles)
    with pytest.raises(ValueError, match="horizon"):
        sampler.forecast(X, 0)


@pytest.mark.parametrize("horizon", [1, 30])
def test_forecasts_are_never_sure(horizon):
    X = correlated()
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    low, high = sampler.forecast(
        X[..., :-horizon], horizon, quantiles=[0.1, 0.9], random_state=0
    )
    assert (low < high).all()


def test_forecasts_learn_a_rhythm():
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(2000) / 4) + 0.1 * rng.normal(size=2000)
    X = np.lib.stride_tricks.sliding_window_view(x, 48)[:1500:5]
    sampler = tiny_sampler(tiny_tokenizer(max_epochs=5), max_epochs=5).fit(X)
    pasts, futures = x[1600:1900].reshape(5, 60)[:, :48], x[1600:1900].reshape(5, 60)
    forecast = sampler.forecast(pasts, 12, random_state=0)
    assert np.square(forecast - futures[:, 48:]).mean() < 0.5 * x.var()
