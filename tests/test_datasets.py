"""Data sets: what labels say is what the data show; the archive in our layout."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import sktsrep
from sktsrep.datasets import load_ucr, make_recording, make_series
from tests.estimators import tiny_encoder

seeds = st.integers(0, 2**32 - 1)


def assert_same(one, other):
    for name in one:
        assert one[name].equals(other[name]), name


# --- recordings ---


@given(
    n_channels=st.integers(1, 4),
    n_regimes=st.integers(1, 4),
    n_anomalies=st.integers(0, 4),
    n_gaps=st.integers(0, 3),
    more=st.integers(0, 500),
    seed=seeds,
)
def test_labels_of_a_recording(n_channels, n_regimes, n_anomalies, n_gaps, more, seed):
    # As much room as the documentation asks for.
    n_timepoints = 400 * max(1, n_anomalies + n_gaps, n_regimes) + more
    data = make_recording(
        n_timepoints,
        n_channels,
        n_regimes=n_regimes,
        n_anomalies=n_anomalies,
        n_gaps=n_gaps,
        random_state=seed,
    )
    recording, anomalies = data.recording, data.anomalies
    assert recording.shape == (n_timepoints, n_channels)
    assert (recording.dtypes == np.float64).all()
    assert recording.index.freqstr == "min"
    assert (recording.index == data.regime.index).all()
    assert set(data.regime) == set(range(n_regimes))
    assert len(anomalies) == n_anomalies
    assert set(anomalies["channel"]) <= set(recording.columns)
    assert (anomalies["stop"] - anomalies["start"]).between(48, 96).all()
    assert (anomalies["start"][1:].values - anomalies["stop"][:-1].values >= 24).all()
    assert data.is_anomaly.dtype == bool
    assert data.is_anomaly.sum() == (anomalies["stop"] - anomalies["start"]).sum()
    assert not data.is_anomaly[recording.isna().any(axis=1)].any()
    for start, stop in zip(anomalies["start"], anomalies["stop"], strict=True):
        assert data.is_anomaly.iloc[start:stop].all()
        assert data.regime.iloc[start:stop].nunique() == 1
    is_missing = recording.isna().any(axis=1).to_numpy()
    starts = np.flatnonzero(np.diff(is_missing.astype(int), prepend=0) == 1)
    assert len(starts) == n_gaps
    assert not is_missing[[0, -1]].any()  # the recording does not end in a gap


@given(n_channels=st.integers(1, 4), seed=seeds)
def test_recordings_differ_only_in_what_labels_name(n_channels, seed):
    params = {"n_timepoints": 4000, "n_channels": n_channels, "random_state": seed}
    data = make_recording(n_anomalies=6, n_gaps=4, **params)
    usual = make_recording(n_anomalies=0, n_gaps=4, **params)
    complete = make_recording(n_anomalies=0, n_gaps=0, **params)
    assert sorted(data.anomalies["kind"]) == [
        *("fast", "flat", "late", "level", "pause", "spikes")
    ]
    is_changed = ~(data.recording.eq(usual.recording) | usual.recording.isna())
    expected = pd.DataFrame(False, is_changed.index, is_changed.columns)
    for start, stop, kind, channel in data.anomalies.itertuples(index=False):
        stretch = is_changed[channel].iloc[start:stop]
        # What is stuck has its first value; a jump is one value.
        assert stretch.mean() > (0.05 if kind == "spikes" else 0.9)
        expected.iloc[start:stop, expected.columns.get_loc(channel)] = True
    assert not is_changed[~expected].any(axis=None)
    assert data.recording.isna().equals(usual.recording.isna())
    assert not complete.recording.isna().any(axis=None)
    assert usual.recording.fillna(complete.recording).equals(complete.recording)


def test_gaps_of_one_channel_and_of_all():
    recording = make_recording(n_gaps=4, random_state=0).recording
    n_missing = recording.isna().sum(axis=1)
    starts = (n_missing > 0) & (n_missing.shift(fill_value=0) == 0)
    assert sorted(n_missing[starts]) == [1, 1, 3, 3]


@pytest.fixture(scope="module")
def faults():
    """Readings of each kind of anomaly, with and without it."""
    params = {"n_timepoints": 20_000, "n_channels": 3, "noise": 0.02, "n_gaps": 0}
    data = make_recording(n_anomalies=24, random_state=3, **params)
    usual = make_recording(n_anomalies=0, random_state=3, **params)
    pairs = {}
    for start, stop, kind, channel in data.anomalies.itertuples(index=False):
        pair = (d.recording[channel].to_numpy()[start:stop] for d in (data, usual))
        pairs.setdefault(kind, []).append(tuple(pair))
    return pairs


def roughness(x):
    return np.abs(np.diff(x)).mean()


def is_shifted(x, usual):
    shift = x - usual
    return np.ptp(shift) < 1e-9 and 1 <= np.abs(shift).max() <= 2


def is_spiky(x, usual):
    jumps = (x - usual)[x != usual]
    same_sign = abs(np.sign(jumps).sum()) == len(jumps)
    return same_sign and np.abs(jumps).min() >= 1.5 and len(jumps) == len(x) // 12


SIGNS = {
    "fast": lambda x, usual: roughness(x) > 1.2 * roughness(usual),
    "flat": lambda x, usual: np.ptp(x) == 0 and x[0] == usual[0],
    "late": lambda x, usual: np.abs(x - usual).mean() > 0.3,
    "level": is_shifted,
    "pause": lambda x, usual: x.std() < 0.3 * usual.std(),
    "spikes": is_spiky,
}


@pytest.mark.parametrize("kind", SIGNS)
def test_kinds_of_anomalies(faults, kind):
    assert len(faults[kind]) == 4
    for x, usual in faults[kind]:
        assert SIGNS[kind](x, usual)


@pytest.mark.parametrize("seed", range(5))
def test_channels_are_correlated(seed):
    recording = make_recording(random_state=seed).recording
    for lead in recording:
        others = recording.drop(columns=lead)
        lagged = [others.shift(lag).corrwith(recording[lead]) for lag in range(-10, 11)]
        assert np.max(lagged, axis=0).min() > 0.3


def period_and_power(windows):
    """Where the autocorrelation peaks, and the variance."""
    windows = windows - windows.mean(axis=1, keepdims=True)
    power = (np.abs(np.fft.rfft(windows, 2 * windows.shape[1])) ** 2).mean(axis=0)
    return 16 + np.fft.irfft(power)[16:90].argmax(), windows.var()


@pytest.mark.parametrize("seed", range(5))
def test_regimes_differ(seed):
    data = make_recording(
        20_000, 1, n_regimes=3, n_anomalies=0, n_gaps=0, random_state=seed
    )
    windows = data.recording.to_numpy().reshape(-1, 200)
    regime = data.regime.to_numpy().reshape(-1, 200)
    is_pure = np.ptp(regime, axis=1) == 0
    windows, regime = windows[is_pure], regime[is_pure, 0]
    kinds = [period_and_power(windows[regime == number]) for number in range(3)]
    period, power = np.transpose(kinds)
    np.testing.assert_allclose(np.sort(period), [24, 39, 64], rtol=0.15)
    assert power.max() > 1.8 * power.min()


def test_seeds_of_recordings():
    assert_same(make_recording(random_state=1), make_recording(random_state=1))
    one = make_recording(random_state=np.random.RandomState(1))
    assert_same(one, make_recording(random_state=1))
    other = make_recording(random_state=2)
    assert not one.recording.equals(other.recording)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_timepoints": 199}, "n_regimes=2 needs n_timepoints of at least 200, got"),
        ({"n_timepoints": 400}, "n_timepoints=400 leaves no room for so many"),
        ({"n_anomalies": 99}, "n_timepoints=5000 leaves no room for so many"),
    ],
)
def test_recordings_without_room(params, message):
    with pytest.raises(ValueError, match=message):
        make_recording(**params, random_state=0)


# --- series ---


@given(
    n_samples=st.integers(1, 12),
    n_timepoints=st.integers(1, 40),
    n_channels=st.integers(1, 3),
    n_classes=st.integers(1, 5),
    unequal=st.booleans(),
    missing=st.sampled_from([0, 0.3, 0.9]),
    seed=seeds,
)
def test_series(n_samples, n_timepoints, n_channels, n_classes, unequal, missing, seed):
    params = {"n_channels": n_channels, "n_classes": n_classes, "random_state": seed}
    complete, _ = make_series(n_samples, n_timepoints, **params)
    X, y = make_series(
        n_samples, n_timepoints, unequal=unequal, missing=missing, **params
    )
    assert X.dtype == np.float64
    one = n_channels == 1
    assert X.shape == (n_samples, *(() if one else (n_channels,)), n_timepoints)
    assert np.isfinite(complete).all()
    np.testing.assert_array_equal(X, np.where(np.isnan(X), np.nan, complete))
    assert np.ptp(np.bincount(y, minlength=n_classes)) <= 1
    X = X.reshape(n_samples, n_channels, n_timepoints)
    length = n_timepoints - np.isnan(X[..., ::-1]).all(axis=1).argmin(axis=-1)
    assert length.min() >= (n_timepoints / 2 if unequal else n_timepoints)
    for series, end in zip(X, length, strict=True):
        assert np.isfinite(series[:, end - 1]).all()  # all channels end together


def test_missing_values_come_in_stretches():
    X, _ = make_series(missing=0.2, random_state=0)
    is_missing = np.isnan(X)
    assert is_missing.mean() == pytest.approx(0.2, abs=0.01)
    n_stretches = (np.diff(is_missing.astype(int), axis=1, prepend=0) == 1).sum()
    assert is_missing.sum() / n_stretches > 3


def test_lengths_vary():
    X, _ = make_series(unequal=True, random_state=0)
    lengths = np.isfinite(X).sum(axis=1)
    assert lengths.min() < 70
    assert lengths.max() == 128


def test_seeds_of_series():
    for one, other in zip(
        make_series(random_state=1), make_series(random_state=1), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(make_series(random_state=1)[0], make_series()[0])


def accuracy(model, X, y):
    return cross_val_score(model, X, y, cv=4).mean()


def shape_statistics(X):
    """Quantiles of standardized values and slopes, which know no phase or speed."""
    X = X - X.mean(axis=1, keepdims=True)
    parts = (x / x.std(axis=1, keepdims=True) for x in (X, np.diff(X)))
    levels = np.linspace(0, 1, 21)
    return np.hstack([np.quantile(x, levels, axis=1).T for x in parts])


@pytest.mark.parametrize("seed", range(3))
def test_classes_differ_in_shape(seed):
    X, y = make_series(random_state=seed)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    level_and_spread = np.stack([X.mean(axis=1), X.std(axis=1)], axis=1)
    assert accuracy(linear, level_and_spread, y) < 0.4
    assert accuracy(linear, X, y) < 0.4
    assert 0.28 < accuracy(KNeighborsClassifier(1), X, y) < 0.7
    assert accuracy(linear, shape_statistics(X), y) > 0.9


def test_embeddings_tell_classes_apart():
    X, y = make_series(120, n_classes=3, random_state=0)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    embeddings = tiny_encoder(max_epochs=3).fit_transform(X)
    assert accuracy(probe, embeddings, y) > accuracy(probe, X, y) + 0.2


# --- parameters of both ---


@pytest.mark.parametrize(
    ("make", "params"),
    [
        (make_recording, {"n_timepoints": 0}),
        (make_recording, {"n_timepoints": 2000.0}),
        (make_recording, {"n_channels": 0}),
        (make_recording, {"n_regimes": 0}),
        (make_recording, {"n_anomalies": -1}),
        (make_recording, {"n_gaps": None}),
        (make_recording, {"noise": -0.1}),
        (make_recording, {"random_state": "0"}),
        (make_series, {"n_samples": 0}),
        (make_series, {"n_timepoints": "128"}),
        (make_series, {"n_channels": None}),
        (make_series, {"n_classes": 0}),
        (make_series, {"noise": np.nan}),
        (make_series, {"unequal": "yes"}),
        (make_series, {"missing": 1.0}),
        (load_ucr, {"name": 1}),
        (load_ucr, {"name": "GunPoint", "split": "TRAIN"}),
        (load_ucr, {"name": "GunPoint", "data_home": 1}),
    ],
)
def test_bad_parameters(make, params):
    name = list(params)[-1]
    with pytest.raises(
        InvalidParameterError, match=f"The '{name}' parameter of {make.__name__}"
    ):
        make(**params)


# --- the archive ---


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("ItalyPowerDemand", [(67, 24), (1029, 24)]),
        ("BasicMotions", [(40, 6, 100), (40, 6, 100)]),
        ("JapaneseVowels", [(270, 12, 26), (370, 12, 29)]),  # of unequal lengths
    ],
)
def test_sets_that_come_with_aeon(name, shapes, tmp_path, monkeypatch):
    pytest.importorskip("aeon")
    monkeypatch.setenv("AEON_DATA", str(tmp_path))  # which it would make at home
    parts = [load_ucr(name, split) for split in ("train", "test")]
    assert [X.shape for X, _ in parts] == shapes
    X, y = load_ucr(name)
    assert X.dtype == np.float64
    np.testing.assert_array_equal(y, np.concatenate([y for _, y in parts]))
    for rows, (part, _) in zip(np.split(X, [shapes[0][0]]), parts, strict=True):
        np.testing.assert_array_equal(rows[..., : part.shape[-1]], part)
        assert np.isnan(rows[..., part.shape[-1] :]).all()


HEADER = (
    "@problemName Own\n@univariate {}\n@equalLength {}\n@classLabel true a b\n@data\n"
)


@pytest.mark.parametrize("as_path", [True, False])
def test_own_folder(tmp_path, as_path):
    pytest.importorskip("aeon")
    (tmp_path / "Own").mkdir()
    header = HEADER.format("true", "false")
    (tmp_path / "Own" / "Own_TRAIN.ts").write_text(f"{header}1,?,3:a\n4,5:b\n")
    (tmp_path / "Own" / "Own_TEST.ts").write_text(f"{header}6,7,8,9:a\n")
    folder = tmp_path if as_path else str(tmp_path)
    X, y = load_ucr("Own", data_home=folder)
    nan = np.nan
    expected = [[1, nan, 3, nan], [4, 5, nan, nan], [6, 7, 8, 9]]
    np.testing.assert_array_equal(X, expected)
    assert y.tolist() == ["a", "b", "a"]
    X, y = load_ucr("Own", "train", data_home=folder)
    np.testing.assert_array_equal(X, [[1, nan, 3], [4, 5, nan]])


def test_unknown_set(tmp_path):
    pytest.importorskip("aeon")
    with pytest.raises(ValueError, match="Own is not in the list") as caught:
        load_ucr("Own", data_home=tmp_path)
    assert "a folder that has Own/Own_TRAIN.ts" in caught.value.__notes__[0]


def test_without_network(tmp_path, monkeypatch):
    loaders = pytest.importorskip("aeon.datasets._data_loaders")

    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(loaders, "urlopen", unreachable)
    with pytest.raises(ValueError, match="no network") as caught:
        load_ucr("Coffee", data_home=tmp_path)
    assert "such as GunPoint" in caught.value.__notes__[0]


def test_without_aeon(monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon", None)
    monkeypatch.setitem(sys.modules, "aeon.datasets", None)
    with pytest.raises(ImportError, match="load_ucr needs aeon: install it"):
        load_ucr("GunPoint")


def test_package_imports_it_where_it_is_used():
    assert sktsrep.datasets.make_series is make_series
    assert "datasets" in dir(sktsrep)
