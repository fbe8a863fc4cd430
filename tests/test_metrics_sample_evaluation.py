"""Table of a sampler: all metrics and floors, and what happens without one."""

import numpy as np
import pytest
from estimators import tiny_encoder, tiny_sampler, tiny_tokenizer, tiny_vae, waves
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier

from sktsrep import metrics


def test_evaluate_samples():
    X, y = waves(40)
    X_test, y_test = waves(30, seed=1)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X, y)
    encoder = tiny_encoder().fit(X)
    table = metrics.evaluate_samples(
        sampler, X, X_test, y, y_test, encoder=FrozenEstimator(encoder)
    )
    assert list(table.columns) == ["metric", "value", "floor", "n"]
    assert len(table) == 15
    assert np.isfinite(table[["value", "floor"]]).all(axis=None)
    assert (table["n"] == 40).all()
    floor = table.set_index("metric")["floor"]
    assert floor["memorization_ratio"] == 1
    assert floor["classification_accuracy_score"] > 0.9
    expected = metrics.context_fid(X_test, X, FrozenEstimator(encoder))
    assert floor["context_fid"] == expected


def test_evaluate_samples_without_classes():
    X, X_test = waves(30)[0], waves(30, seed=1)[0]
    table = metrics.evaluate_samples(tiny_vae().fit(X), X, X_test)
    assert not table["metric"].str.contains("class|inception").any()
    with pytest.raises(ValueError, match="both, or neither"):
        metrics.evaluate_samples(tiny_vae(), X, X_test, np.zeros(30))
    with pytest.raises(ValueError, match="y_train has missing values"):
        metrics.evaluate_samples(tiny_vae(), X, X_test, [None] * 30, np.zeros(30))


def test_an_axis_for_one_channel_leaves_no_metric_undefined():
    X, y = waves(40)
    X_test, y_test = waves(30, seed=1)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X, y)
    parts = X_test[:, None], y, y_test
    table = metrics.evaluate_samples(sampler, X[:, None], *parts)
    assert np.isfinite(table[["value", "floor"]]).all(axis=None)


class Constant:
    """A sampler that has collapsed."""

    def sample(self, n_samples, random_state=None):
        return np.zeros((n_samples, 50))


def test_a_collapsed_sampler_has_nan_and_says_why():
    X, X_test = waves(30)[0], waves(30, seed=1)[0]
    with pytest.warns(UserWarning, match="is NaN: ") as caught:
        table = metrics.evaluate_samples(Constant(), X, X_test)
    names = table["metric"][table["value"].isna()]
    assert len(caught) == len(names) == 3
    assert table["floor"].notna().all()


class Hungry(TransformerMixin, BaseEstimator):
    """A transformer that does not find the memory it asks for."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        raise MemoryError


class Greedy(KNeighborsClassifier):
    def fit(self, X, y):
        raise MemoryError("no room")


def test_a_lack_of_memory_costs_one_metric():
    X, y = waves(30)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X, y)
    with pytest.warns(UserWarning, match="is NaN: ") as caught:
        table = metrics.evaluate_samples(
            sampler,
            X,
            waves(30, seed=1)[0],
            y,
            y,
            encoder=Hungry(),
            classifier=Greedy(),
        )
    lost = table["metric"][table["value"].isna()]
    assert list(lost) == [
        "context_fid", "classification_accuracy_score",
        "inception_score", "classification_accuracy_score, reverse",
    ]  # fmt: skip
    reasons = {str(warning.message) for warning in caught}
    assert "context_fid is NaN: out of memory" in reasons
    assert "inception_score is NaN: no room" in reasons


def test_channels_have_a_correlational_score():
    X, X_test = waves(30, n_channels=2)[0], waves(30, n_channels=2, seed=1)[0]
    table = metrics.evaluate_samples(tiny_vae().fit(X), X, X_test)
    values = table.set_index("metric")
    assert values["floor"]["correlational_score"] == (
        metrics.correlational_score(X_test, X)
    )
    assert values["floor"]["roughness_ratio"] == metrics.roughness_ratio(X_test, X)


def test_series_of_two_timepoints_have_no_roughness():
    X, X_test = (waves(30, 2, seed=seed)[0] for seed in (0, 1))

    class Fresh:
        def sample(self, n_samples, random_state=None):
            return waves(n_samples, 2, seed=2)[0]

    with pytest.warns(UserWarning, match="roughness_ratio is NaN: Second differences"):
        table = metrics.evaluate_samples(Fresh(), X, X_test)
    assert table.set_index("metric").loc["roughness_ratio"].isna().sum() == 2
