"""The encoder and the tokenizer that come with the package."""

from importlib.resources import files

import numpy as np
import pytest
from estimators import waves
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import resample
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sktsrep
from sktsrep import (
    FineTunedClassifier,
    MaskGITSampler,
    PretrainedEncoder,
    SSLEncoder,
    SSLVQTokenizer,
)
from sktsrep.datasets import load_ucr

ONE_SCALE = {"scales": (64,), "device": "cpu"}


def random_walks(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).cumsum(axis=-1)


@pytest.fixture(scope="module")
def encoder():
    return PretrainedEncoder(scales=(64, 128), device="cpu").fit(random_walks(3, 40))


def test_the_wheel_has_small_weights():
    folder = files("sktsrep") / "_weights"
    weights = [path for path in folder.iterdir() if path.suffix == ".safetensors"]
    assert weights
    assert sum(len(path.read_bytes()) for path in weights) < 12e6


def test_few_labels_are_enough():
    X, y = load_ucr("GunPoint")
    pipe = make_pipeline(
        PretrainedEncoder(scales=(128,), device="cpu"),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    assert cross_val_score(pipe, X[:100], y[:100], cv=3).mean() > 0.9


def test_features_do_not_know_the_level_and_the_unit(encoder):
    X = random_walks(4, 40)
    first, second = encoder.transform(X), encoder.transform(1000 * X - 7)
    assert_allclose(second[:, :-2], first[:, :-2], atol=1e-3)
    assert_allclose(second[:, -2], X.mean(axis=1) * 1000 - 7)
    assert_allclose(second[:, -1], np.log(1000 * X.std(axis=1)), rtol=1e-6)


def test_series_of_every_length(encoder):
    X = [random_walks(n, seed=n) for n in (1, 2, 40, 700)]
    Z = encoder.transform(X)
    assert np.isfinite(Z).all()
    assert Z.shape == (4, len(encoder.get_feature_names_out()))
    for i, series in enumerate(X):
        assert_array_equal(encoder.transform([series])[0], Z[i])


def test_stretching_in_time_changes_little(encoder):
    slow = np.sin(np.linspace(0, 12, 400))
    Z = encoder.transform([slow, slow[::2], random_walks(400)])
    same, other = np.abs(Z[0] - Z[1]).mean(), np.abs(Z[0] - Z[2]).mean()
    assert same < 0.1 * other


def test_channels_stand_side_by_side():
    X = random_walks(5, 3, 40)
    Z = PretrainedEncoder(**ONE_SCALE).fit_transform(X)
    one = PretrainedEncoder(**ONE_SCALE).fit(X[:, 0])
    parts = np.hstack([one.transform(X[:, i]) for i in range(3)])
    assert_allclose(Z, parts, atol=1e-5)


def test_scales_stand_side_by_side():
    X = random_walks(5, 40)
    both = PretrainedEncoder(scales=(64, 32), device="cpu").fit_transform(X)
    parts = [
        PretrainedEncoder(scales=(n,), device="cpu").fit_transform(X) for n in (64, 32)
    ]
    assert_allclose(both, np.hstack([parts[0][:, :-2], parts[1]]))


def test_gaps_are_bridged(encoder):
    X = waves(n_timepoints=80)[0]
    gaps = X.copy()
    gaps[:, 30:33] = np.nan
    error = np.abs(encoder.transform(list(gaps)) - encoder.transform(list(X))).mean()
    assert error < 0.1 * np.abs(np.diff(encoder.transform(list(X)), axis=0)).mean()


def test_constant_series_are_finite(encoder):
    Z = encoder.transform(np.outer([0, 1, 1e6], np.ones(40)))
    assert np.isfinite(Z).all()
    assert_allclose(Z[1, :-2], Z[0, :-2], atol=1e-3)


@pytest.mark.parametrize("scales", [(), (31,), (64.0,), ("64",), (None, 64)])
def test_wrong_scales(scales):
    with pytest.raises(ValueError, match="scales must be"):
        PretrainedEncoder(scales=scales, device="cpu").fit(random_walks(3, 40))


def test_other_names():
    with pytest.raises(ValueError, match="name"):
        PretrainedEncoder("large").fit(random_walks(3, 40))


def test_spectrograms_are_refused():
    with pytest.raises(ValueError, match="4"):
        PretrainedEncoder(**ONE_SCALE).fit(np.zeros((2, 2, 5, 9)))


def test_a_file_keeps_the_bits(encoder, tmp_path):
    X = random_walks(4, 40)
    encoder.save(tmp_path / "encoder")
    again = sktsrep.load(tmp_path / "encoder")
    assert_array_equal(again.transform(X), encoder.transform(X))


# ------------------------------------------------------------------- a start for others


def zscored(n_timepoints=64):
    X, y = waves(n_timepoints=n_timepoints)
    return zscore(X, axis=1), y


def test_the_encoder_alone_is_what_the_embeddings_are_made_of():
    X, _ = zscored()
    encoder = SSLEncoder.from_pretrained(n_timepoints=64, device="cpu")
    Z = PretrainedEncoder(**ONE_SCALE).fit_transform(X)
    assert_allclose(encoder.transform(X), Z[:, :-2], rtol=1e-3, atol=1e-4)
    assert encoder.transform([X[0, :40]]).shape == (1, Z.shape[1] - 2)
    assert not hasattr(clone(encoder), "net_")
    assert clone(encoder).get_params() == encoder.get_params()


def test_a_classifier_starts_from_the_weights(tmp_path):
    X, y = zscored()
    encoder = SSLEncoder.from_pretrained(n_timepoints=64, device="cpu")
    classifier = FineTunedClassifier(
        FrozenEstimator(encoder), max_epochs=3, random_state=0, device="cpu"
    ).fit(X, y)
    classifier.save(tmp_path / "classifier.safetensors")
    again = sktsrep.load(tmp_path / "classifier.safetensors")
    assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    with pytest.raises(ValueError, match=r"shape \(50,\), but the encoder was"):
        classifier.fit(X[:, :50], y)


@pytest.mark.parametrize("n_timepoints", [64, 150, 256, 400])
def test_tokens_without_training(n_timepoints, tmp_path):
    X, _ = load_ucr("GunPoint")
    X = resample(X[:40], n_timepoints, axis=1).astype(np.float32)
    tokenizer = SSLVQTokenizer.from_pretrained(n_timepoints=n_timepoints, device="cpu")
    tokens = tokenizer.encode(X)
    assert tokens.shape == (40, np.prod(tokenizer.token_shape_))
    series = tokenizer.decode(tokens)
    assert series.dtype == X.dtype
    assert np.square(series - X).mean() < 0.02
    assert_array_equal(tokenizer.reconstruct(X), series)
    embeddings = tokenizer.transform(X)
    assert embeddings.shape == (40, len(tokenizer.get_feature_names_out()))
    tokenizer.save(tmp_path / "tokenizer.safetensors")
    again = sktsrep.load(tmp_path / "tokenizer.safetensors")
    assert_array_equal(again.decode(again.encode(X)), series)
    assert_array_equal(again.encode([X[0, :50]]), tokenizer.encode([X[0, :50]]))
    with pytest.raises(ValueError, match="features"):
        tokenizer.encode(X[:, 1:])


@pytest.mark.parametrize("estimator", [SSLEncoder, SSLVQTokenizer])
@pytest.mark.parametrize("n_timepoints", [64, 150, 600])
def test_a_fit_goes_on_from_the_weights(estimator, n_timepoints):
    X = zscore(random_walks(20, n_timepoints), axis=1).astype(np.float32)
    model = estimator.from_pretrained(n_timepoints=n_timepoints, device="cpu")
    assert model.max_epochs == "auto"
    before = model.transform(X)
    model.set_params(warm_start=True, max_epochs=1, lr=1e-5).fit(X)
    assert_allclose(model.transform(X).mean(), before.mean(), rtol=0.05)
    assert not np.array_equal(model.transform(X), before)
    anew = clone(model).set_params(warm_start=False, max_epochs=0).fit(X)
    assert anew.transform(X).shape[0] == len(before)
    assert model.net_.module_.made_from != anew.net_.module_.made_from


def test_a_sampler_takes_the_tokens():
    X, y = zscored()
    tokenizer = SSLVQTokenizer.from_pretrained(n_timepoints=64, device="cpu")
    sampler = MaskGITSampler(
        FrozenEstimator(tokenizer), hidden_dim=16, max_epochs=2, device="cpu"
    ).fit(X, y)
    assert_array_equal(sampler.tokenizer_.encode(X), tokenizer.encode(X))
    assert sampler.sample(3).shape == (3, 64)
    assert sampler.forecast(X[:2, :40], 24, n_draws=2).shape == (2, 24)
    assert sampler.score_timepoints(X[:2]).shape == (2, 64)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"name": "large"}, r"name must be one of \['base'\], got 'large'"),
        ({"n_timepoints": 31}, "n_timepoints must be an int of at least 32, got 31"),
        ({"n_timepoints": 64.0}, "n_timepoints must be an int of at least 32, got 64"),
        ({"device": "abacus"}, "abacus"),
    ],
)
@pytest.mark.parametrize("estimator", [SSLEncoder, SSLVQTokenizer])
def test_impossible_weights_are_refused(estimator, parameters, match):
    with pytest.raises(ValueError, match=match):
        estimator.from_pretrained(**parameters)
