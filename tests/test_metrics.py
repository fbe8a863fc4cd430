"""Known answers, invariances, orders that must hold, and degenerate input."""

import pickle

import numpy as np
import pandas as pd
import pytest
from estimators import tiny_encoder, tiny_sampler, tiny_tokenizer, tiny_vae, waves
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import sqrtm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktsrep import metrics
from sktsrep.functional import effective_rank as tensor_effective_rank

codes = st.lists(st.integers(0, 5), min_size=1, max_size=40)
seeds = st.integers(0, 2**31 - 1)


# --------------------------------------------------------------------- information


def test_entropy_of_known_distributions():
    assert metrics.entropy([3] * 7) == 0
    assert metrics.entropy(np.arange(8), base=2) == pytest.approx(3)
    assert metrics.entropy(["a", "a", "b", "b"], base=10) == pytest.approx(np.log10(2))
    assert metrics.perplexity(np.arange(6).reshape(2, 3)) == pytest.approx(6)


@given(codes)
def test_entropy_is_scipys(values):
    counts = np.bincount(values)
    assert metrics.entropy(values) == pytest.approx(stats.entropy(counts), abs=1e-12)


@given(codes, st.floats(1.1, 50), st.randoms(use_true_random=False))
def test_entropy_invariances(values, base, random):
    nats = metrics.entropy(values)
    assert metrics.entropy(values, base=base) * np.log(base) == pytest.approx(nats)
    assert metrics.perplexity(values, base=base) == pytest.approx(np.exp(nats))
    shuffled = random.sample(values, len(values))
    renamed = [f"code {17 - value}" for value in shuffled]
    assert metrics.entropy(renamed) == pytest.approx(nats, abs=1e-12)


def test_miller_madow_removes_most_of_the_bias():
    draws = np.random.default_rng(0).integers(16, size=(200, 60))
    plain = np.mean([metrics.entropy(row) for row in draws])
    corrected = np.mean(
        [metrics.entropy(row, correction="miller_madow") for row in draws]
    )
    assert abs(corrected - np.log(16)) < 0.2 * abs(plain - np.log(16))


def test_kl_of_gaussians():
    grid = np.linspace(-20, 20, 4001)
    p, q = stats.norm.pdf(grid, 0, 1), stats.norm.pdf(grid, 1, 2)
    closed_form = np.log(2) + (1 + 1) / (2 * 4) - 0.5
    assert metrics.kl_divergence(p, q) == pytest.approx(closed_form, abs=1e-8)


def test_kl_at_the_edges():
    assert metrics.kl_divergence([1, 2, 3], [2, 4, 6]) == pytest.approx(0, abs=1e-12)
    assert metrics.kl_divergence([1, 1], [1, 0]) == np.inf
    corrected = metrics.kl_divergence([3, 5], [1, 1], correction="miller_madow")
    plain = metrics.kl_divergence([3, 5], [1, 1])
    assert corrected == pytest.approx(plain - 1 / 16)
    with pytest.raises(ValueError, match="counts"):
        metrics.kl_divergence([0.5, 0.5], [1, 1], correction="miller_madow")
    for p in ([0, 0], [-1, 2], [[1, 1]], [np.nan, 1]):
        with pytest.raises(ValueError, match="p"):
            metrics.kl_divergence(p, [1, 1])


@given(codes, seeds)
def test_mutual_information_is_scikit_learns(values, seed):
    labels = np.random.default_rng(seed).integers(3, size=len(values))
    expected = mutual_info_score(labels, values)
    information = metrics.mutual_information(values, labels)
    assert information == pytest.approx(expected, abs=1e-12)
    if len(set(values)) > 1 or len(set(labels)) > 1:
        normalized = metrics.mutual_information(values, labels, normalized=True)
        expected = normalized_mutual_info_score(labels, values)
        assert normalized == pytest.approx(expected, abs=1e-9)


def test_mutual_information_of_tokens_and_its_correction():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 50)
    tokens = np.where(labels == "a", 0, 1)[:, None].repeat(4, axis=1)
    assert metrics.mutual_information(tokens, labels, base=2) == pytest.approx(1)
    assert metrics.mutual_information(tokens, labels, normalized=True) == (
        pytest.approx(1)
    )
    noise = rng.integers(16, size=(100, 100))
    plain = [metrics.mutual_information(row, labels) for row in noise]
    corrected = [
        metrics.mutual_information(row, labels, correction="miller_madow")
        for row in noise
    ]
    assert abs(np.mean(corrected)) < 0.25 * np.mean(plain)


def test_one_class_has_no_normalised_information():
    assert metrics.mutual_information([0, 1, 2], ["a"] * 3) == pytest.approx(0)
    with pytest.raises(ValueError, match="nothing to normalise"):
        metrics.mutual_information([0, 0], ["a", "a"], normalized=True)


@pytest.mark.parametrize("bad", [[], [0.0, np.nan], [None, 1]])
def test_bad_codes(bad):
    with pytest.raises(ValueError):
        metrics.entropy(bad)
    with pytest.raises(ValueError):
        metrics.codebook_usage(bad, 4)


@pytest.mark.parametrize("params", [{"base": 1}, {"base": -2}, {"correction": "bayes"}])
def test_bad_parameters(params):
    with pytest.raises(ValueError, match="parameter of entropy"):
        metrics.entropy([0, 1], **params)


# -------------------------------------------------------------------- codes, embeddings


def test_codebooks():
    assert metrics.codebook_usage([[0, 3], [3, 3]], 4) == 0.5
    for bad in ([0, 4], [-1, 0], [0.0, 1.0]):
        with pytest.raises(ValueError, match="integers from 0 to 3"):
            metrics.codebook_usage(bad, 4)
    codebook = np.random.default_rng(0).normal(size=(5, 8))
    correlation = metrics.codebook_correlation(codebook)
    np.testing.assert_allclose(correlation, np.corrcoef(codebook))
    np.testing.assert_allclose(
        correlation, metrics.codebook_correlation(3 * codebook - 1)
    )
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        metrics.codebook_correlation([[0.0, 1.0], [2.0, 2.0]])


def test_effective_rank():
    torch = pytest.importorskip("torch")
    Z = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 7) + 100
    covariance = torch.tensor(np.cov(Z.T))
    rank = metrics.effective_rank(Z)
    assert rank == pytest.approx(float(tensor_effective_rank(covariance)))
    rotation = stats.ortho_group.rvs(6, random_state=0)
    assert metrics.effective_rank(-2 * Z @ rotation + 3) == pytest.approx(rank)
    assert metrics.effective_rank(np.outer(np.arange(9), [1, 2])) == pytest.approx(1)
    assert metrics.effective_rank(np.full((9, 4), 0.1)) == 0
    with pytest.raises(ValueError, match="minimum of 2"):
        metrics.effective_rank(np.ones((1, 4)))


def test_alignment_and_uniformity():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 8))
    assert metrics.alignment(Z, 3 * Z) == pytest.approx(0, abs=1e-12)
    assert metrics.alignment(Z, -Z, power=1) == pytest.approx(2)
    assert metrics.uniformity(np.ones((4, 3))) == pytest.approx(0)
    assert metrics.uniformity(Z) < metrics.uniformity(Z + 1) < 0
    assert metrics.uniformity(Z) == pytest.approx(metrics.uniformity(5 * Z[::-1]))
    for function in (metrics.uniformity, lambda z: metrics.alignment(z, z)):
        with pytest.raises(ValueError, match="no direction"):
            function(np.zeros((3, 2)))


# ----------------------------------------------------------------- representations


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


def test_a_predefined_split_and_data_frames():
    X, y = waves(40)
    split = PredefinedSplit(np.where(np.arange(40) < 30, -1, 0))
    table = metrics.evaluate_representation(
        PCA(4), pd.DataFrame(X), pd.Series(y), cv=split, probes=FAST
    )
    assert (table["n"] == 1).all()
    assert table["sd"].isna().all()


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
        metrics.evaluate_representation(PCA(2), X, rare, cv=[(np.arange(10), [10])])


# ------------------------------------------------------- samples: known answers


@given(seeds)
def test_frechet_is_the_closed_form(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(30, 4))
    b = rng.normal(size=(25, 4)) @ rng.normal(size=(4, 4)) + 1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    gap = a.mean(axis=0) - b.mean(axis=0)
    expected = gap @ gap + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    distance = metrics.frechet_distance(a, b, features="passthrough")
    assert distance == pytest.approx(expected, rel=1e-8)
    order = rng.permutation(30)
    scaled = metrics.frechet_distance(3 * b, 3 * a[order], features="passthrough")
    assert scaled == pytest.approx(9 * distance, rel=1e-8)


def test_frechet_of_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, size=(20_000, 1)), rng.normal(2, 3, size=(20_000, 1))
    distance = metrics.frechet_distance(a, b, features="passthrough")
    assert distance == pytest.approx(2**2 + (3 - 1) ** 2, rel=0.05)


def test_frechet_with_singular_covariances():
    a = np.outer(np.arange(5.0), np.ones(40))  # rank one in 40 dimensions
    distance = metrics.frechet_distance(a, 2 * a, features="passthrough")
    assert distance == pytest.approx(40 * (2**2 + 2.5), rel=1e-9)
    constant = np.full((5, 40), 3.0)
    for features in (None, "passthrough"):
        assert metrics.frechet_distance(constant, constant, features=features) == 0


def test_extrapolation_removes_the_bias():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 600, 24))
    at_n = metrics.frechet_distance(a, b, features="passthrough")
    at_infinity = metrics.frechet_distance(
        a, b, features="passthrough", extrapolate=True
    )
    assert abs(at_infinity) < 0.3 * at_n


def test_frechet_is_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.fid")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 4))
    moments = [
        torch.tensor(f(x.T)) for x in (a, b) for f in (lambda x: x.mean(1), np.cov)
    ]
    expected = image._compute_fid(*moments)
    distance = metrics.frechet_distance(a, b, features="passthrough")
    assert distance == pytest.approx(float(expected), rel=1e-4)


def test_mmd_is_the_double_sum():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(5, 3)) + 1

    def mean_kernel(a, b):
        return np.mean([np.exp(-0.3 * np.sum((u - v) ** 2)) for u in a for v in b])

    expected = mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
    assert metrics.mmd(x, y, 0.3) == pytest.approx(expected)
    assert metrics.mmd(x, y[::-1], 0.3) == pytest.approx(metrics.mmd(y, x, 0.3))
    assert metrics.mmd(x, y) == pytest.approx(metrics.mmd(7 * x, 7 * y))
    assert metrics.mmd(x, x) == 0
    assert metrics.mmd(x, y, 0.3, unbiased=True) < expected
    with pytest.raises(ValueError, match="gamma"):
        metrics.mmd(x, y, 0)


def test_differences_of_known_distributions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2))
    assert metrics.marginal_difference(X, X + 0.5) == pytest.approx(0.5)
    assert metrics.skewness_difference(X, rng.exponential(size=X.shape)) == (
        pytest.approx(2, abs=0.3)
    )
    assert metrics.kurtosis_difference(X, rng.uniform(size=X.shape)) == (
        pytest.approx(1.2, abs=0.15)
    )
    time = np.arange(400)
    wave = np.sin(2 * np.pi * time / 8 + rng.uniform(0, 7, size=(50, 1)))
    noise = rng.normal(size=(50, 400))
    difference = metrics.autocorrelation_difference(wave, noise, n_lags=8)
    cosines = np.abs(
        np.cos(2 * np.pi * np.arange(1, 9) / 8) * (1 - np.arange(1, 9) / 400)
    )
    assert difference == pytest.approx(cosines.mean(), abs=0.02)


def test_inception_score_of_known_classifiers():
    X, y = waves(20)
    knows = KNeighborsClassifier(1).fit(X, y)
    assert metrics.inception_score(X, knows) == pytest.approx(2)
    assert metrics.inception_score(X[y == 0], knows) == pytest.approx(1)
    guesses = DummyClassifier(strategy="prior").fit(X, y)
    assert metrics.inception_score(X, guesses) == pytest.approx(1)
    with pytest.raises(ValueError, match="one class"):
        metrics.inception_score(X, DummyClassifier().fit(X, np.zeros(20)))


DISTANCES = {
    "frechet_distance": metrics.frechet_distance,
    "mmd": metrics.mmd,
    "marginal_difference": metrics.marginal_difference,
    "autocorrelation_difference": metrics.autocorrelation_difference,
    "skewness_difference": metrics.skewness_difference,
    "kurtosis_difference": metrics.kurtosis_difference,
    "discriminative_score": metrics.discriminative_score,
    "predictive_score": metrics.predictive_score,
    "context_fid": lambda X, Y, **kwargs: metrics.context_fid(
        X, Y, metrics.RandomConvolutionFeatures(3, random_state=1), **kwargs
    ),
}
every_distance = pytest.mark.parametrize("name", DISTANCES)
HAVE_FLOOR = [name for name in DISTANCES if not name.endswith("score")]


@every_distance
@pytest.mark.parametrize("n_channels", [None, 2])
def test_distances_of_equal_samples_and_their_order(name, n_channels):
    X, _ = waves(20, n_channels=n_channels)
    Y, _ = waves(24, n_channels=n_channels, seed=1)
    shuffled = np.random.default_rng(0).permutation(Y)
    distance = DISTANCES[name]
    if name != "predictive_score":
        assert distance(X, X) == pytest.approx(0, abs=1e-9)
    if name != "discriminative_score":  # its folds depend on the order
        assert distance(X, shuffled) == pytest.approx(distance(X, Y))


@pytest.mark.parametrize("name", HAVE_FLOOR)
def test_floors(name):
    X, _ = waves(60)
    Y, _ = waves(20, seed=1)
    value, floor, n = DISTANCES[name](X, Y, return_floor=True)
    assert n == 20
    assert 0.2 * floor < value < 5 * floor
    far = DISTANCES[name](
        X, np.random.default_rng(0).normal(size=Y.shape), return_floor=True
    )
    assert far.value > 1.1 * far.floor


# ------------------------------------------------------------------ orders that hold


def skewed_waves(n_samples, seed):
    """A common wave on levels of a skewed distribution, and smooth noise.

    There is one level in each of n quantiles: higher moments are not left to chance.
    """
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, 40)
    quantiles = (rng.permutation(n_samples) + rng.uniform(size=n_samples)) / n_samples
    level = stats.gamma(4).ppf(quantiles)[:, None] / 2
    smooth = np.cumsum(rng.normal(size=(n_samples, 40)), axis=1) / 40
    return level + 0.7 * np.sin(6 * np.pi * time) + smooth


def spoilt(X, seed=0):
    """From real to worse: real, noisy, shuffled in time, Gaussian noise."""
    rng = np.random.default_rng(seed)
    return {
        "real": X,
        "noisy": X + 0.2 * X.std() * rng.normal(size=X.shape),
        "shuffled": rng.permuted(X, axis=1),
        "noise": rng.normal(X.mean(), X.std(), size=X.shape),
    }


@every_distance
def test_real_beats_noisy_beats_shuffled_beats_noise(name):
    real = skewed_waves(300, seed=0)
    values = [DISTANCES[name](real, X) for X in spoilt(skewed_waves(300, 1)).values()]
    assert values[0] < values[1] < 0.9 * values[-1] or values[1] == 0.5
    if name == "autocorrelation_difference":  # shuffled or not, noise is white
        assert values[2] == pytest.approx(values[3], rel=0.05)
    else:
        assert values == sorted(values)


def test_classification_accuracy_ranks_too():
    X, y = waves(80)
    X_test, y_test = waves(60, seed=1)
    values = {
        name: metrics.classification_accuracy_score(X_test, y_test, spoilt_X, y)
        for name, spoilt_X in spoilt(X).items()
    }
    assert values["real"] >= values["noisy"] > values["noise"] + 0.2
    assert values["noisy"] > values["shuffled"] + 0.2
    reverse = metrics.classification_accuracy_score(
        X_test, y_test, X, y, train_on="real"
    )
    assert reverse > 0.9


def test_copies_are_caught():
    X_train, X_test, X_new = (skewed_waves(80, seed) for seed in range(3))
    assert metrics.memorization_ratio(X_train, X_test, X_train) == 0
    assert metrics.memorization_ratio(X_train, X_test, X_train + 1e-3) < 0.1
    assert metrics.memorization_ratio(X_train, X_test, X_new) == pytest.approx(
        1, abs=0.3
    )
    assert metrics.memorization_ratio(X_train, X_test, X_new + 9) > 2
    with pytest.raises(ValueError, match="also in the training part"):
        metrics.memorization_ratio(X_train, X_train[:5], X_new)


# ------------------------------------------------------------------ degenerate input


@every_distance
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_errors(name, value):
    X, _ = waves(12)
    spoilt = np.where(X > 0.5, value, X)
    for pair in ((X, spoilt), (spoilt, X)):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            DISTANCES[name](*pair)


@every_distance
def test_shapes_must_agree(name):
    X, _ = waves(12)
    for other in (X[:, 1:], np.stack([X, X], axis=1)):
        with pytest.raises(ValueError, match="shape"):
            DISTANCES[name](X, other)
    with pytest.raises(ValueError):
        DISTANCES[name](X, X[:0])
    with pytest.raises(ValueError, match="n_samples"):
        DISTANCES[name](X, X[:, None, None])


@every_distance
def test_one_sample_is_a_number_or_an_error(name):
    X, _ = waves(12)
    try:
        assert np.isfinite(DISTANCES[name](X, X[:1]))
    except ValueError as error:
        assert "minimum of" in str(error)  # noqa: PT017


@every_distance
def test_equal_rows_are_a_number_or_an_error(name):
    X, equal = waves(12)[0], np.ones((12, 50))
    for pair in ((X, equal), (equal, X), (equal, equal)):
        try:
            assert np.isfinite(DISTANCES[name](*pair))
        except ValueError as error:
            assert "constant" in str(error) or "equal" in str(error)  # noqa: PT017


@pytest.mark.parametrize("n_timepoints", [1, 2, 5])
def test_short_series(n_timepoints):
    X, Y = waves(20, n_timepoints)[0], waves(20, n_timepoints, seed=1)[0]
    assert metrics.frechet_distance(X, Y) >= 0
    assert metrics.mmd(X, Y) >= 0
    assert metrics.marginal_difference(X, Y) > 0
    if n_timepoints == 1:
        with pytest.raises(ValueError, match="n_lags"):
            metrics.autocorrelation_difference(X, Y)
        with pytest.raises(ValueError, match="two timepoints"):
            metrics.predictive_score(X, Y)
    else:
        assert metrics.autocorrelation_difference(X, Y) >= 0
        assert metrics.predictive_score(X, Y) >= 0


def test_one_class_is_an_error():
    X, y = waves(20)
    with pytest.raises(ValueError, match="one class"):
        metrics.classification_accuracy_score(X, y, X, np.zeros(20))
    with pytest.raises(ValueError, match="train_on"):
        metrics.classification_accuracy_score(X, y, X, y, train_on="both")


def test_too_few_for_floor_or_extrapolation():
    X, _ = waves(20)
    with pytest.raises(ValueError, match="two real series"):
        metrics.mmd(X[:1], X, return_floor=True)
    with pytest.raises(ValueError, match="ten series"):
        metrics.frechet_distance(X[:9], X, extrapolate=True)
    with pytest.raises(ValueError, match="two series"):
        metrics.frechet_distance(X[:3], X, return_floor=True)


@parametrize_with_checks([metrics.RandomConvolutionFeatures(4)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------ tables, scorers


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


def test_scores_take_other_models():
    X, y = waves(30)
    Y, _ = waves(30, seed=1)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert 0 <= metrics.discriminative_score(X, Y, classifier=model, cv=3) <= 0.5
    assert metrics.classification_accuracy_score(X, y, X, y, classifier=model) > 0.5
