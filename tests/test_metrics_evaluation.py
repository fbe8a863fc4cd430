"""Tables of representations and of samples, and scorers of a search."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
from estimators import tiny_encoder, tiny_sampler, tiny_tokenizer, tiny_vae, waves
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import metrics

# ---------------------------------------------------------------------- representations


class SeesLabels(TransformerMixin, BaseEstimator):
    """Fails when a label, or a test series, gets into ``fit``."""

    def fit(self, X, y=None):
        assert y is None
        self.n_seen_ = len(X)
        return self

    def transform(self, X):
        assert len(X) in {self.n_seen_, 40 - self.n_seen_}
        return np.asarray(X)[:, :5]


FAST = {"1-NN": KNeighborsClassifier(1)}


def test_evaluate_representation():
    X, y = waves(40)
    tasks = {"speed": y, "half": np.repeat(["first", "second"], 20)}
    table = metrics.evaluate_representation(
        {"tiny": tiny_encoder(), "labels": SeesLabels()}, X, tasks, cv=2, probes=FAST
    )
    assert list(table.columns) == [
        "representation", "task", "probe", "mean", "sd", "n",
    ]  # fmt: skip
    names = ["tiny", "labels", "tiny, untrained", "raw series", "majority vote"]
    assert list(table["representation"].unique()) == names
    assert len(table) == 2 * (4 * 3 + 1)
    assert (table["n"] == 2).all()
    means = table.set_index(["representation", "task", "probe"])["mean"]
    assert means["majority vote", "speed", "majority vote"] == 0.5
    assert means["tiny", "speed", "1-NN"] > 0.8
    assert means["tiny", "half", "1-NN"] < 0.8  # nothing to find


def test_default_probes_and_their_equality_with_scikit_learn():
    X, y = waves(40)
    table = metrics.evaluate_representation(
        PCA(4), X, y, cv=2, baselines=False, n_shots=()
    )
    assert list(table["probe"]) == ["logistic regression", "linear SVC", "5-NN"]
    pipe = make_pipeline(PCA(4), StandardScaler(), KNeighborsClassifier(5))
    scores = cross_validate(pipe, X, y, cv=2)["test_score"]
    row = table.iloc[2]
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["sd"] == pytest.approx(scores.std(ddof=1))


def test_frozen_representations_are_not_refitted():
    X, y = waves(40)
    encoder = tiny_encoder().fit(X)
    table = metrics.evaluate_representation(
        FrozenEstimator(encoder), X, y, cv=2, probes=FAST, n_shots=()
    )
    assert "FrozenEstimator, untrained" in set(table["representation"])
    embeddings = encoder.transform(X)
    scores = cross_validate(FAST["1-NN"], embeddings, y, cv=2)["test_score"]
    assert table["mean"][0] == pytest.approx(scores.mean())


class Epochs(TransformerMixin, BaseEstimator):
    """Learns nothing, and tells for how many epochs."""

    def __init__(self, max_epochs=7, lr=0.1):
        self.max_epochs = max_epochs
        self.lr = lr

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.full((len(X), 2), self.max_epochs)


def test_the_untrained_network_has_no_epochs():
    X, y = waves(20)
    seen = []

    class Probe(KNeighborsClassifier):
        def fit(self, Z, y):
            seen.append(Z[0, 0])
            return super().fit(Z, y)

    nested = make_pipeline(StandardScaler(), Epochs())
    estimators = {"plain": Epochs(), "nested": nested, "none": PCA(2)}
    table = metrics.evaluate_representation(
        estimators, X, y, cv=2, probes={"probe": Probe(1)}, n_shots=()
    )
    assert list(table["representation"].unique()) == [
        "plain", "nested", "none",
        "plain, untrained", "nested, untrained",
        "raw series", "majority vote",
    ]  # fmt: skip
    assert seen[:4] == [7] * 4
    assert seen[6:10] == [0] * 4


def test_a_predefined_split_and_data_frames():
    X, y = waves(40)
    split = PredefinedSplit(np.where(np.arange(40) < 30, -1, 0))
    table = metrics.evaluate_representation(
        PCA(4), pd.DataFrame(X), pd.Series(y), cv=split, probes=FAST
    )
    assert (table["n"] == 1).all()
    assert table["sd"].isna().all()


def test_data_frames_as_scikit_learns_output():
    X, y = waves(40)
    expected = metrics.evaluate_representation(PCA(4), X, y, cv=2, probes=FAST)
    with config_context(transform_output="pandas"):
        table = metrics.evaluate_representation(PCA(4), X, y, cv=2, probes=FAST)
    pd.testing.assert_frame_equal(table, expected)


def test_representations_have_the_same_shots():
    X, y = waves(40)
    table = metrics.evaluate_representation(
        {"a": PCA(4), "b": PCA(4)},
        X + np.random.default_rng(0).normal(size=X.shape),
        y,
        cv=2,
        probes={},
        n_shots=(1,),
        baselines=False,
    )
    assert table["mean"][0] == table["mean"][1]


def test_bad_tasks():
    X, y = waves(12)
    for labels, message in (
        (np.zeros(12), "one class"),
        (y[:5], "inconsistent"),
        (np.linspace(0, 1, 12), "Unknown label type"),
    ):
        with pytest.raises(ValueError, match=message):
            metrics.evaluate_representation(PCA(2), X, labels)
    with pytest.raises(ValueError, match="NaN"):
        metrics.evaluate_representation(PCA(2), np.where(X > 0, X, np.nan), y)
    rare = np.repeat(["a", "b"], [9, 3])
    with pytest.raises(ValueError, match="one series in a training part"):
        # Refused before the representation is fitted, which would be another error.
        metrics.evaluate_representation(PCA(99), X, rare, cv=[(np.arange(10), [10])])


# ---------------------------------------------------------------------- tables, scorers


def test_evaluate_samples():
    X, y = waves(40)
    X_test, y_test = waves(30, seed=1)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X, y)
    encoder = tiny_encoder().fit(X)
    table = metrics.evaluate_samples(
        sampler, X, X_test, y, y_test, encoder=FrozenEstimator(encoder)
    )
    assert list(table.columns) == ["metric", "value", "floor", "n"]
    assert len(table) == 14
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


def test_scorers():
    X, _ = waves(40)
    search = GridSearchCV(
        tiny_vae(), {"latent_dim": [1, 3]}, scoring=metrics.frechet_scorer, cv=2
    ).fit(X)
    assert (search.cv_results_["mean_test_score"] <= 0).all()
    scores = cross_validate(
        tiny_tokenizer(),
        X,
        cv=2,
        scoring={
            "rank": metrics.effective_rank_scorer,
            "perplexity": pickle.loads(pickle.dumps(metrics.perplexity_scorer)),
        },
    )
    assert (scores["test_rank"] > 0).all()
    assert (scores["test_perplexity"] >= 1).all()
    assert "greater_is_better=False" in repr(metrics.mmd_scorer)
    unbiased = partial(metrics.mmd, unbiased=True)
    scorer = metrics.make_unsupervised_scorer(unbiased, response_method="sample")
    assert "unbiased=True" in repr(GridSearchCV(tiny_vae(), {}, scoring=scorer))


def test_scores_take_other_models():
    X, y = waves(30)
    Y, _ = waves(30, seed=1)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert 0 <= metrics.discriminative_score(X, Y, classifier=model, cv=3) <= 0.5
    assert metrics.classification_accuracy_score(X, y, X, y, classifier=model) > 0.5
