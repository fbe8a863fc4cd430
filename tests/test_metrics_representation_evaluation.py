"""Table of representations: folds, probes, baselines, groups and weights."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import tiny_encoder, waves
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    PredefinedSplit,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktsrep import metrics

# ------------------------------------------------------------------------------- tables


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
    with pytest.raises(ValueError, match="no observed value in row 3"):
        metrics.evaluate_representation(PCA(2), np.where(X[3] == X, np.nan, X), y)
    rare = np.repeat(["a", "b"], [9, 3])
    with pytest.raises(ValueError, match="one series in a training part"):
        # Refused before the representation is fitted, which would be another error.
        metrics.evaluate_representation(PCA(99), X, rare, cv=[(np.arange(10), [10])])


# ------------------------------------------------------------------- groups and weights


def test_groups_stay_together():
    X, y = waves(40)
    groups = np.arange(40) // 4
    seen = []

    class Watch(FunctionTransformer):
        def fit(self, X, y=None):
            seen.append(X[:, 0])
            return super().fit(X)

    labelled = np.column_stack([groups, X])
    table = metrics.evaluate_representation(
        Watch(), labelled, y, probes=FAST, n_shots=(), cv=GroupKFold(5), groups=groups,
        baselines=False,
    )  # fmt: skip
    assert table["n"][0] == len(seen) == 5
    assert all(len(set(groups) - set(rows)) == 2 for rows in seen)
    scores = cross_validate(FAST["1-NN"], labelled, y, cv=GroupKFold(5), groups=groups)
    assert table["mean"][0] == pytest.approx(scores["test_score"].mean())
    for groups, match in (([0] * 9, "inconsistent"), ([None] * 40, "groups has miss")):
        with pytest.raises(ValueError, match=match):
            metrics.evaluate_representation(PCA(2), X, y, groups=groups)
    with pytest.raises(ValueError, match="groups"):
        metrics.evaluate_representation(PCA(2), X, y, cv=GroupKFold(5))


def weighted_table(X, y, weight, **params):
    probes = {
        "plain": LogisticRegression(),
        "pipe": make_pipeline(StandardScaler(), LogisticRegression()),
        "search": GridSearchCV(LogisticRegression(), {"C": [0.1]}, cv=2),
    }
    split = PredefinedSplit(np.arange(len(X)) // (len(X) // 2) - 1)
    return metrics.evaluate_representation(
        PCA(4), X, y, probes=probes, cv=split, sample_weight=weight, **params
    )


@pytest.mark.parametrize("routing", [False, True])
def test_weights_reach_probes_and_scores(routing):
    X, y = waves(60)
    X = X + np.random.default_rng(1).normal(size=X.shape)
    weight = np.random.default_rng(0).uniform(size=60)
    with config_context(enable_metadata_routing=routing):
        table = weighted_table(X, y, weight, n_shots=())
    train, test = slice(30), slice(30, 60)
    Z = PCA(4).fit(X[train]).transform(X)
    for place in (0, 2):
        C = (1.0, None, 0.1)[place]
        probe = LogisticRegression(C=C).fit(Z[train], y[train], weight[train])
        expected = probe.score(Z[test], y[test], weight[test])
        assert table["mean"][place] == pytest.approx(expected)
    assert (table["probe"] == ["plain", "pipe", "search"] * 2 + ["majority vote"]).all()


def test_a_weight_of_zero_leaves_a_series_out_of_probes_and_scores():
    X, y = waves(60)
    X = X + 2 * np.random.default_rng(1).normal(size=X.shape)
    weight = 1.0 * (np.arange(60) // 2 % 2)
    spoilt = np.where(weight > 0, y, 1 - y)
    expected = weighted_table(X, y, weight, n_shots=(1, 3))
    table = weighted_table(X, spoilt, weight, n_shots=(1, 3))
    table, expected = (t[t["probe"] != "search"] for t in (table, expected))
    pd.testing.assert_frame_equal(table, expected)


def test_default_probes_with_weights():
    X, y = waves(40)
    table = metrics.evaluate_representation(
        PCA(4), X, y, cv=2, sample_weight=np.ones(40), baselines=False
    )
    plain = metrics.evaluate_representation(PCA(4), X, y, cv=2, baselines=False)
    expected = plain[plain["probe"] != "5-NN"].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, expected)


def test_bad_weights():
    X, y = waves(20)
    evaluate = partial(metrics.evaluate_representation, PCA(2), X, y, cv=2)
    weight = np.ones(20)
    with pytest.raises(ValueError, match="'1-NN' takes no sample_weight"):
        evaluate(probes=FAST, sample_weight=weight)
    with pytest.raises(ValueError, match="scoring takes no sample_weight"):
        evaluate(scoring=lambda estimator, X, y: 0.0, sample_weight=weight)
    for bad in (weight[:5], -weight, np.full(20, np.nan), weight[:, None]):
        with pytest.raises(ValueError, match="sample_weight"):
            evaluate(sample_weight=bad)
    with pytest.raises(ValueError, match="sample_weight is 0 everywhere in a part"):
        evaluate(sample_weight=np.arange(20) < 10)


# --------------------------------------------------------------------- errors that help


def test_bad_series_and_representations():
    X, y = waves(20)
    bad = FunctionTransformer(lambda X: np.full((len(X), 2), np.nan))
    evaluate = partial(metrics.evaluate_representation, baselines=False, cv=2)
    with pytest.raises(ValueError, match="output of estimator 'bad' contains NaN"):
        evaluate({"bad": bad}, X, y)
    with pytest.raises(TypeError, match="estimator must be a transformer"):
        evaluate(KNeighborsClassifier(), X, y)
    for scale in (1e200, 1e-200):
        with pytest.raises(ValueError, match="rescale X"):
            evaluate(PCA(2), scale * X, y)
    with pytest.raises(ValueError, match="X has masked values"):
        evaluate(PCA(2), np.ma.masked_greater(X, 0), y)
    with pytest.raises(ValueError, match="y has missing values"):
        evaluate(PCA(2), X, [None, 1] * 10)


def test_tensors_with_gradient_are_evaluated():
    X, y = waves(40)
    expected = metrics.evaluate_representation(PCA(4), X, y, cv=2, probes=FAST)
    tensor = torch.tensor(X, requires_grad=True)
    table = metrics.evaluate_representation(PCA(4), tensor, y, cv=2, probes=FAST)
    pd.testing.assert_frame_equal(table, expected)
