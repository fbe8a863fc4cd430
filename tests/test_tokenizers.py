"""SSLVQTokenizer: outputs, objectives, levels, learning."""

import functools

import numpy as np
import pytest
import torch
from estimators import tiny_tokenizer, waves
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktsrep import STFTTransformer
from sktsrep.augmentations import (
    PRESETS,
    flip,
    gaussian_noise,
    resolve_augmentations,
)
from sktsrep.networks import Autoencoder
from sktsrep.nn import SpectralEncoder
from sktsrep.objectives import OBJECTIVES, VICReg
from sktsrep.quantizers import EMACodebook, GradientCodebook, ResidualVQ


@pytest.mark.parametrize("ssl", [*OBJECTIVES, None])
def test_every_objective_trains(ssl):
    X, _ = waves()
    tokenizer = tiny_tokenizer(ssl=ssl).fit(X)
    assert np.isfinite(tokenizer.transform(X)).all()
    assert np.isfinite(tokenizer.history_["train_loss"]).all()


@pytest.mark.parametrize(
    "quantizer",
    [EMACodebook(8), GradientCodebook(8), ResidualVQ(2, EMACodebook(8))],
    ids=lambda quantizer: type(quantizer).__name__,
)
def test_the_self_supervised_loss_does_not_reach_the_detail(quantizer):
    make_encoder = functools.partial(
        SpectralEncoder, n_channels=1, n_timepoints=48, max_tokens=8, hidden_dim=8
    )
    network = Autoencoder(
        make_encoder=make_encoder,
        quantizer=quantizer,
        n_samples=20,
        objective=VICReg(projector_dim=8),
        augmentations=resolve_augmentations("shift"),
        ssl_weight=1.0,
        augmented_weight=0.1,
        shift_probability=0.5,
        detailed=True,
    )
    x = torch.as_tensor(waves(dtype=np.float32)[0]).unsqueeze(1)
    network.start(x)
    terms = network(x)
    weights = [network.detail.weight, network.encoder.encoder.head[-1].weight]
    joint = terms["invariance_loss"] + terms["variance_loss"]
    own, rest = (
        torch.autograd.grad(loss, weights, retain_graph=True)
        for loss in (joint, terms["time_loss"])
    )
    assert not own[0].any()
    assert min(gradient.abs().max() for gradient in (own[1], *rest)) > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_timepoints", [1, 47, 48])
def test_series_and_spectrograms_give_the_same_model(dtype, n_timepoints):
    X, _ = waves(n_timepoints=n_timepoints, dtype=dtype)
    stft = STFTTransformer(device="cpu")
    spectrogram = stft.fit_transform(X)
    from_series = tiny_tokenizer().fit(X)
    from_spectrogram = tiny_tokenizer().fit(spectrogram)
    np.testing.assert_array_equal(
        from_series.transform(X), from_spectrogram.transform(spectrogram)
    )
    tokens = from_series.encode(X)
    np.testing.assert_array_equal(tokens, from_spectrogram.encode(spectrogram))
    restored = stft.inverse_transform(from_spectrogram.decode(tokens))
    np.testing.assert_allclose(restored, from_series.decode(tokens), atol=1e-5)


def test_tokens_and_their_inverse():
    X, _ = waves(dtype=np.float32)
    tokenizer = tiny_tokenizer(output="tokens")
    tokens = tokenizer.fit_transform(X)
    assert tokens.dtype == np.int64
    assert tokens.shape == (len(X), np.prod(tokenizer.token_shape_))
    restored = tokenizer.inverse_transform(tokens)
    assert (restored.shape, restored.dtype) == (X.shape, X.dtype)
    np.testing.assert_array_equal(restored, tokenizer.reconstruct(X))
    assert not hasattr(tiny_tokenizer(), "inverse_transform")


@pytest.mark.parametrize(
    "tokens", [[[0, 1]], [[8] * 7], [[-1] * 7], [[0.5] * 7]], ids=str
)
def test_bad_tokens(tokens):
    tokenizer = tiny_tokenizer().fit(waves()[0])
    with pytest.raises(ValueError, match=r"[Tt]okens"):
        tokenizer.decode(tokens)


@pytest.mark.parametrize(
    ("level", "n_features"), [("all", 260), ("latent", 16), ("tokens", 32)]
)
def test_levels(level, n_features):
    X, _ = waves()
    tokenizer = tiny_tokenizer(level=level).fit(X)
    assert tokenizer.transform(X).shape == (len(X), n_features)
    assert len(tokenizer.get_feature_names_out()) == n_features


def test_token_features_are_summarised_codes():
    X, _ = waves()
    tokenizer = tiny_tokenizer(level="tokens").fit(X)
    codes = tokenizer.codebook_[tokenizer.encode(X)]  # (samples, tokens, dim)
    parts = [codes.mean(axis=1), codes.max(axis=1), codes.min(axis=1)]
    parts.append((codes > 0).mean(axis=1))
    n_tokens = codes.shape[1]
    bounds = [(i * n_tokens // 4, -(-(i + 1) * n_tokens // 4)) for i in range(4)]
    quarters = [codes[:, start:stop].max(axis=1) for start, stop in bounds]
    parts.append(np.stack(quarters, axis=-1).reshape(len(X), -1))
    expected = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(tokenizer.transform(X), expected, rtol=1e-5, atol=1e-6)


def test_history_has_every_term():
    tokenizer = tiny_tokenizer().fit(waves()[0])
    terms = {"time", "frequency", "commitment", "augmented"}
    terms |= {"invariance", "variance", "covariance", "train"}
    columns = {f"{term}_loss" for term in terms} | {"perplexity", "codebook_usage"}
    assert columns <= set(tokenizer.history_.columns)
    summed = tokenizer.history_[[f"{term}_loss" for term in terms - {"train"}]]
    np.testing.assert_allclose(
        summed.sum(axis=1), tokenizer.history_["train_loss"], rtol=1e-5
    )
    assert tokenizer.history_["codebook_usage"].between(0, 1).all()
    assert tokenizer.history_["perplexity"].between(1, 8).all()


@pytest.mark.parametrize("augmentations", [*PRESETS, flip, ["warp", gaussian_noise]])
def test_augmentations(augmentations):
    X, _ = waves()
    assert tiny_tokenizer(augmentations=augmentations).fit(X).n_iter_ == 2


def time_loss(module, x):
    return module(x)["time_loss"].item()


@pytest.fixture
def module_that_shifts():
    """A network whose only draw in ``forward`` is the shift in time."""
    tokenizer = tiny_tokenizer(ssl=None, shift_probability=1.0).fit(waves()[0])
    module = tokenizer.net_.module_.train()
    module.quantizer.eval()  # its moving averages must not move here
    return module


def test_series_are_shifted_in_training_alone(module_that_shifts):
    ramp = torch.linspace(-1, 1, 50).expand(4, 1, -1)
    losses = [time_loss(module_that_shifts, ramp) for _ in range(2)]
    assert losses[0] != losses[1]
    module_that_shifts.eval()  # held-out series are judged as they are
    losses = [time_loss(module_that_shifts, ramp) for _ in range(2)]
    assert losses[0] == losses[1]


def test_series_that_look_the_same_everywhere_are_not_changed(module_that_shifts):
    flat = torch.ones(4, 1, 50)
    assert time_loss(module_that_shifts, flat) == time_loss(module_that_shifts, flat)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_series_are_shifted_with_a_probability(probability, share, monkeypatch):
    X, _ = waves()
    seen = []
    tokenizer = tiny_tokenizer(ssl=None, shift_probability=probability).fit(X)
    module = tokenizer.net_.module_.train()
    encode = module.encoder.spectrogram
    monkeypatch.setattr(
        module.encoder, "spectrogram", lambda x: (seen.append(x), encode(x))[1]
    )
    x = torch.arange(50.0).expand(1000, 1, 50)
    module(x)
    kept = (seen[0] == x).all(dim=-1).float().mean().item()
    # One shift in fifty is by nothing.
    assert 1 - kept == pytest.approx(share, abs=0.06)
    assert (seen[0].diff().abs() == 1).all()  # mirrored at the ends, without a jump


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"ssl": "magic"}, "'ssl' parameter"),
        ({"shift_probability": 1.5}, "'shift_probability' parameter"),
        ({"augmentations": "magic"}, "augmentations must name one of"),
        ({"max_epochs": -1}, "'max_epochs' parameter"),
        ({"early_stopping": 0.5}, "'early_stopping' parameter"),
        ({"quantizer": "magic"}, "'quantizer' parameter"),
        ({"quantizer": EMACodebook(1)}, "'n_codes' parameter of EMACodebook"),
        ({"n_fft": 8, "hop_length": 8}, "hop_length must be less"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        tiny_tokenizer(**params).fit(waves()[0])


def test_magnitudes_are_no_input():
    X = STFTTransformer(output="magnitude", device="cpu").fit_transform(waves()[0])
    with pytest.raises(ValueError, match="no real and imaginary parts"):
        tiny_tokenizer().fit(X)


@pytest.mark.parametrize(
    "params",
    [
        {"window": "boxcar"},
        {"window": "hamming"},
        {"n_fft": 9},
        {"n_fft": 16, "hop_length": 8},
        {"output": "magnitude"},
    ],
)
def test_spectrograms_of_another_transform_are_no_input(params):
    series, _ = waves(n_channels=2)
    X = STFTTransformer(**params, device="cpu").fit_transform(series)
    with pytest.raises(ValueError, match="no spectrograms of series with window"):
        tiny_tokenizer().fit(X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_spectrograms_of_any_precision_are_input(dtype):
    stft = STFTTransformer(16, hop_length=8, device="cpu")
    X = stft.fit_transform(waves(dtype=dtype)[0])
    assert tiny_tokenizer(hop_length=8).fit(X).transform(X).dtype == dtype


def test_parameters_of_the_next_fit_do_not_touch_the_last():
    X, _ = waves()
    tokenizer = tiny_tokenizer().fit(X)
    tokens, embeddings = tokenizer.encode(X), tokenizer.transform(X)
    tokenizer.set_params(quantizer=EMACodebook(99, dim=9), n_fft=16, hop_length=2)
    np.testing.assert_array_equal(tokenizer.transform(X), embeddings)
    assert len(tokenizer.get_feature_names_out()) == embeddings.shape[1]
    with pytest.raises(ValueError, match=r"must lie in \[0, 8\)"):
        tokenizer.decode(np.full_like(tokens, 50))
    tokenizer.set_params(quantizer__n_codes=2)
    assert tokenizer.decode(tokens).shape == X.shape


def test_scores_of_series_have_the_score_as_mean():
    X, _ = waves()
    tokenizer = tiny_tokenizer().fit(X)
    odd = np.random.default_rng(0).normal(size=X.shape)
    scores = tokenizer.score_samples(np.concatenate([X, odd]))
    assert tokenizer.score(X) == pytest.approx(scores[: len(X)].mean())
    assert scores[len(X) :].mean() < scores[: len(X)].mean() < 0


def test_score_is_the_reconstruction_error():
    X, _ = waves()
    tokenizer = tiny_tokenizer().fit(X)
    error = ((tokenizer.reconstruct(X) - X) / tokenizer.scale_[0, 0]) ** 2
    # Series are padded to whole hops inside: the last timepoints count a little more.
    assert tokenizer.score(X) == pytest.approx(-error.mean(), rel=0.05)


def test_scale_of_the_data_does_not_matter():
    X, _ = waves()
    plain = tiny_tokenizer().fit(X)
    scaled = tiny_tokenizer().fit(1024 * X)  # a power of two: exact in floating point
    np.testing.assert_array_equal(plain.encode(X), scaled.encode(1024 * X))


def test_learns_to_reconstruct_and_to_tell_classes_apart():
    X, y = waves(n_samples=120)
    params = {"hidden_dim": 16, "quantizer": EMACodebook(32, dim=16)}
    params |= {"max_epochs": 40, "max_tokens": 16, "lr": 3e-3, "augmentations": "gauss"}
    tokenizer = tiny_tokenizer(**params).fit(X[:80])
    assert tokenizer.score(X[80:]) > -0.3  # of a variance of 1
    probe = make_pipeline(tokenizer, LogisticRegression()).fit(X[:80], y[:80])
    assert probe.score(X[80:], y[80:]) > 0.95
    assert tokenizer.history_["codebook_usage"].iloc[-1] > 0.8


def test_reconstructs_what_tells_series_of_a_common_shape_apart():
    differences, _ = waves(n_samples=120)
    common = 100 * np.sin(np.linspace(0, 9, differences.shape[1]))
    params = {"hidden_dim": 16, "quantizer": EMACodebook(32, dim=16)}
    params |= {"max_epochs": 40, "max_tokens": 16, "lr": 3e-3, "augmentations": "gauss"}
    tokenizer = tiny_tokenizer(**params).fit(common + differences[:80])
    decoded = tokenizer.reconstruct(common + differences[80:]) - common
    error = np.square(decoded - differences[80:]).mean() / differences.var()
    assert error < 0.5  # the common shape alone has 1


def test_over_fitting_is_said_where_series_are_held_out():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(24, 50))
    params = {"hidden_dim": 32, "max_epochs": 150, "lr": 5e-3, "ssl": None}
    params |= {"early_stopping": 150, "validation_fraction": 0.3, "max_tokens": 32}
    params |= {"shift_probability": 0, "quantizer": EMACodebook(128, dim=16)}
    tokenizer = tiny_tokenizer(**params)
    with pytest.warns(UserWarning, match="over-fits: the reconstruction error"):
        tokenizer.fit(noise)
    assert "valid_time_loss" in tokenizer.history_


# --------------------------------------------------------- levels, and shared moments


def recording_windows(n_channels=2, n_windows=60, length=50):
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(n_windows * 4 + length, n_channels)).cumsum(axis=0)
    return np.stack([walk[4 * i : 4 * i + length].T for i in range(n_windows)])


@pytest.mark.parametrize("depth", [1, 3])
def test_levels_of_windows_have_a_place_of_their_own(depth):
    X = recording_windows()
    quantizer = ResidualVQ(depth, EMACodebook(16, dim=4))
    tokenizer = tiny_tokenizer(quantizer=quantizer).fit(X)
    tokens = tokenizer.encode(X)
    n_places, _ = tokenizer.token_shape_
    assert n_places == tokenizer.net_.module_.encoder.sizes[-1] + 1
    assert tokens.shape == (len(X), n_places * depth)
    assert tokenizer.level_codebook_.shape == (depth * 16, 4)
    assert tokens[:, :depth].max() < len(tokenizer.level_codebook_)
    np.testing.assert_array_equal(tokenizer.decode(tokens), tokenizer.reconstruct(X))


def test_untrained_windows_keep_their_level():
    X = recording_windows()
    quantizer = ResidualVQ(4, EMACodebook(16, dim=4))
    tokenizer = tiny_tokenizer(quantizer=quantizer, max_epochs=0).fit(X)
    error = tokenizer.reconstruct(X).mean(axis=2) - X.mean(axis=2)
    assert np.square(error).mean() < 0.1 * X.mean(axis=2).var()


def test_embeddings_tell_the_levels():
    X = recording_windows()
    for level in ("all", "latent", "tokens"):
        tokenizer = tiny_tokenizer(level=level).fit(X)
        Z = tokenizer.transform(X)
        assert Z.shape[1] == len(tokenizer.get_feature_names_out())
        slopes, *_ = np.linalg.lstsq(
            np.c_[Z[:, -4:-2], np.ones(len(Z))], X.mean(axis=2), rcond=None
        )
        fitted = np.c_[Z[:, -4:-2], np.ones(len(Z))] @ slopes
        np.testing.assert_allclose(fitted, X.mean(axis=2), atol=1e-3)


def test_series_without_dominating_levels_have_none():
    tokenizer = tiny_tokenizer().fit(waves()[0])
    assert tokenizer.level_codebook_ is None


@pytest.mark.parametrize("n_channels", [None, 2])
@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (5.0, 3.0)])
def test_decoded_series_have_the_moments_that_all_share(mean, deviation, n_channels):
    X = waves(n_channels=n_channels)[0]
    X = X - X.mean(axis=-1, keepdims=True)
    X = mean + deviation * X / X.std(axis=-1, keepdims=True)
    decoded = tiny_tokenizer().fit(X).reconstruct(X)
    np.testing.assert_allclose(decoded.mean(axis=-1), mean, atol=1e-9)
    np.testing.assert_allclose(decoded.std(axis=-1), deviation, rtol=1e-9)


def test_decoded_series_share_no_moments_that_only_most_share():
    X = waves()[0]
    X = (X - X.mean(axis=-1, keepdims=True)) / X.std(axis=-1, keepdims=True)
    X[0] *= 1.1
    deviations = tiny_tokenizer().fit(X).reconstruct(X).std(axis=-1)
    assert np.ptp(deviations) > 1e-3
