"""Display of anomalies: lines, threshold and shades are those of the scores."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from estimators import tiny_encoder, tiny_tokenizer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from sktsrep import AnomalyDetector, Windows
from sktsrep.plotting import AnomalyDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def recording():
    """Two channels with dates, names, a gap and a spike."""
    rng = np.random.default_rng(0)
    time = np.arange(300)[:, None]
    values = np.sin(2 * np.pi * time / [16, 20]) + 0.05 * rng.normal(size=(300, 2))
    values[100:110] = np.nan
    values[200, 0] = 9
    index = pd.date_range("2026-01-01", periods=300, freq="h")
    return pd.DataFrame(values, index, ["pump", "valve"])


@pytest.fixture(scope="module")
def windows(recording):
    return Windows(32, step=8).fit(recording)


@pytest.fixture(scope="module")
def detector(recording, windows):
    return AnomalyDetector(tiny_tokenizer()).fit(windows.transform(recording))


def spans(panel):
    """Begin and end of every shade."""
    (shades,) = panel.collections
    return [path.get_extents().intervalx for path in shades.get_paths()]


def test_a_detector_scores_the_recording(detector, recording, windows):
    display = AnomalyDisplay.from_estimator(detector, recording, windows=windows)
    scores = detector.score_timepoints(windows.transform(recording))
    scores = windows.inverse_scores(scores, recording)
    np.testing.assert_array_equal(display.scores, scores)
    np.testing.assert_array_equal(display.recording, recording)
    assert display.threshold == detector.timepoint_offset_
    unusual = np.zeros(300, dtype=bool)
    for begin, end in display.stretches:
        unusual[begin:end] = True
    assert unusual.any()
    np.testing.assert_array_equal(unusual, scores < display.threshold)


def test_a_pipeline_has_its_windows(detector, recording, windows):
    expected = AnomalyDisplay.from_estimator(detector, recording, windows=windows)
    pipeline = Pipeline([("windows", windows), ("detector", detector)])
    display = AnomalyDisplay.from_estimator(pipeline, recording)
    np.testing.assert_array_equal(display.scores, expected.scores)
    assert display.threshold == expected.threshold
    with pytest.raises(ValueError, match="windows is missing"):
        AnomalyDisplay.from_estimator(detector, recording)


def test_lines_have_gaps_and_the_index_is_the_time(detector, recording, windows):
    display = AnomalyDisplay.from_estimator(detector, recording, windows=windows).plot()
    assert display.ax_.shape == (3, 1)
    pump, valve, score = display.ax_[:, 0]
    assert [ax.get_ylabel() for ax in display.ax_[:, 0]] == ["pump", "valve", "score"]
    assert score.get_xlabel() == "time"
    days = matplotlib.dates.date2num(recording.index)
    for ax, values in ((pump, recording["pump"]), (valve, recording["valve"])):
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), days)
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), values)
    assert np.isnan(score.lines[0].get_ydata()[100:110]).all()
    display.figure_.canvas.draw()


def test_shades_cover_the_timepoints_below_the_threshold():
    scores = np.array([-9.0, -1, -1, -9, -9, np.nan, -9, -1, -5])
    display = AnomalyDisplay.from_scores(
        np.arange(9), scores, threshold=-5, sampling_rate=2
    )
    np.testing.assert_array_equal(display.stretches, [[0, 1], [3, 5], [6, 7]])
    display.plot()
    for panel in display.ax_[:, 0]:
        expected = [[-0.25, 0.25], [1.25, 2.25], [2.75, 3.25]]
        np.testing.assert_allclose(spans(panel), expected)
    assert display.ax_[1, 0].get_xlabel() == "time (s)"
    title = display.ax_[1, 0].get_title(loc="left")
    assert title == "4 of 9 timepoints below the threshold -5"


def test_without_threshold_nothing_is_marked():
    display = AnomalyDisplay.from_scores(np.arange(9), -np.arange(9)).plot()
    assert len(display.stretches) == 0
    assert spans(display.ax_[0, 0]) == []
    assert display.ax_[0, 0].get_ylabel() == ""
    assert display.ax_[1, 0].get_title(loc="left") == ""


def test_a_value_between_two_gaps_is_a_point():
    x = [1.0, np.nan, 3.0, np.nan, 5.0, 6.0]
    display = AnomalyDisplay.from_scores(x, np.zeros(6)).plot()
    points = display.ax_[0, 0].lines[1]
    np.testing.assert_array_equal(points.get_xydata(), [[0, 1], [2, 3]])


@pytest.mark.parametrize(("freq", "n"), [("h", 5), ("min", 7), ("D", 50), ("W", 300)])
def test_dates_have_a_few_ticks(freq, n):
    time = pd.date_range("2026-01-01 10:17", periods=n, freq=freq)
    display = AnomalyDisplay.from_scores(np.zeros(n), np.zeros(n), time=time).plot()
    display.figure_.canvas.draw()  # matplotlib warns of spans without a rule
    assert 3 <= len(display.ax_[-1, 0].get_xticks()) <= 8


def test_any_estimator_with_scores_of_timepoints(recording, windows):
    X = windows.transform(recording)
    tokenizer = tiny_tokenizer().fit(X)
    display = AnomalyDisplay.from_estimator(tokenizer, recording, windows=windows)
    assert display.threshold is None
    with pytest.raises(TypeError, match="must have score_timepoints"):
        AnomalyDisplay.from_estimator(tiny_encoder(), recording, windows=windows)
    with pytest.raises(NotFittedError):
        AnomalyDisplay.from_estimator(tokenizer, recording, windows=Windows(32))


def test_axes_names_and_time_may_be_given(recording):
    scores = np.zeros(300)
    time = {"time": np.arange(300) / 4, "channel_names": ["a", "b"], "unit": "bar"}
    display = AnomalyDisplay.from_scores(recording, scores, **time)
    _, axes = plt.subplots(2)
    display.plot(axes, n_channels=1)
    np.testing.assert_array_equal(display.ax_[:, 0], axes)
    assert axes[0].get_ylabel() == "a (bar)"
    assert axes[0].lines[0].get_xdata()[-1] == 299 / 4
    divided = display.plot(plt.figure().add_subplot()).ax_
    assert divided.shape == (3, 1)
    series = AnomalyDisplay.from_scores(recording["valve"], scores).plot()
    assert series.ax_[0, 0].get_ylabel() == "valve"
    tensor = torch.tensor(recording.to_numpy(), requires_grad=True)
    plain = AnomalyDisplay.from_scores(tensor, scores).plot()
    assert plain.ax_[-1, 0].get_xlabel() == "timepoint"
    assert plain.ax_[0, 0].get_ylabel() == "channel 0"


@pytest.mark.parametrize(
    ("recording", "scores", "match"),
    [
        (np.zeros(5), np.zeros(4), r"scores must have shape \(5,\)"),
        (np.zeros((5, 2)), np.zeros((5, 2)), r"scores must have shape \(5,\)"),
        (np.full(5, np.inf), np.zeros(5), "recording contains infinity"),
        (np.zeros(5), np.full(5, -np.inf), "scores contains infinity"),
        ([np.zeros(5), np.zeros(5)], np.zeros(5), "must be a single recording, got 2"),
        (np.zeros((1, 5, 2)), np.zeros(5), "dim 3"),
    ],
)
def test_bad_recordings_and_scores(recording, scores, match):
    with pytest.raises(ValueError, match=match):
        AnomalyDisplay.from_scores(recording, scores)
