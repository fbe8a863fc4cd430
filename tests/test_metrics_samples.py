"""Samples against real series: known answers, orders that must hold, bad input."""

import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import waves
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import sqrtm
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktsrep import metrics
from sktsrep.metrics import _checks

seeds = st.integers(0, 2**31 - 1)


# --------------------------------------------------------------- samples: known answers


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


# --------------------------------------------------------------------- orders that hold


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


def test_a_constant_channel_is_no_feature():
    X = np.stack([waves(30)[0], np.full((30, 50), 0.1)], axis=1)
    noise = 1e-6 * np.random.default_rng(0).normal(size=X.shape)
    assert metrics.frechet_distance(X, X + noise) < 1e-3


def test_features_do_not_depend_on_offset_and_scale_of_a_channel():
    X = np.stack([waves(30)[0], waves(30, seed=1)[0]], axis=1)
    features = metrics.RandomConvolutionFeatures(4)
    moved = X * np.array([[5.0], [0.01]]) + np.array([[-3.0], [100.0]])
    np.testing.assert_allclose(
        features.fit_transform(moved), features.fit_transform(X), rtol=1e-7, atol=1e-7
    )
    reversed_ = features.fit(X[::-1]).transform(X)  # torch refuses negative strides
    np.testing.assert_allclose(reversed_, features.fit_transform(X), atol=1e-9)


def test_mmd_does_not_fall_as_samples_get_worse():
    X, _ = waves(40)
    values = [metrics.mmd(X, X + shift) for shift in (0.5, 1, 3, 10, 30, 1000)]
    assert (np.diff(values) > -1e-9).all()


def test_moments_of_a_half_that_is_constant():
    X, _ = waves(20)
    X[:, 3] = 0
    X[0, 3] = 1  # in one half of every split
    floor = metrics.skewness_difference(X, X, return_floor=True).floor
    assert np.isfinite(floor)


def test_an_axis_for_one_channel_makes_no_difference():
    X, y = waves(30)
    X_real, y_real = waves(30, seed=1)
    for real, generated in ((X_real[:, None], X), (X_real, X[:, None])):
        distance = metrics.frechet_distance(real, generated)
        assert distance == pytest.approx(metrics.frechet_distance(X_real, X))
        assert metrics.classification_accuracy_score(real, y_real, generated, y) > 0.9


def test_classification_accuracy_wants_a_label_a_series():
    X, y = waves(20)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        metrics.classification_accuracy_score(X, [0], X, y)


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


def test_scores_take_other_models():
    X, y = waves(30)
    Y, _ = waves(30, seed=1)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert 0 <= metrics.discriminative_score(X, Y, classifier=model, cv=3) <= 0.5
    assert metrics.classification_accuracy_score(X, y, X, y, classifier=model) > 0.5


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


# --------------------------------------------------------------------- degenerate input


@every_distance
def test_infinite_values_are_errors(name):
    X, _ = waves(12)
    spoilt = np.where(X > 0.5, np.inf, X)
    for pair in ((X, spoilt), (spoilt, X)):
        with pytest.raises(ValueError, match="infinity"):
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
        with pytest.raises(ValueError, match="at least two timepoints"):
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
    with pytest.raises(ValueError, match="at least two real series"):
        metrics.mmd(X[:1], X, return_floor=True)
    with pytest.raises(ValueError, match="at least 10 series"):
        metrics.frechet_distance(X[:9], X, extrapolate=True)
    with pytest.raises(ValueError, match="at least two series"):
        metrics.frechet_distance(X[:3], X, return_floor=True)


@parametrize_with_checks([metrics.RandomConvolutionFeatures(4)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_named_columns_of_real_series_make_no_difference():
    X, Y = waves()[0], waves(seed=1)[0]
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(50)])
    assert metrics.frechet_distance(frame, Y) == metrics.frechet_distance(X, Y)


def test_mmd_does_not_depend_on_the_origin():
    X, Y = waves()[0], 0.5 * waves(seed=1)[0]
    far = metrics.mmd(X + 1e6, Y + 1e6)
    assert far == pytest.approx(metrics.mmd(X, Y), rel=1e-6)


def test_errors_name_the_argument():
    X, _ = waves()
    bad = np.where(X > 0, X, np.inf)
    with pytest.raises(ValueError, match="X_test contains infinity"):
        metrics.memorization_ratio(X, bad, X)
    with pytest.raises(ValueError, match=r"dim 4\. X_real expected <= 3: \(n_samples,"):
        metrics.mmd(X[:, None, None], X)
    with pytest.raises(ValueError, match="Input X_generated contains infinity"):
        metrics.mmd(X, bad)


# ---------------------------------------------------------------- size, memory, errors


@pytest.mark.parametrize("exponent", [-1000, -400, 400, 900])
def test_distances_of_huge_and_tiny_series(exponent):
    (X, y), (Y, _) = waves(20), waves(20, seed=1)
    far_X, far_Y = np.ldexp(X, exponent), np.ldexp(Y, exponent)
    for name in (
        "mmd",
        "autocorrelation_difference",
        "skewness_difference",
        "kurtosis_difference",
        "frechet_distance",
        "discriminative_score",
    ):
        expected = pytest.approx(DISTANCES[name](X, Y), rel=1e-6)
        assert DISTANCES[name](far_X, far_Y) == expected
    expected = np.ldexp(metrics.marginal_difference(X, Y), exponent)
    assert metrics.marginal_difference(far_X, far_Y) == pytest.approx(expected)
    assert metrics.memorization_ratio(far_X, far_Y, far_X + far_Y) == (
        pytest.approx(metrics.memorization_ratio(X, Y, X + Y))
    )
    assert metrics.classification_accuracy_score(far_X, y, far_Y, y) > 0.9
    with pytest.raises(ValueError, match="rescale X_real"):
        metrics.predictive_score(far_X, far_Y)


def test_passthrough_features_have_a_range():
    X, _ = waves(20)
    distance = partial(metrics.frechet_distance, features="passthrough")
    assert distance(1e140 * X, 2e140 * X) == pytest.approx(1e280 * distance(X, 2 * X))
    with pytest.raises(ValueError, match="X_real or X_generated has values so large"):
        distance(1e200 * X, 2e200 * X)
    with pytest.raises(ValueError, match="too large beside the series of fit"):
        metrics.frechet_distance(X, 1e200 * X)
    assert metrics.frechet_distance(1e200 * X, 2e200 * X) == (
        pytest.approx(metrics.frechet_distance(X, 2 * X))
    )


def test_values_that_differ_too_much_in_size():
    X, _ = waves(12)
    with pytest.raises(ValueError, match="differ too much in size"):
        metrics.mmd(1e-200 * X, 1e200 * X)
    outlier = X.copy()
    outlier[0] *= 1e200
    with pytest.raises(ValueError, match="differ too much in size"):
        metrics.memorization_ratio(outlier, X + 1, X + 2)
    # With a gamma of their own, small differences count beside a large one.
    kernel = np.exp(-0.01 * ((X[1:, None] - X[1:]) ** 2).sum(axis=-1))
    within = (kernel.sum() + 1) / 144
    across = np.exp(-0.01 * ((X[:, None] - X[1:]) ** 2).sum(axis=-1)).sum() / 144
    plain = np.exp(-0.01 * ((X[:, None] - X) ** 2).sum(axis=-1)).mean()
    assert metrics.mmd(outlier, X, 0.01) == pytest.approx(within + plain - 2 * across)


def test_copies_far_from_the_origin_are_no_different():
    X = np.array([[1e9], [0.0], [-1e9]])
    assert metrics.mmd(X, X[::-1], gamma=1.0) == pytest.approx(0, abs=1e-12)
    assert metrics.mmd(X, X + 1, gamma=1.0) == pytest.approx(2 * (1 - np.exp(-1)) / 3)


@every_distance
@pytest.mark.parametrize("shape", [(12, 0), (12, 0, 50), (12, 2, 0), (0, 50)])
def test_empty_axes(name, shape):
    with pytest.raises(ValueError, match="X_real is empty"):
        DISTANCES[name](np.ones(shape), np.ones(shape))


@every_distance
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda X: np.ma.masked_greater(X, 0), "X_real has masked values"),
        (lambda X: np.where(X[3] == X, np.nan, X), "no observed value in row 3"),
        (lambda X: np.full(X.shape, "a"), "X_real must hold numbers"),
        (lambda X: X[0], "one series"),
        (lambda X: X * 1j, "X_real must hold numbers"),
    ],
    ids=["masked", "absent", "text", "flat", "complex"],
)
def test_series_that_are_refused(name, make, match):
    X, _ = waves(12)
    with pytest.raises(ValueError, match=match) as caught:
        DISTANCES[name](make(X), X)
    assert "HistGradientBoosting" not in str(caught.value)


@every_distance
def test_tensors_with_gradient_are_taken(name):
    X, Y = waves(20)[0], waves(20, seed=1)[0]
    tensors = (torch.tensor(x, requires_grad=True) for x in (X, Y))
    assert DISTANCES[name](*tensors) == DISTANCES[name](X, Y)


def test_large_matrices_are_computed_in_blocks(monkeypatch):
    X, Y = waves(50)[0], waves(40, seed=1)[0]
    functions = [
        lambda: metrics.mmd(X, Y),
        lambda: metrics.mmd(X, Y, unbiased=True),
        lambda: metrics.uniformity(X),
        lambda: metrics.frechet_distance(X, Y),
        lambda: metrics.memorization_ratio(X, Y, X + Y.mean()),
    ]
    expected = [function() for function in functions]
    monkeypatch.setattr(_checks, "_BLOCK_SIZE", 300)
    values = [function() for function in functions]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "function",
    [metrics.uniformity, lambda X: metrics.mmd(X, X + 1)],
    ids=["uniformity", "mmd"],
)
def test_memory_is_not_quadratic(function):
    X = np.random.default_rng(0).normal(size=(3000, 3))
    tracemalloc.start()
    try:
        function(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Temporary blocks, and half a million pairs for gamma; all pairs of mmd would be
    # 72 MB times several matrices.
    assert peak < 120e6


@pytest.mark.parametrize("y", [[None, 1] * 10, [np.nan, 1.0] * 10, [[0], [1, 2]] * 10])
def test_labels_must_not_be_missing(y):
    X, _ = waves(20)
    with pytest.raises(ValueError, match="y_real"):
        metrics.classification_accuracy_score(X, y, X, [0, 1] * 10)
    mixed = np.array([0, "a"] * 10, dtype=object)
    with pytest.raises(TypeError, match="y_generated must hold values of one type"):
        metrics.classification_accuracy_score(X, [0, 1] * 10, X, mixed)


def test_models_must_have_what_metrics_call():
    X, y = waves(20)
    with pytest.raises(TypeError, match="classifier must have predict_proba"):
        metrics.inception_score(X, LinearSVC().fit(X, y))
    with pytest.raises(TypeError, match="features must be a transformer"):
        metrics.frechet_distance(X, X, features=LinearSVC())
    with pytest.raises(TypeError, match="estimator must have 'sample'"):
        metrics.mmd_scorer(LinearSVC(), X)
    for params in ({"cv": 0}, {"cv": "a"}):
        with pytest.raises(ValueError, match="cv must be"):
            metrics.discriminative_score(X, X, **params)
    for n_lags in (0, 2.5, "a"):
        with pytest.raises(ValueError, match="n_lags must be"):
            metrics.predictive_score(X, X, n_lags=n_lags)
        with pytest.raises(ValueError, match="n_lags must be"):
            metrics.autocorrelation_difference(X, X, n_lags=n_lags)
