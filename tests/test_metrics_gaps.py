"""Metrics of series with gaps and of unequal length."""

import numpy as np
import pandas as pd
import pytest
from estimators import tiny_encoder, tiny_sampler, tiny_tokenizer, tiny_vae, waves
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sktsrep import metrics

FEATURES = metrics.RandomConvolutionFeatures(4)


def labels_of(X):
    return np.arange(len(X)) % 2


def accuracy(X, Y, classifier=None):
    return metrics.classification_accuracy_score(
        X, labels_of(X), Y, labels_of(Y), classifier=classifier
    )


def inception(X, Y):
    """Inception score of Y by a classifier of X."""
    classifier = make_pipeline(FEATURES, LogisticRegression(max_iter=5000))
    return metrics.inception_score(Y, classifier.fit(X, labels_of(X)))


COMPARE = {
    "frechet": lambda X, Y: metrics.frechet_distance(X, Y, features=FEATURES),
    "frechet of PCA": lambda X, Y: metrics.frechet_distance(X, Y, features=PCA(2)),
    "frechet, passthrough": lambda X, Y: metrics.frechet_distance(
        X, Y, features="passthrough"
    ),
    "context_fid": lambda X, Y: metrics.context_fid(
        X, Y, make_pipeline(FEATURES, StandardScaler())
    ),
    "mmd": metrics.mmd,
    "marginal": metrics.marginal_difference,
    "autocorrelation": metrics.autocorrelation_difference,
    "skewness": metrics.skewness_difference,
    "kurtosis": metrics.kurtosis_difference,
    "discriminative": lambda X, Y: metrics.discriminative_score(X, Y, cv=2),
    "predictive": metrics.predictive_score,
    "roughness": metrics.roughness_ratio,
    "memorization": lambda X, Y: metrics.memorization_ratio(X, X[1:] + Y[:1], Y),
    "accuracy": accuracy,
    "accuracy of 1-NN": lambda X, Y: accuracy(X, Y, KNeighborsClassifier(1)),
    "inception": inception,
}
every_metric = pytest.mark.parametrize("name", COMPARE)


def cut(seed, longest=30, n_samples=12):
    """Waves of random lengths, in a list."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, longest + 1, size=n_samples)
    X, _ = waves(n_samples, longest, seed=seed)
    return [x[:n] for x, n in zip(X, lengths, strict=True)]


def padded(series, n_timepoints):
    return pd.DataFrame(series).reindex(columns=range(n_timepoints)).to_numpy()


def held(series, n_timepoints):
    return pd.DataFrame(padded(series, n_timepoints)).ffill(axis=1).to_numpy().copy()


@every_metric
@settings(max_examples=3)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(0, 20))
def test_padding_changes_nothing(name, seed, n_more, n_more_of_other):
    X, Y = cut(seed), cut(seed + 1, 25)
    expected = COMPARE[name](X, Y)
    longest = max(map(len, X + Y))
    more = padded(X, longest + n_more), padded(Y, longest + n_more_of_other)
    assert COMPARE[name](*map(list, more)) == pytest.approx(expected, abs=1e-9)


@every_metric
def test_the_last_value_is_held_and_gaps_are_bridged(name):
    X, Y = cut(0), cut(1)
    X[0], Y[1] = waves(2, 30)[0]  # the longest of both
    filled = held(X, 30), held(Y, 30)
    X[0] = X[0].copy()
    X[0][3:6] = np.nan
    filled[0][0, 3:6] = np.linspace(X[0][2], X[0][6], 5)[1:-1]
    X, Y = list(padded(X, 30)), list(padded(Y, 30))
    expected = COMPARE[name](*map(list, filled))
    assert COMPARE[name](X, Y) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_an_absent_channel_has_the_mean_of_the_real_ones():
    X, Y = (waves(6, 20, 2, seed=seed)[0] for seed in (0, 1))
    absent, filled = Y.copy(), Y.copy()
    absent[2, 1], filled[2, 1] = np.nan, X[:, 1].mean()
    assert metrics.mmd(X, absent) == pytest.approx(metrics.mmd(X, filled))


def test_lengths_are_part_of_what_is_compared():
    X = waves(100, 30)[0]
    rng = np.random.default_rng(0)
    short, alike, long = (
        [x[:n] for x, n in zip(X, rng.integers(*bounds, size=100), strict=True)]
        for bounds in ((5, 15), (5, 15), (25, 31))
    )
    score = metrics.discriminative_score
    assert score(short, waves(100, 15, seed=1)[0][:, :9].tolist()) > 0.1
    assert score(short[:50], alike[50:]) < 0.2 < score(short[:50], long[50:])
    assert metrics.mmd(short[:50], alike[50:]) < metrics.mmd(short[:50], long[50:])


def test_arrays_of_other_lengths_are_still_errors():
    X = waves(12, 30)[0]
    with pytest.raises(ValueError, match="shape"):
        metrics.mmd(X, X[:, 1:])
    with pytest.raises(ValueError, match="shape"):
        metrics.mmd(cut(0), waves(12, 30, 2)[0])
    assert metrics.mmd(X, list(X[:, 1:])) > 0


def test_features_of_a_series_depend_on_no_other():
    series = cut(0)
    features = metrics.RandomConvolutionFeatures().fit(series)
    assert get_tags(features).input_tags.allow_nan
    others = [*cut(1, 60), np.array([1.0, np.nan, 2.0])]
    together = features.transform(others)
    alone = np.concatenate([features.transform([x]) for x in others])
    np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-9)
    longest = max(map(len, series))
    array = held(series, longest)
    again = metrics.RandomConvolutionFeatures().fit(array)
    np.testing.assert_allclose(
        again.transform(array), features.transform(series), atol=1e-9
    )
    with pytest.raises(ValueError, match="expecting 1"):
        features.transform([np.ones((2, 9))])


# ------------------------------------------------------------------------------- tables


def test_samples_of_unequal_series():
    X_train, X_test = cut(0, 40, 30), cut(1, 35, 24)
    X_train[3] = np.where(np.arange(len(X_train[3])) == 1, np.nan, X_train[3])
    y_train, y_test = map(labels_of, (X_train, X_test))
    sampler = tiny_sampler(tiny_tokenizer()).fit(X_train, y_train)
    frozen = FrozenEstimator(tiny_encoder().fit(X_train))
    values, again = (
        metrics.evaluate_samples(
            sampler, X, Y, y_train, y_test, encoder=frozen, features=PCA(2)
        ).set_index("metric")[["value", "floor"]]
        for X, Y in (
            (X_train, X_test),
            (list(padded(X_train, 50)), padded(X_test, 60)),
        )
    )
    assert np.isfinite(values).all(axis=None)
    np.testing.assert_allclose(values, again, atol=1e-9)
    assert values["floor"]["memorization_ratio"] == 1


def test_representations_of_unequal_series():
    X = cut(0, 40, 24)
    X[3] = np.where(np.arange(len(X[3])) == 1, np.nan, X[3])
    y = labels_of(X)
    frozen = FrozenEstimator(tiny_encoder().fit(X))
    estimators = {"trained": tiny_encoder(), "frozen": frozen, "fixed": tiny_vae()}
    params = {"cv": 2, "n_shots": (), "probes": {"1-NN": KNeighborsClassifier(1)}}
    table, again = (
        metrics.evaluate_representation(estimators, Z, y, **params)
        for Z in (X, padded(X, 40))
    )
    pd.testing.assert_frame_equal(table, again)
    raw = table.set_index("representation")["mean"]["raw series"]
    lines = pd.DataFrame(padded(X, 40)).interpolate(axis=1).to_numpy()
    filled = metrics.evaluate_representation({}, lines, y, **params)
    assert raw == filled.set_index("representation")["mean"]["raw series"]
