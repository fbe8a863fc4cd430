"""Tests of scores of timepoints and of the anomaly detector."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy.stats import zscore
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktsrep import PretrainedEncoder, STFTTransformer, Windows, load
from sktsrep._calibration import _TailProbability, mean_nearby
from sktsrep._gaps import bridge, shares_of_time
from sktsrep._neighbors import start_times, windows_between
from sktsrep.anomaly import AnomalyDetector
from sktsrep.quantizers import EMACodebook, ResidualVQ
from tests.estimators import (
    tiny_autoregressive,
    tiny_encoder,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)

SHORT = {"max_epochs": 1}
LENGTH = 64


def recording(n_timepoints=2200, seed=0):
    """A noisy sine with a period of 16."""
    noise = np.random.default_rng(seed).normal(size=n_timepoints)
    return np.sin(2 * np.pi * np.arange(n_timepoints) / 16) + 0.05 * noise


def windows(x, step):
    return sliding_window_view(x, LENGTH)[::step].copy()


def spike(x):
    x[30] += 3


def flat(x):
    x[24:40] = 0


def faster(x):
    x[20:44] = np.sin(2 * np.pi * np.arange(24) / 6)


# ----------------------------------------------------------------- scores of timepoints


@pytest.mark.parametrize("n_timepoints", [48, 50, 151])  # 151 are no whole hops
def test_the_tokenizers_timepoints_have_the_score_as_mean(n_timepoints):
    X, _ = waves(n_timepoints=n_timepoints, n_channels=2)
    tokenizer = tiny_tokenizer().fit(X)
    scores = tokenizer.score_timepoints(X)
    assert scores.shape == (40, n_timepoints)
    np.testing.assert_allclose(scores.mean(axis=1), tokenizer.score_samples(X))
    error = ((tokenizer.reconstruct(X) - X) / tokenizer.scale_) ** 2
    np.testing.assert_allclose(scores, -error.mean(axis=1), rtol=1e-3, atol=1e-4)


def test_the_vaes_timepoints_are_the_reconstruction_error():
    X, _ = waves(n_timepoints=151)
    vae = tiny_vae().fit(X)
    error = ((vae.reconstruct(X) - X) / vae.scale_[0, 0]) ** 2
    np.testing.assert_allclose(vae.score_timepoints(X), -error, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_vae])
def test_clipped_values_count_where_they_are(maker):
    X, _ = waves()
    estimator = maker().fit(X)
    odd = np.repeat(X[:1], 3, axis=0)
    odd[:, 25] = [1e3, 1e6, 1e60]
    scores = estimator.score_timepoints(odd)
    assert (scores.argmin(axis=1) == 25).all()
    assert (np.diff(scores[:, 25]) < 0).all()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_vae])
def test_spectrograms_have_no_timepoints(maker):
    Z = STFTTransformer(device="cpu").fit_transform(waves()[0])
    with pytest.raises(ValueError, match="needs series, got spectrograms"):
        maker().fit(Z).score_timepoints(Z)
    with pytest.raises(ValueError, match=r"dim 4. AnomalyDetector expected <= 3"):
        AnomalyDetector(maker()).fit(Z)


@pytest.mark.parametrize("maker", [tiny_sampler, tiny_autoregressive])
@pytest.mark.parametrize("levels", [False, True])
def test_the_samplers_timepoints_have_the_score_as_sum(maker, levels):
    X, _ = waves()
    X = X + 100 * np.random.default_rng(0).normal(size=(40, 1)) * levels
    tokenizer = tiny_tokenizer(quantizer=ResidualVQ(2, EMACodebook(8, dim=4)))
    sampler = maker(tokenizer).fit(X)
    assert sampler._n_level_places == levels
    scores = sampler.score_timepoints(X)
    assert scores.shape == X.shape
    np.testing.assert_allclose(scores.sum(axis=1), sampler.score_samples(X))


def test_samplers_of_tokens_have_no_timepoints():
    sampler = tiny_sampler().fit(np.zeros((9, 4), dtype=int))
    with pytest.raises(ValueError, match="score_timepoints needs a sampler that was"):
        sampler.score_timepoints(np.zeros((9, 4), dtype=int))


@given(st.integers(1, 40), st.integers(1, 200))
def test_shares_of_time(n_places, n_timepoints):
    shares = shares_of_time(n_places, n_timepoints)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    center = (shares * np.arange(n_timepoints)).sum(axis=1)
    assert (np.diff(center) >= 0).all()
    if n_timepoints % n_places == 0:  # equal places make a level line
        even = np.full(n_timepoints, n_places / n_timepoints)
        np.testing.assert_allclose(shares.sum(axis=0), even)


# -------------------------------------------------------------------------- calibration


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.lists(st.floats(0, 1e9), min_size=2, max_size=20),
    st.booleans(),
)
def test_calibration_is_monotone_and_finite(values, new, logarithmic):
    scores = _TailProbability(np.array(values), logarithmic)(np.sort(new))
    assert (np.diff(scores) <= 0).all()
    assert (scores <= 0).all()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("logarithmic", [False, True])
def test_calibration_gives_the_shares_of_usual_values(logarithmic):
    draw = np.random.default_rng(0).exponential(size=(2, 20_000))
    draw = np.exp(draw) if logarithmic else draw
    scores = _TailProbability(draw[0], logarithmic)(draw[1])
    for share in (0.5, 0.1, 0.01, 0.001):
        assert (scores < np.log(share)).mean() == pytest.approx(share, rel=0.3)


@pytest.mark.parametrize("n_timepoints", [1, 15, 16, 50])
def test_mean_of_the_values_nearby_by_hand(n_timepoints):
    values = np.random.default_rng(0).exponential(size=(4, n_timepoints))
    values[1, 3:20] = np.nan
    values[2] = np.nan
    values[3, :1] = 1e300
    n_nearby = n_timepoints // 16
    expected = np.full(values.shape, np.nan)
    for i, t in np.argwhere(~np.isnan(values)):
        expected[i, t] = np.nanmean(values[i, max(t - n_nearby, 0) : t + n_nearby + 1])
    np.testing.assert_allclose(mean_nearby(values), expected, rtol=1e-12)


# ----------------------------------------------------------------------------- detector


@parametrize_with_checks(
    [
        AnomalyDetector(tiny_tokenizer(ssl=None, **SHORT)),
        AnomalyDetector(tiny_sampler(tiny_tokenizer(ssl=None, **SHORT), **SHORT)),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def sampler():
    """A sampler that knows the windows of a recording."""
    longer = {"max_epochs": 25, "hidden_dim": 16, "lr": 3e-3}
    X = windows(recording(), 8)
    tokenizer = tiny_tokenizer(**longer).fit(X)
    return tiny_sampler(FrozenEstimator(tokenizer), **longer).fit(X)


@pytest.fixture(scope="module")
def fitted(sampler):
    X = windows(recording(seed=1), 8)
    return AnomalyDetector(FrozenEstimator(sampler), random_state=0).fit(X)


@pytest.mark.parametrize(
    "name", ["reconstruction", "likelihood", "neighbors", "shape", "values", "auto"]
)
@pytest.mark.parametrize("fault", [spike, flat, faster])
def test_faults_lower_the_score_at_their_place(fitted, sampler, name, fault):
    detector = AnomalyDetector(FrozenEstimator(sampler), scores=name)
    detector = fitted if name == "auto" else detector.fit(windows(recording(), 8))
    X = windows(recording(600, seed=2), 16)
    faulty = X.copy()
    for x in faulty:
        fault(x)
    lowered = detector.score_samples(faulty) - detector.score_samples(X)
    assert np.median(lowered) < -1
    if name not in ("neighbors", "shape", "values"):
        before, after = map(detector.score_timepoints, (X, faulty))
        lowered = (after - before).mean(axis=0)
        assert lowered[18:46].mean() < lowered.mean() < 0


def test_most_series_are_usual_and_faults_are_not(fitted):
    X = windows(recording(1200, seed=2), 16)
    assert (fitted.predict(X) == 1).mean() > 0.9
    assert fitted.offset_ < 0
    for x in X:
        faster(x)
    assert (fitted.predict(X) == -1).mean() > 0.9


def test_components_that_are_off_do_not_matter(sampler):
    X = windows(recording(), 8)
    names = ("reconstruction", "likelihood", "neighbors", "shape", "values")
    alone = []
    for name in names:
        detector = AnomalyDetector(FrozenEstimator(sampler), scores=[name]).fit(X)
        assert detector.scores_ == (name,)
        alone.append(detector.score_samples(X[:9]))
        for other in set(names) - {name}:
            monkey = lambda X: pytest.fail(other)  # noqa: B023, E731
            if other == "likelihood":
                detector.estimator_.score_timepoints = monkey
            elif other == "reconstruction":
                detector.estimator_.tokenizer_.score_timepoints = monkey
        np.testing.assert_array_equal(detector.score_samples(X[:9]), alone[-1])
    together = AnomalyDetector(FrozenEstimator(sampler), scores=names).fit(X)
    # Shape and values count as one.
    expected = np.average(alone, axis=0, weights=[1, 1, 1, 0.5, 0.5])
    np.testing.assert_allclose(together.score_samples(X[:9]), expected)


OFFERED = {
    "tokenizer": (tiny_tokenizer, ("reconstruction", "neighbors", "shape", "values")),
    "tokens": (
        lambda: tiny_tokenizer(output="tokens"),
        ("reconstruction", "neighbors", "shape", "values"),
    ),
    "VAE": (tiny_vae, ("reconstruction", "neighbors", "shape", "values")),
    "encoder": (tiny_encoder, ("neighbors", "shape", "values")),
    "PCA": (lambda: PCA(3), ("neighbors", "shape", "values")),
    "classifier": (lambda: DummyClassifier(), ("shape", "values")),
    "autoregressive": (
        lambda: tiny_autoregressive(tiny_tokenizer()),
        ("reconstruction", "likelihood", "neighbors", "shape", "values"),
    ),
}


@pytest.mark.parametrize("case", OFFERED)
def test_components_are_what_the_estimator_offers(case):
    make, names = OFFERED[case]
    X, _ = waves()
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(X.shape[1])])
    frozen = FrozenEstimator(make().fit(frame, np.zeros(len(X))))
    detector = AnomalyDetector(frozen).fit(X)
    assert detector.scores_ == names
    assert np.isfinite(detector.score_samples(X)).all()
    for scores in ("likelihood", [], ["spectrum"]):
        if not {*scores} & {"l"} or "likelihood" not in names:
            with pytest.raises(ValueError, match="scores must be 'auto' or some of"):
                AnomalyDetector(frozen, scores=scores).fit(X)


def distances_by_hand(Z, memory, step):
    """Mean distance to two windows that do not overlap, of windows in order."""
    gaps = np.linalg.norm(Z[:, None] - memory, axis=2)
    begins = step * np.arange(len(Z))
    others = np.linspace(0, begins[-1], len(memory))
    gaps[np.abs(begins[:, None] - others) < LENGTH - 1] = np.inf
    return np.sort(gaps, axis=1)[:, :2].mean(axis=1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_to_the_nearest_others_by_hand(metric):
    x = recording(400)
    X, everywhere = windows(x, 16), windows(x, 1)  # 22 and 337, from 0 to 336
    frozen = FrozenEstimator(PCA(5).fit(X))
    detector = AnomalyDetector(frozen, n_neighbors=2, metric=metric).fit(X)
    Z = PCA(5).fit_transform(X)
    Z = Z / Z.std(axis=0)
    if metric == "cosine":
        Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    vectors = {
        "neighbors": (Z, Z),
        "shape": (zscore(X, axis=1), zscore(everywhere, axis=1)),
        "values": (X / X.std(), everywhere / X.std()),
    }
    for name, (of_windows, memory) in vectors.items():
        expected = distances_by_hand(of_windows, memory, 16)
        np.testing.assert_allclose(detector._distances(name, X), expected)
        # What fit has not seen may be compared to all.
        new = detector._distances(name, X + 1e-9)
        assert (new < expected).all()
        if name == "neighbors":
            assert (new < 0.6 * expected).all()  # one of two is next to nothing
        else:
            beside = np.linalg.norm(memory[1:] - memory[:-1], axis=1).max()
            assert (new < beside).all()


def test_windows_begin_where_recordings_put_them():
    recordings = [recording(400), np.zeros(84), recording(350, seed=1)]
    recordings[0][100:200] = 7  # constant stretches do not tell a shift
    recordings[2][60:63] = np.nan
    cut = Windows(LENGTH, step=20).fit(recordings)
    X, index = cut.transform(recordings), cut.window_index(recordings)
    times = start_times(X)
    for number, rows in index.groupby("recording"):
        since = times[rows.index] - times[rows.index[0]]
        np.testing.assert_array_equal(since, rows["start"])
        if number:  # begins where the one before ends
            assert times[rows.index[0]] == times[rows.index[0] - 1] + LENGTH
    every, _ = windows_between(X, times)
    expected = [sliding_window_view(x, LENGTH) for x in recordings]
    np.testing.assert_array_equal(every, np.concatenate(expected))


@given(st.integers(1, 30), st.integers(1, 7))
def test_windows_between_are_those_of_the_recording(n_windows, step):
    x = np.random.default_rng(0).normal(size=(2, 9 + step * (n_windows - 1)))
    every = sliding_window_view(x, 9, axis=1).swapaxes(0, 1)
    X = every[::step]
    times = start_times(X)
    np.testing.assert_array_equal(times, step * np.arange(n_windows))
    between, when = windows_between(X, times)
    np.testing.assert_array_equal(between, every)
    np.testing.assert_array_equal(when, np.arange(len(every)))


@pytest.mark.parametrize("n_channels", [None, 2])
@pytest.mark.parametrize("scores", ["shape", ["shape", "values"]])
def test_series_alone_need_no_estimator(scores, n_channels, tmp_path):
    X, _ = waves(n_channels=n_channels)
    X[1, ..., 10:14] = np.nan
    detector = AnomalyDetector(scores=scores).fit(X)
    assert detector.estimator_ is None
    untrained = FrozenEstimator(tiny_encoder(max_epochs=0).fit(X))
    expected = AnomalyDetector(untrained, scores=scores).fit(X)
    for method in ("score_samples", "score_timepoints", "predict"):
        np.testing.assert_array_equal(
            getattr(detector, method)(X), getattr(expected, method)(X)
        )
    detector.save(tmp_path / "detector.safetensors")
    again = load(tmp_path / "detector.safetensors")
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))


@pytest.mark.parametrize("n_channels", [None, 2])
def test_the_default_trains_nothing_and_finds_faults(n_channels, tmp_path):
    x = recording(900).reshape(1, -1) * np.arange(1, 1 + (n_channels or 1))[:, None]
    X = sliding_window_view(x, LENGTH, axis=1)[:, ::8].swapaxes(0, 1)
    X = X.copy() if n_channels else X[:, 0].copy()
    X[3, ..., 20:24] = np.nan
    detector = AnomalyDetector().fit(X)
    assert isinstance(detector.estimator_, PretrainedEncoder)
    assert detector.scores_ == ("neighbors", "shape", "values")
    faulty = X[50:60].copy()
    for series in faulty.reshape(-1, LENGTH):
        faster(series)
    assert (detector.predict(faulty) == -1).all()
    assert (detector.predict(X) == 1).mean() > 0.95
    detector.save(tmp_path / "detector.safetensors")
    again = load(tmp_path / "detector.safetensors")
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))


def test_windows_without_order_overlap_with_themselves_only():
    X, _ = waves()
    detector = AnomalyDetector(FrozenEstimator(PCA(5).fit(X))).fit(X)
    np.testing.assert_array_equal(start_times(X), X.shape[1] * np.arange(len(X)))
    for name in detector.scores_:
        assert (detector._distances(name, X) > 0).all()


# -------------------------------------------------------------------------------- shape


def shape_detector(X, **params):
    """A detector by shape alone, of an estimator that takes gaps but learns little."""
    encoder = FrozenEstimator(tiny_encoder(**SHORT).fit(X))
    return AnomalyDetector(encoder, scores="shape", **params).fit(X)


def test_level_and_size_are_no_shape(sampler):
    X = windows(recording(), 8)
    new = windows(recording(600, seed=2), 16)
    moved = [new + 5, 3 * new]
    for name in ("reconstruction", "likelihood", "neighbors", "shape", "values"):
        detector = AnomalyDetector(FrozenEstimator(sampler), scores=name).fit(X)
        lowered = [
            detector.score_samples(x) - detector.score_samples(new) for x in moved
        ]
        if name == "shape":
            np.testing.assert_allclose(lowered, 0, atol=1e-9)
        elif name != "likelihood":
            assert np.median(lowered, axis=1).max() < -0.5


def test_shapes_of_quiet_and_of_huge_values():
    X = windows(recording(), 8)
    detector = shape_detector(X)
    noise = np.random.default_rng(0).normal(size=(20, LENGTH))
    quiet = [np.zeros((20, LENGTH)), 0.1 * np.ones((20, LENGTH)), 1e-3 * noise]
    distances = np.array([detector._distances("shape", x) for x in quiet])
    np.testing.assert_allclose(distances, np.sqrt(LENGTH), rtol=0.01)  # from nothing
    # They are alike, whatever their noise: those in fit make them usual.
    detector = shape_detector(np.concatenate([X, 1e-3 * noise]))
    assert (detector._distances("shape", 1e-3 * noise[::-1].copy() + 7) < 0.3).all()
    huge = X[:3].copy()
    huge[:, 20] = [1e60, 1e200, -1.7e308]
    assert (detector.score_samples(huge) < detector.score_samples(X[:3])).all()
    constant = shape_detector(np.full((5, LENGTH), 0.1))
    assert (constant._distances("shape", np.full((2, LENGTH), 0.3)) < 1e-3).all()


def test_every_channel_has_its_own_size():
    X = np.stack([windows(recording(seed=seed), 8) for seed in range(2)], axis=1)
    sizes = np.array([1e-6, 1e6])[:, None]
    one, other = (shape_detector(x) for x in (X, X * sizes))
    np.testing.assert_allclose(
        one._distances("shape", X), other._distances("shape", X * sizes)
    )
    odd = X.copy()
    for x in odd[:, 0]:
        faster(x)
    assert (one.score_samples(odd) < one.score_samples(X) - 1).mean() > 0.9


def test_gaps_and_ends_of_shapes_are_bridged():
    X, _ = waves(n_channels=2)
    X[:, :, 20:22] = np.nan
    X[3, 0] = np.nan  # lacks a channel
    X[5, :, 30:] = np.nan  # is shorter
    detector = shape_detector(X)
    bridged = bridge(X, level=0.0)
    np.testing.assert_array_equal(
        detector._distances("shape", X),
        shape_detector(bridged)._distances("shape", bridged),
    )
    assert (bridged[5, :, 30:] == bridged[5, :, 29:30]).all()
    assert np.isfinite(detector.score_samples(X)).all()
    is_missing = np.isnan(X).all(axis=1)
    np.testing.assert_array_equal(np.isnan(detector.score_timepoints(X)), is_missing)
    lists = [x[:, : 30 if i == 5 else 50] for i, x in enumerate(X)]
    np.testing.assert_array_equal(
        detector.score_samples(lists), detector.score_samples(X)
    )


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_series_has_the_same_distances_in_every_batch(n_channels):
    recordings = [recording(seed=seed) for seed in range(n_channels)]
    cut = Windows(LENGTH, step=8).fit(np.stack(recordings, axis=1))
    views = cut.transform(np.stack(recordings, axis=1))  # not contiguous
    detector = AnomalyDetector(tiny_encoder(**SHORT)).fit(views)
    new = cut.transform(np.stack([r[::-1] for r in recordings], axis=1))
    for X in (views, new):
        whole = detector._distances("shape", X)
        for rows in ([0], [7], range(30, 33), range(100)):
            part = detector._distances("shape", X[list(rows)])
            np.testing.assert_array_equal(part, whole[list(rows)])
            one_by_one = np.concatenate(
                [detector._distances("shape", X[i : i + 1]) for i in rows]
            )
            np.testing.assert_array_equal(one_by_one, whole[list(rows)])


# ---------------------------------------------------------------------- what fit learns


def test_errors_are_calibrated_with_series_that_were_held_out():
    X = windows(recording(), 8)
    detector = AnomalyDetector(tiny_tokenizer(), random_state=0).fit(X)
    n_held_out = round(0.1 * len(X))
    seen = tiny_tokenizer().fit(X[:-n_held_out])
    new = -seen.score_samples(X[-n_held_out:])
    tail = detector._of_series["reconstruction"]
    np.testing.assert_allclose(np.exp(tail.knots[[0, 50]]), np.quantile(new, [0, 0.5]))


def test_contamination_is_the_share_of_outliers():
    X, _ = waves(n_samples=100)
    detector = AnomalyDetector(tiny_encoder(), contamination=0.1)
    assert (detector.fit_predict(X) == -1).sum() == 10
    scores = detector.score_samples(X)
    np.testing.assert_array_equal(
        detector.decision_function(X), scores - detector.offset_
    )
    detector.set_params(contamination="auto")
    assert (detector.fit_predict(np.repeat(X, 3, axis=0)) == -1).sum() <= 3
    assert (detector.fit_predict(X[:90]) == 1).all()


def test_contamination_is_the_share_of_unusual_timepoints():
    X, _ = waves(n_samples=100)
    for contamination, share in ((0.1, 0.1), ("auto", 0.01)):
        detector = AnomalyDetector(tiny_tokenizer(), contamination=contamination)
        unusual = detector.fit(X).score_timepoints(X) < detector.timepoint_offset_
        assert unusual.mean() == pytest.approx(share, rel=0.05)
    X[:, :5] = np.nan
    assert np.isfinite(detector.fit(X).timepoint_offset_)


def test_channels_and_a_pickle():
    X, _ = waves(n_channels=3)
    detector = AnomalyDetector(tiny_tokenizer()).fit(X)
    assert detector.score_timepoints(X).shape == (40, 50)
    opened = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(opened.score_samples(X), detector.score_samples(X))


@pytest.mark.parametrize("n_samples", [1, 2, 5])
@pytest.mark.parametrize("value", [None, 0.0, 300.0])
def test_small_and_constant_sets(n_samples, value):
    X, _ = waves(n_samples)
    X = X if value is None else np.full_like(X, value)
    detector = AnomalyDetector(tiny_sampler(tiny_tokenizer())).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.score_timepoints(X)).all()


def test_a_frozen_estimator_must_be_fitted_and_of_the_same_shape():
    X, _ = waves()
    with pytest.raises(NotFittedError):
        AnomalyDetector(FrozenEstimator(tiny_encoder())).fit(X)
    with pytest.raises(NotFittedError):
        AnomalyDetector(tiny_encoder()).score_timepoints(X)
    with pytest.raises(ValueError, match="expecting"):
        AnomalyDetector(FrozenEstimator(tiny_encoder().fit(X))).fit(X[:, :40])


def test_frozen_estimators_are_left_as_they_are():
    X, _ = waves()
    tokenizer = tiny_tokenizer(output="tokens").fit(X)
    before = pickle.dumps(tokenizer)
    AnomalyDetector(FrozenEstimator(tokenizer)).fit(X).score_samples(X)
    assert pickle.dumps(tokenizer) == before


def test_gaps_count_for_nothing():
    X = waves(n_samples=60)[0]
    X[::7, 20:25] = np.nan
    detector = AnomalyDetector(tiny_tokenizer()).fit(X)
    scores, by_time = detector.score_samples(X), detector.score_timepoints(X)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(np.isnan(by_time), np.isnan(X))
    with pytest.raises(ValueError, match="contains NaN"):
        AnomalyDetector(PCA(3)).fit(X)


def test_series_end_where_they_end():
    X, _ = waves(n_samples=30)
    lists = [x[: 50 - i] for i, x in enumerate(X)]
    detector = AnomalyDetector(scores=["shape", "values"]).fit(lists)
    scores = detector.score_samples(lists)
    np.testing.assert_array_equal(detector.score_samples(lists[5:]), scores[5:])
    padded = np.full((30, 70), np.nan)
    for row, x in zip(padded, lists, strict=True):
        row[: len(x)] = x
    other = AnomalyDetector(scores=["shape", "values"]).fit(padded)
    np.testing.assert_array_equal(other.score_samples(padded), scores)
    timepoints = other.score_timepoints(padded)
    np.testing.assert_array_equal(np.isnan(timepoints), np.isnan(padded))
    with pytest.raises(ValueError, match="expecting at most 50, as in fit"):
        other.score_samples(np.ones((1, 70)))
