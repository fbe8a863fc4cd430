"""Windows: exact way back, order, memory, errors. WindowKFold: no shared time."""

import itertools
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktsrep.anomaly import AnomalyDetector
from sktsrep.datasets import make_recording
from sktsrep.model_selection import WindowKFold
from sktsrep.recordings import Windows
from tests.estimators import tiny_encoder, waves

ONE_CHANNEL = "an array with one axis is a recording of one channel"


# Windows of one timepoint are as many as rows, which the checks count on.
@parametrize_with_checks(
    [Windows(1)],
    expected_failed_checks=lambda _: {
        "check_fit1d": ONE_CHANNEL,
        "check_fit2d_predict1d": f"{ONE_CHANNEL}, so its channels are wrong",
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def noise(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def frame(n_timepoints, n_channels=2, seed=0):
    times = pd.date_range("2024-03-01", periods=n_timepoints, freq="min", tz="UTC")
    columns = [f"c{i}" for i in range(n_channels)]
    return pd.DataFrame(noise(n_timepoints, n_channels, seed=seed), times, columns)


# --- windows ---


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    length=st.integers(1, 12),
    data=st.data(),
    n_channels=st.sampled_from([None, 1, 3]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    missing=st.sampled_from([0, 0.5]),
)
def test_inverse_is_exact(lengths, length, data, n_channels, dtype, missing):
    step = data.draw(st.none() | st.integers(1, length))
    recordings = []
    for seed, more in enumerate(lengths):
        shape = (length + more, n_channels) if n_channels else (length + more,)
        recording = noise(*shape, dtype=dtype, seed=seed)
        recording[noise(*shape, seed=seed + 9) < 2 * missing - 1] = np.nan
        recordings.append(recording)
    windows = Windows(length, step=step)
    X = windows.fit_transform(recordings)
    assert X.dtype == dtype
    assert X.shape[1:] == ((n_channels, length) if n_channels else (length,))
    for restored, recording in zip(
        windows.inverse_transform(X, recordings), recordings, strict=True
    ):
        assert restored.dtype == dtype
        np.testing.assert_array_equal(restored, recording)


@given(
    n_timepoints=st.integers(5, 40), length=st.integers(1, 5), step=st.integers(1, 5)
)
def test_windows_are_where_the_index_says(n_timepoints, length, step):
    recordings = [noise(n_timepoints, 2), noise(5, 2, seed=1)]
    windows = Windows(length, step=step).fit(recordings)
    index = windows.window_index(recordings)
    X = windows.transform(recordings)
    for window, (number, start, stop) in zip(X, index.to_numpy(), strict=True):
        np.testing.assert_array_equal(window, recordings[number][start:stop].T)
    for number, rows in index.groupby("recording"):
        assert rows["start"].iloc[0] == 0
        assert rows["stop"].iloc[-1] == len(recordings[number])
        assert (rows["start"].diff().iloc[1:-1] == step).all()
        assert rows["start"].diff().iloc[1:].between(1, step).all()
    batches = list(windows.transform_batches(recordings, batch_size=3))
    assert {len(batch) for batch in batches[:-1]} <= {3}
    np.testing.assert_array_equal(np.concatenate(batches), X)


def test_overlaps_are_weighted_means():
    recording = np.zeros(7)
    windows = Windows(4, step=3).fit(recording)  # they share timepoint 3
    X = np.array([[0.0, 0, 0, 1], [5, 0, 0, 0]])
    restored = windows.inverse_transform(X, recording)
    np.testing.assert_allclose(restored, [0, 0, 0, 3, 0, 0, 0])
    X[0, 3] = np.nan
    np.testing.assert_array_equal(
        windows.inverse_transform(X, recording), [0, 0, 0, 5, 0, 0, 0]
    )
    middle = Windows(4, step=2).fit(np.zeros(6))  # ends meet middles
    weight = np.sin(np.pi * np.array([1, 3, 5, 7]) / 8) ** 2
    share = weight[2] / (weight[2] + weight[0])
    X = np.array([[1.0, 1, 1, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(
        middle.inverse_transform(X, np.zeros(6)), [1, 1, share, 1 - share, 0, 0]
    )


def test_windows_with_gaps_between_them():
    recording = noise(10)
    windows = Windows(2, step=4)
    X = windows.fit_transform(recording)
    expected = recording.copy()
    expected[[2, 3, 6, 7]] = np.nan
    np.testing.assert_array_equal(windows.inverse_transform(X, recording), expected)


def test_recordings_of_pandas():
    recordings = [frame(20), frame(13, seed=1)]
    windows = Windows(8, step=4).fit(recordings)
    assert list(windows.feature_names_in_) == ["c0", "c1"]
    index = windows.window_index(recordings)
    assert list(index.columns) == ["recording", "start", "stop", "time"]
    starts = [recordings[i].index[s] for i, s in index[["recording", "start"]].values]
    pd.testing.assert_series_equal(index["time"], pd.Series(starts, name="time"))
    X = windows.transform(recordings)
    for restored, recording in zip(
        windows.inverse_transform(X, recordings), recordings, strict=True
    ):
        pd.testing.assert_frame_equal(restored, recording)
    curves = windows.inverse_scores(np.ones(len(X)), recordings)
    pd.testing.assert_series_equal(curves[1], pd.Series(1.0, recordings[1].index))


def test_series_of_pandas():
    series = frame(21)["c1"]
    windows = Windows(8, step=4).fit(series)
    X = windows.transform(series)
    assert X.shape == (5, 8)
    pd.testing.assert_series_equal(windows.inverse_transform(X, series), series)


def test_scores():
    recording = noise(10, 2)
    windows = Windows(4, step=2).fit(recording)
    spread = windows.inverse_scores([0, 0, 1, 0], recording)
    assert spread.shape == (10,)
    assert (spread[4:8] > 0).all()
    assert (spread[[0, 1, 2, 3, 8, 9]] == 0).all()
    np.testing.assert_array_equal(
        windows.inverse_scores(windows.transform(recording)[:, 0], recording),
        recording[:, 0],
    )


@pytest.mark.parametrize("dtype", [np.int16, np.int64, bool, ">f4", np.longdouble])
def test_other_numbers_become_float64(dtype):
    recording = (np.arange(40).reshape(20, 2) % 2).astype(dtype)
    X = Windows(8, step=4).fit_transform(recording)
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X[1], recording[4:12].T)


def test_lists_of_numbers_are_one_recording():
    recording = noise(20, 2)
    expected = Windows(8).fit_transform(recording)
    np.testing.assert_array_equal(
        Windows(8).fit_transform(recording.tolist()), expected
    )
    tensor = torch.as_tensor(recording)
    np.testing.assert_array_equal(Windows(8).fit_transform(tensor), expected)
    one = Windows(8).fit_transform(recording[:, 0].tolist())
    np.testing.assert_array_equal(one, expected[:, 0])


def test_no_memory_where_steps_reach_the_end():
    recording = noise(24, 2)
    X = Windows(8, step=4).fit_transform(recording)
    assert np.shares_memory(X, recording)
    assert not X.flags.writeable
    assert not np.shares_memory(Windows(8, step=5).fit_transform(recording), recording)


def test_windows_without_a_value_are_left_out():
    recording = make_recording(2000, n_channels=2, random_state=0).recording
    recording.iloc[500:700] = np.nan
    windows = Windows(50, step=20).fit(recording)
    X, index = windows.transform(recording), windows.window_index(recording)
    assert not np.isnan(X).all(axis=(1, 2)).any()
    assert len(X) == len(index) < len(windows.transform(recording.fillna(0)))
    batches = list(windows.transform_batches(recording, batch_size=7))
    np.testing.assert_array_equal(np.concatenate(batches), X)
    pd.testing.assert_frame_equal(windows.inverse_transform(X, recording), recording)
    detector = AnomalyDetector().fit(X)
    curve = windows.inverse_scores(detector.score_timepoints(X), recording)
    np.testing.assert_array_equal(curve.isna(), recording.isna().all(axis=1))
    make_pipeline(Windows(50, step=20), AnomalyDetector()).fit(recording)
    nothing = np.full((100, 2), np.nan)
    windows = Windows(50, step=20).fit(nothing)
    assert windows.transform(nothing).shape == (4, 2, 50)  # estimators refuse them
    both = windows.transform([nothing, recording.to_numpy()])
    np.testing.assert_array_equal(both, X)
    lost, found = windows.inverse_transform(both, [nothing, recording.to_numpy()])
    assert np.isnan(lost).all()
    np.testing.assert_array_equal(found, recording)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_memory_maps_are_read_where_needed(tmp_path, dtype):
    n_timepoints, n_channels = 2**28 + 5, 4  # GB, of holes
    shape = (n_timepoints, n_channels)
    recording = np.memmap(tmp_path / "eeg.dat", dtype=dtype, mode="w+", shape=shape)
    recording[-1] = 7
    windows = Windows(2**14, step=2**14)
    tracemalloc.start()
    try:
        batches = windows.fit(recording).transform_batches(recording, batch_size=4)
        for batch in itertools.islice(batches, 5):
            assert batch.shape == (4, n_channels, 2**14)
        # The steps reach the end, so that the windows are a view.
        if dtype == np.float32:
            X = windows.transform(recording[5:])
            assert X.shape == (2**14, n_channels, 2**14)
            assert (X[-1, :, -2:] == [0, 7]).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_infinity_in_a_memory_map(tmp_path):
    recording = np.memmap(tmp_path / "x.dat", dtype=np.float32, mode="w+", shape=(40,))
    recording[30] = np.inf
    windows = Windows(8, step=4).fit(recording)
    batches = windows.transform_batches(recording, batch_size=2)
    next(batches)
    with pytest.raises(ValueError, match="contains infinity"):
        list(batches)


DATES = frame(20).reset_index()
BAD_RECORDINGS = {
    "short": (noise(7, 2), "Found array with 7 sample.* minimum of 8"),
    "one is short": ([noise(9, 2), noise(7, 2)], "Recording 1: Found array with 7"),
    "other channels": ([noise(9, 2), noise(9, 3)], "Recording 1: X has 3 features"),
    "windows": (noise(9, 2, 8), r"a recording .* list\(np.swapaxes"),
    "axes differ": ([noise(9), noise(9, 1)], "must have a channel axis"),
    "infinity": (np.where(noise(9, 2) > 0, np.inf, -np.inf), "contains infinity"),
    "text": (np.full((9, 2), "a"), "could not convert|numeric"),
    "complex": (noise(9, 2) * 1j, "Complex data not supported"),
    "masked": (np.ma.masked_less(noise(9, 2), 0), "masked values"),
    "dates": (DATES, r"set_index\('index'\)"),
    "series of dates": (DATES["index"], "set_index"),
    "one has dates": ([frame(9), DATES], "Recording 1: "),
    "names": ([frame(9), frame(9)[["c1", "c0"]]], "Recording 1: The feature names"),
    "empty list": ([], "Found array with 0"),
    "number": (3.0, "scalar"),
    "no channels": (noise(9, 0), "0 feature"),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_bad_recordings(case):
    recordings, message = BAD_RECORDINGS[case]
    windows = Windows(8)
    with pytest.raises(ValueError, match=message):
        windows.fit(recordings)
    assert not hasattr(windows, "n_features_in_")


def test_sparse_recordings():
    for recording in (sparse.csr_array(np.eye(9)), [sparse.csr_array(np.eye(9))]):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            Windows(8).fit(recording)


def test_other_recordings_than_in_fit():
    windows = Windows(8).fit(frame(20))
    for method in (windows.transform, windows.transform_batches, windows.window_index):
        with pytest.raises(ValueError, match="The feature names should match"):
            method(frame(20).rename(columns={"c0": "b"}))
        with pytest.raises(ValueError, match="The feature names should match"):
            method(frame(20, 3))
    assert windows.transform(frame(50)).shape[1:] == (2, 8)


def test_bad_windows_and_scores():
    recording = noise(20, 2)
    windows = Windows(8, step=4).fit(recording)
    X = windows.transform(recording)
    for wrong in (X[1:], X[:, 0], X[..., :7]):
        with pytest.raises(ValueError, match=r"expecting \(4, 2, 8\)"):
            windows.inverse_transform(wrong, recording)
    for wrong in (np.ones(3), np.ones((4, 1)), np.ones((4, 9))):
        with pytest.raises(ValueError, match=r"expecting \(4,\) or \(4, 8\)"):
            windows.inverse_scores(wrong, recording)
    with pytest.raises(ValueError, match="contains infinity"):
        windows.inverse_transform(np.where(X > 1, np.inf, X), recording)


@pytest.mark.parametrize(
    "params", [{"length": 0}, {"length": 2.5}, {"length": "8"}, {"step": 0}]
)
def test_bad_parameters(params):
    with pytest.raises(ValueError, match="parameter of Windows must be"):
        Windows(**{"length": 8, **params}).fit(noise(20))
    windows = Windows(8).fit(noise(20))
    with pytest.raises(ValueError, match="batch_size must be an int"):
        windows.transform_batches(noise(20), batch_size=0)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        Windows(8).transform(noise(20))


def test_clones_and_pickles():
    windows = clone(Windows(8, step=3))
    assert windows.get_params() == {"length": 8, "step": 3}
    windows.fit(frame(20))
    restored = pickle.loads(pickle.dumps(windows))
    np.testing.assert_array_equal(
        restored.transform(frame(20)), windows.transform(frame(20))
    )


@pytest.mark.parametrize("n_timepoints", [184, 190])
def test_pipeline(n_timepoints):
    pipeline = make_pipeline(Windows(32, step=8), tiny_encoder(max_epochs=1))
    recordings = frame(n_timepoints)
    Z = pipeline.set_output(transform="pandas").fit_transform(recordings)
    assert isinstance(Z, pd.DataFrame)
    assert len(Z) == len(pipeline[0].window_index(recordings))
    assert np.isfinite(Z.to_numpy()).all()


# --- cross-validation ---


def index_of(lengths, length, step):
    recordings = [noise(n) for n in lengths]
    return Windows(length, step=step).fit(recordings).window_index(recordings)


@given(
    lengths=st.lists(st.integers(60, 90), min_size=1, max_size=3),
    length=st.integers(1, 6),
    step=st.integers(1, 6),
    gap=st.integers(0, 5),
    n_splits=st.integers(2, 5),
    seed=st.integers(0, 3),
)
def test_folds_share_no_time(lengths, length, step, gap, n_splits, seed):
    index = index_of(lengths, length, step)
    index = index.sample(frac=1, random_state=seed)  # rows may come in any order
    X = np.zeros((len(index), 1))
    tested = []
    for train, test in WindowKFold(n_splits, gap=gap).split(X, groups=index):
        tested.extend(test)
        left_out = np.setdiff1d(np.arange(len(index)), np.r_[train, test])
        train, test, left_out = (index.iloc[rows] for rows in (train, test, left_out))
        assert smallest_distance(train, test).min() >= gap
        # No window is left out without need.
        assert (smallest_distance(left_out, test) < gap).all()
        # A fold tests on one stretch of every recording.
        for number, rows in test.groupby("recording"):
            stretch = index[index["recording"] == number]
            stretch = stretch[
                stretch["start"].between(rows.start.min(), rows.start.max())
            ]
            assert len(stretch) == len(rows)
        assert test["recording"].nunique() == len(lengths)
    assert sorted(tested) == list(range(len(index)))


def smallest_distance(rows, others):
    """Timepoints between every window and the closest of others, negative in common."""
    if rows.empty:
        return np.array([])
    start, stop = (rows[name].to_numpy()[:, None] for name in ("start", "stop"))
    distance = np.maximum(
        others["start"].to_numpy() - stop, start - others["stop"].to_numpy()
    )
    same = rows["recording"].to_numpy()[:, None] == others["recording"].to_numpy()
    return np.where(same, distance, np.inf).min(axis=1)


def labeled_windows():
    """Windows of three recordings that alternate between slow and fast waves."""
    X, y = waves(30, 64)
    windows = Windows(32, step=16)
    recordings = list(X.reshape(3, -1))
    X = windows.fit_transform(recordings)
    index = windows.window_index(recordings)
    y = np.repeat(y, 64).reshape(3, -1)[index["recording"], index["start"] + 16]
    return X, y, index


def powers(X):
    return np.abs(np.fft.rfft(X, axis=-1))


def test_scores_of_cross_validation():
    X, y, index = labeled_windows()
    model = make_pipeline(FunctionTransformer(powers), LogisticRegression())
    scores = cross_val_score(model, X, y, groups=index, cv=WindowKFold(4))
    assert scores.shape == (4,)
    assert scores.mean() > 0.8
    # The table serves with features of the windows, too.
    scores = cross_val_score(
        LogisticRegression(), powers(X), y, groups=index, cv=WindowKFold(4)
    )
    assert scores.mean() > 0.8
    scores = cross_val_score(model, X, y, groups=index["recording"], cv=GroupKFold(3))
    assert scores.mean() > 0.8


def test_search():
    X, y, index = labeled_windows()
    model = make_pipeline(FunctionTransformer(powers), LogisticRegression())
    grid = {"logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=WindowKFold(3)).fit(X, y, groups=index)
    assert search.n_splits_ == 3
    with sklearn.config_context(enable_metadata_routing=True):
        nested = cross_validate(
            GridSearchCV(model, grid, cv=WindowKFold(2)),
            X,
            y,
            cv=WindowKFold(3),
            params={"groups": index},
        )
    assert nested["test_score"].shape == (3,)


def test_splitter_is_written_out():
    cv = clone(WindowKFold(3, gap=2), safe=False)
    assert repr(cv) == "WindowKFold(gap=2, n_splits=3)"
    assert cv.get_n_splits() == 3


@pytest.mark.parametrize(
    ("params", "groups", "message"),
    [
        ({"n_splits": 1}, index_of([60], 8, 2), "n_splits"),
        ({"gap": -1}, index_of([60], 8, 2), "gap"),
        ({}, None, "should be the output of Windows.window_index, got NoneType"),
        ({}, np.zeros(27), "got ndarray"),
        ({}, index_of([50], 8, 2), "inconsistent numbers of samples"),
        ({"gap": 50}, index_of([60], 8, 2), "the train set of fold 0 will be empty"),
        ({"n_splits": 30}, index_of([60], 8, 2), "the test set of fold"),
    ],
)
def test_bad_splits(params, groups, message):
    with pytest.raises(ValueError, match=message):
        list(WindowKFold(**params).split(np.zeros((27, 1)), groups=groups))
