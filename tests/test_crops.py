"""Tests of training on crops of long series."""

import numpy as np
import pytest
import torch

from sktsrep import STFTTransformer, load
from sktsrep._training import DeviceBatches, Rows
from tests.estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_sampler,
    tiny_tokenizer,
    waves,
)

MAKERS = {"SSLEncoder": tiny_encoder, "SSLVQTokenizer": tiny_tokenizer}
either = pytest.mark.parametrize("name", MAKERS)
CROP = 64


def long_waves(n_samples=24, n_timepoints=500, **params):
    return waves(n_samples, n_timepoints, **params)


@either
def test_the_network_is_that_of_crops(name):
    X, _ = long_waves()
    model = MAKERS[name](crop_length=CROP).fit(X)
    of_crops = MAKERS[name]().fit(X[:, :CROP])
    for attribute in ("_frames", "_hop_length", "_least_length", "_n_timepoints"):
        assert getattr(model, attribute) == getattr(of_crops, attribute)
    Z = model.transform(X)
    assert Z.shape == of_crops.transform(X[:, :CROP]).shape
    assert model.sample_shape_ == (500,)
    # One by one, in a list, and beside series of other lengths: the same features.
    np.testing.assert_array_equal(model.transform(list(X)), Z)
    mixed = model.transform([X[0], X[1, :CROP], X[2, :200]])
    np.testing.assert_array_equal(mixed[0], Z[0])
    np.testing.assert_array_equal(model.transform([X[1, :CROP]])[0], mixed[1])


@either
def test_short_series_are_trained_on_as_a_whole(name):
    X, _ = waves()
    expected = MAKERS[name](crop_length=None).fit(X)
    for crop_length in ("auto", X.shape[1], 10**6):
        model = MAKERS[name](crop_length=crop_length).fit(X)
        np.testing.assert_array_equal(model.transform(X), expected.transform(X))
        losses = [m.history_.drop(columns="dur") for m in (model, expected)]
        np.testing.assert_array_equal(*losses)


@either
def test_auto_crops_what_is_very_long(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 5000))
    model = MAKERS[name](max_epochs=1).fit(X)
    assert model._trained_length == 2048
    assert MAKERS[name](max_epochs=0).fit(X[:, :4096])._trained_length == 4096
    assert MAKERS[name](max_epochs=0, crop_length=None).fit(X)._trained_length == 5000


@either
@pytest.mark.parametrize("n_channels", [None, 2])
def test_crops_of_unequal_series_and_gaps(name, n_channels, tmp_path):
    X, _ = long_waves(n_channels=n_channels)
    X[..., 100:110] = np.nan
    X = [x[..., : 500 - 15 * i] for i, x in enumerate(X)]
    model = MAKERS[name](crop_length=CROP).fit(X)
    Z = model.transform(X)
    assert np.isfinite(Z).all()
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").transform(X), Z)
    again = MAKERS[name](crop_length=CROP, warm_start=True).fit(X).fit(X)
    assert again._trained_length == CROP
    assert np.isfinite(again.transform(X)).all()


@pytest.mark.parametrize("n_timepoints", [500, 501])
def test_tokens_and_reconstructions_are_those_of_whole_series(n_timepoints):
    X, _ = long_waves(n_timepoints=n_timepoints)
    tokenizer = tiny_tokenizer(crop_length=CROP).fit(X)
    tokens = tokenizer.encode(X)
    n_tokens = tokenizer.count_tokens(n_timepoints)
    assert tokens.shape == (24, n_tokens)
    assert np.prod(tokenizer.token_shape_) == n_tokens
    assert n_tokens > 4 * tokenizer.count_tokens(CROP)
    assert (tokens >= 0).all()
    decoded = tokenizer.decode(tokens)
    assert decoded.shape == X.shape
    np.testing.assert_array_equal(tokenizer.reconstruct(X), decoded)
    assert tokenizer.score_timepoints(X).shape == X.shape
    as_tokens = tiny_tokenizer(crop_length=CROP, output="tokens").fit(X)
    np.testing.assert_array_equal(as_tokens.transform(X), tokens)


@pytest.mark.parametrize("make", [tiny_sampler, tiny_autoregressive])
def test_whole_series_are_drawn_and_classified(make):
    X, y = long_waves(n_timepoints=200)
    sampler = make(tiny_tokenizer(crop_length=CROP), max_epochs=1).fit(X, y)
    samples = sampler.sample(3, y=y[0])
    assert samples.shape == (3, 200)
    assert np.isfinite(samples).all()
    assert np.isfinite(sampler.score_samples(X[:3])).all()
    classifier = tiny_classifier(tiny_encoder(crop_length=CROP)).fit(X, y)
    assert classifier.predict(X).shape == y.shape


def test_spectrograms_are_not_cropped():
    X, _ = long_waves()
    Z = STFTTransformer(flatten=False).fit_transform(X)
    assert tiny_encoder(max_epochs=0).fit(Z)._crop_length is None
    with pytest.raises(ValueError, match="crop_length needs series, got spectrograms"):
        tiny_encoder(crop_length=CROP).fit(Z)


@pytest.mark.parametrize("shuffle", [True, False])
def test_crops_are_parts_of_their_series(shuffle):
    x = torch.arange(7 * 90, dtype=torch.float).reshape(7, 1, 90)
    lengths = torch.tensor([90, 90, 90, 90, 90, 40, 20])
    for row, length in zip(x, lengths, strict=True):
        row[:, length:] = row[:, length - 1]
    rows = Rows(x, lengths=lengths, most=30)
    starts = set()
    for _ in range(20):
        for (series,), _ in DeviceBatches(rows, batch_size=3, shuffle=shuffle):
            assert series.shape[2] <= 30
            for crop in series[:, 0]:
                row, start = divmod(int(crop[0]), 90)
                assert torch.equal(crop, x[row, 0, start : start + len(crop)])
                starts.add((row, start))
    assert len(starts) > 60 if shuffle else len(starts) == 7
    typical = rows.typical()
    assert typical.shape == (5, 1, 30)  # the longer half, and more of equal length
    assert typical[:, 0, 0].tolist() == [0, 90 + 15, 180 + 30, 270 + 45, 360 + 60]
