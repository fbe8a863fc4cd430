"""Tests of series with gaps and of unequal length."""

import copy
import functools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import get_tags

from sktsrep._training import DeviceBatches, Rows
from sktsrep.nn import MaskedTransformer
from sktsrep.quantizers import EMACodebook, ResidualVQ
from tests.estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)

MAKERS = {
    "SSLEncoder": tiny_encoder,
    "FineTunedClassifier": lambda: tiny_classifier(tiny_encoder()),
    "FCNClassifier": tiny_fcn,
    "SSLVQTokenizer": tiny_tokenizer,
    "VAE": tiny_vae,
}
every_estimator = pytest.mark.parametrize("name", MAKERS)
of_any_length = pytest.mark.parametrize("name", [n for n in MAKERS if n != "VAE"])


def output(model, X):
    method = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    return getattr(model, method)(X)


def unequal(n_samples=24, longest=50, n_channels=None, seed=0):
    """Waves, each cut to a length of its own, in a list."""
    X, y = waves(n_samples, longest, n_channels, seed=seed)
    lengths = np.random.default_rng(seed).integers(3, longest + 1, size=n_samples)
    lengths[0] = longest
    return [x[..., :n] for x, n in zip(X, lengths, strict=True)], y


def padded(series, n_timepoints):
    """One array, with NaN after the ends."""
    X = np.full((len(series), *series[0].shape[:-1], n_timepoints), np.nan)
    for row, x in zip(X, series, strict=True):
        row[..., : x.shape[-1]] = x
    return X


@functools.cache
def fitted(name, n_channels=None):
    return MAKERS[name]().fit(*unequal(n_channels=n_channels))


@every_estimator
@pytest.mark.parametrize("n_channels", [None, 2])
def test_a_list_is_an_array_with_nan_at_the_ends(name, n_channels):
    series, y = unequal(n_channels=n_channels)
    model = clone(fitted(name, n_channels)).fit(padded(series, 50), y)
    assert model.sample_shape_ == ((50,) if n_channels is None else (2, 50))
    expected = output(fitted(name, n_channels), series)
    np.testing.assert_array_equal(output(model, series), expected)
    np.testing.assert_array_equal(output(model, padded(series, 50)), expected)


@of_any_length
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from([None, 2]))
def test_a_series_gives_what_it_gives_alone_and_with_any_padding(
    name, seed, n_more, n_channels
):
    model = fitted(name, n_channels)
    series, _ = unequal(6, 70, n_channels, seed)
    together = output(model, series)
    assert np.isfinite(together).all()
    more_padding = list(padded(series, 70 + n_more))
    np.testing.assert_array_equal(output(model, more_padding), together)
    alone = np.concatenate([output(model, [x]) for x in series])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


@every_estimator
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.9))
def test_gaps_are_bridged_by_lines(name, seed, share):
    model, rng = fitted(name), np.random.default_rng(seed)
    X = waves(6, 50, seed=seed)[0]
    gaps = rng.uniform(size=X.shape) < share
    gaps[:, [0, -1]] = False
    X[gaps] = np.nan
    lines = pd.DataFrame(X).interpolate(axis=1).to_numpy()
    np.testing.assert_allclose(output(model, X), output(model, lines), atol=1e-5)


@every_estimator
def test_missing_beginnings_and_channels_are_no_padding(name):
    model = fitted(name, 2)
    X = waves(4, 50, 2)[0]
    X[0, 0, :9] = np.nan
    X[1, 1] = np.nan  # a channel that the series lacks
    X[2, 1, 30:] = np.nan  # not the end: the other channel goes on
    filled = X.copy()
    filled[0, 0, :9] = X[0, 0, 9]
    filled[1, 1] = model._channel_means[1]
    filled[2, 1, 30:] = X[2, 1, 29]
    np.testing.assert_array_equal(output(model, X), output(model, filled))


@every_estimator
def test_fits_learn_from_gaps(name):
    X, y = waves(n_samples=40)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.1] = np.nan
    X[::5, 30:] = np.nan
    model = MAKERS[name]().fit(X, y)
    assert np.isfinite(output(model, X)).all()
    assert get_tags(model).input_tags.allow_nan


def test_statistics_are_those_of_the_known_values():
    series, y = unequal(40)
    values = np.concatenate(series)
    model = tiny_fcn().fit(series, y)
    np.testing.assert_allclose(model.mean_[0, 0], values.mean(), rtol=1e-6)
    np.testing.assert_allclose(model.scale_[0, 0], values.std(), rtol=1e-6)
    encoder = tiny_encoder().fit(series)
    # Whole hops repeat the last value once at most.
    np.testing.assert_allclose(encoder.mean_[0], values.mean(), atol=0.03)
    np.testing.assert_allclose(encoder.scale_[0, 0], values.std(), rtol=0.03)


@every_estimator
def test_equal_series_give_the_same_bits_in_a_list(name):
    X, y = waves()
    model, other = MAKERS[name]().fit(X, y), MAKERS[name]().fit(list(X), y)
    np.testing.assert_array_equal(output(model, X), output(other, list(X)))
    np.testing.assert_array_equal(output(model, X), output(model, list(X)))


@of_any_length
@pytest.mark.parametrize("n_timepoints", [1, 20, 49, 51, 300])
def test_series_of_another_length_need_a_list(name, n_timepoints):
    model = fitted(name)
    X = waves(3, n_timepoints)[0]
    assert output(model, list(X)).shape == (3, output(model, [X[0]]).shape[1])
    with pytest.raises(ValueError, match="expecting"):
        output(model, X)


@every_estimator
def test_forms_of_unequal_series(name):
    series, _ = unequal()
    expected = output(fitted(name), series)
    tensors = [torch.from_numpy(x) for x in series]
    lists = [x.tolist() for x in series]
    one_channel = [x[None] for x in series]
    objects = pd.DataFrame({"channel": [pd.Series(x) for x in series]})
    for X in (tensors, lists, one_channel, objects):
        np.testing.assert_array_equal(output(fitted(name), X), expected)


@every_estimator
def test_errors_name_the_row(name):
    series, y = unequal()
    model = MAKERS[name]()
    with pytest.raises(ValueError, match=r"no timepoints in row 2"):
        model.fit([*series[:2], series[0][:0], *series[3:]], y)
    with pytest.raises(ValueError, match=r"no observed value in row 1"):
        model.fit([series[0], np.full(9, np.nan), *series[2:]], y)
    with pytest.raises(ValueError, match="the same channels"):
        model.fit([np.ones((2, 9)), np.ones((3, 8))], y[:2])
    with pytest.raises(ValueError, match="must hold numbers"):
        model.fit([np.array(["a", "b"]), np.array(["c"])], y[:2])
    with pytest.raises(ValueError, match="infinity"):
        model.fit([*series[:-1], np.array([1.0, np.inf])], y)
    with pytest.raises(ValueError, match=r"no observed value in row 0"):
        output(fitted(name), np.full((1, 50), np.nan))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from([None, 2]))
def test_a_vae_knows_no_series_but_those_of_fit(seed, n_more, n_channels):
    vae = fitted("VAE", n_channels)
    series, _ = unequal(6, 50, n_channels, seed)
    series[1] = series[1].copy()
    series[1][..., 1] = np.nan
    ends = np.isnan(padded([np.nan_to_num(x) for x in series], 50))
    more_padding = list(padded(series, 50 + n_more))
    for method in ("transform", "reconstruct", "score_samples", "score_timepoints"):
        apply = getattr(vae, method)
        together = apply(series)
        np.testing.assert_array_equal(apply(more_padding), together)
        alone = np.concatenate([apply([x]) for x in series])
        np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
        if method == "reconstruct":
            np.testing.assert_array_equal(np.isnan(together), ends)
        elif method == "score_timepoints":
            has_value = ~np.isnan(padded(series, 50)).reshape(6, -1, 50).all(axis=1)
            np.testing.assert_array_equal(np.isnan(together), ~has_value)
        else:
            assert np.isfinite(together).all()


@pytest.mark.parametrize("n_timepoints", [1, 20, 51])
def test_a_vae_has_one_length(n_timepoints):
    vae = fitted("VAE")
    X = waves(3, n_timepoints)[0]
    with pytest.raises(ValueError, match="expecting"):
        vae.transform(X)
    if n_timepoints > 50:
        with pytest.raises(ValueError, match="row 0, but VAE is expecting at most 50"):
            vae.transform(list(X))
    else:
        assert vae.transform(list(X)).shape == (3, 3)
        assert np.isnan(vae.reconstruct(list(X))[:, n_timepoints:]).all()
    assert np.isfinite(vae.sample(3)).all()
    assert vae.sample(3).shape == (3, 50)


TOKENIZERS = {
    "one stage": {},
    "several stages": {"hop_length": 1},
    "residual": {"quantizer": ResidualVQ(3, EMACodebook(8, dim=4))},
}
every_tokenizer = pytest.mark.parametrize("name", TOKENIZERS)


@functools.cache
def fitted_tokenizer(name, n_channels=None, level=0):
    series, _ = unequal(n_channels=n_channels)
    shifts = level * np.arange(len(series))
    series = [x + shift for x, shift in zip(series, shifts, strict=True)]
    return tiny_tokenizer(**TOKENIZERS[name]).fit(series)


@every_tokenizer
@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([None, 2]),
    st.sampled_from([0, 50]),
)
def test_tokens_and_reconstructions_end_where_series_end(name, seed, n_channels, level):
    tokenizer = fitted_tokenizer(name, n_channels, level)
    assert (tokenizer.level_codebook_ is not None) == (level > 0)
    series, _ = unequal(6, 70, n_channels, seed)
    lengths = np.array([x.shape[-1] for x in series])
    tokens, decoded = tokenizer.encode(series), tokenizer.reconstruct(series)
    assert decoded.shape == padded(series, 70).shape
    np.testing.assert_array_equal(np.isnan(decoded), np.isnan(padded(series, 70)))
    np.testing.assert_array_equal(tokenizer.decode(tokens, lengths), decoded)
    errors = tokenizer.score_timepoints(series)
    for row, x in enumerate(series):
        (alone,) = tokenizer.encode([x])
        np.testing.assert_array_equal(tokens[row, : len(alone)], alone)
        assert (tokens[row, len(alone) :] == -1).all()
        n = x.shape[-1]
        again = tokenizer.reconstruct([x])[0]
        np.testing.assert_allclose(decoded[row, ..., :n], again, atol=1e-5)
        assert np.isfinite(errors[row, :n]).all()
        assert np.isnan(errors[row, n:]).all()


@every_tokenizer
def test_tokens_alone_tell_about_how_long_series_are(name):
    tokenizer = fitted_tokenizer(name)
    series = [np.ones(n) for n in range(1, 80)]
    tokens = tokenizer.encode(series)
    decoded = tokenizer.decode(tokens)
    known = (~np.isnan(decoded)).sum(axis=1)
    spacing = 50 / (tokenizer.token_shape_[0] - 1)
    assert (np.abs(known - np.arange(1, 80)) <= 2 * spacing).all()
    # As many tokens as they have.
    again = tokenizer.encode([x[:n] for x, n in zip(decoded, known, strict=True)])
    np.testing.assert_array_equal((again >= 0).sum(axis=1), (tokens >= 0).sum(axis=1))


def test_tokens_that_are_of_no_series():
    tokenizer = fitted_tokenizer("residual")
    tokens = tokenizer.encode([np.ones(50), np.ones(9)])
    hole = tokens.copy()
    hole[0, 3] = -1
    lone = np.where(np.arange(tokens.shape[1]) < 4, tokens, -1)
    for wrong in (hole, lone, np.full_like(tokens, -1)):
        with pytest.raises(ValueError, match="tokens in row 0 are not those"):
            tokenizer.decode(wrong)
    with pytest.raises(ValueError, match="tokens in row 1 are not those"):
        tokenizer.decode(tokens, [50, 30])
    with pytest.raises(ValueError, match="lengths must have shape"):
        tokenizer.decode(tokens, [50])
    with pytest.raises(ValueError, match="Tokens must lie in"):
        tokenizer.decode(tokens - 1)


def test_missing_values_are_reconstructed_and_do_not_count():
    X = waves()[0]
    tokenizer = tiny_tokenizer().fit(X)
    X[0, 7:9] = np.nan
    decoded, scores = tokenizer.reconstruct(X), tokenizer.score_timepoints(X)
    assert np.isfinite(decoded).all()
    assert np.isnan(scores).sum() == np.isnan(X).sum()
    expected = np.delete(scores[0], [7, 8]).mean()
    np.testing.assert_allclose(tokenizer.score_samples(X)[0], expected)
    shorter = [X[0, :30], X[1, :40]]
    means = np.nanmean(tokenizer.score_timepoints(shorter), axis=1)
    np.testing.assert_array_equal(tokenizer.score_samples(shorter), means)


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_of_unequal_series_have_one_length_each(shuffle):
    lengths = torch.arange(10, 110)
    series = torch.arange(110.0).repeat(100, 1, 1)
    rows = Rows(series, torch.arange(100), lengths=lengths)
    seen = []
    for (x, which), _ in DeviceBatches(rows, 16, shuffle=shuffle):
        seen += which.tolist()
        assert x.shape == (len(which), 1, lengths[which].median())
        assert (x.diff(dim=2) == 1).all()  # whole stretches
        is_long = lengths[which] >= x.shape[2]
        assert (x[is_long, 0, -1] < lengths[which][is_long]).all()
    assert sorted(seen) == list(range(100))


def test_unequal_series_end_to_end():
    series, y = unequal(120)
    model = make_pipeline(tiny_encoder(max_epochs=5), StandardScaler(), SVC())
    assert model.fit(series[:80], y[:80]).score(series[80:], y[80:]) > 0.8


SAMPLERS = {
    "MaskGITSampler": tiny_sampler,
    "AutoregressiveSampler": tiny_autoregressive,
}
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


@functools.cache
def fitted_sampler(name, labeled):
    """A sampler of short series of class 0 and long ones of class 1."""
    X, y = waves(40, 50)
    rng = np.random.default_rng(0)
    series = [x[: rng.integers(5, 20) + 30 * c] for x, c in zip(X, y, strict=True)]
    tokenizer = tiny_tokenizer(**TOKENIZERS["residual"])
    return SAMPLERS[name](tokenizer).fit(series, y if labeled else None), series


def count_known(X):
    return (~np.isnan(X)).sum(axis=1)


@every_sampler
@pytest.mark.parametrize("labeled", [True, False])
def test_samples_are_as_long_as_training_series(name, labeled):
    sampler, series = fitted_sampler(name, labeled)
    X = sampler.sample(200, random_state=0)
    lengths = count_known(X)
    assert X.shape == (200, sampler.sample_shape_[0])
    assert set(lengths) <= {len(x) for x in series}
    assert len(set(lengths)) > 10
    is_over = np.arange(X.shape[1]) >= lengths[:, None]
    np.testing.assert_array_equal(np.isnan(X), is_over)
    smooth = copy.copy(sampler)
    smooth.texture_ = None
    X = smooth.sample(200, random_state=0)
    np.testing.assert_array_equal(np.isnan(X), is_over)
    tokens = sampler.sample_tokens(200, random_state=0)
    decoded = sampler.tokenizer_.decode(tokens, lengths)
    np.testing.assert_array_equal(decoded, X[:, : decoded.shape[1]])


@every_sampler
def test_samples_are_as_long_as_those_of_their_class(name):
    sampler, _ = fitted_sampler(name, True)
    assert count_known(sampler.sample(20, y=0)).max() < 20
    assert count_known(sampler.sample(20, y=1)).min() >= 35


@every_sampler
def test_likelihood_of_a_series_depends_on_no_other(name):
    sampler, series = fitted_sampler(name, True)
    scores, by_time = sampler.score_samples(series), sampler.score_timepoints(series)
    np.testing.assert_allclose(np.nansum(by_time, axis=1), scores)
    np.testing.assert_array_equal(count_known(by_time), [len(x) for x in series])
    alone = np.concatenate([sampler.score_samples([x]) for x in series])
    np.testing.assert_allclose(alone, scores, rtol=1e-5)


def test_no_place_looks_after_the_end():
    net = MaskedTransformer(5, 7, n_classes=0, dim=8, n_layers=2, n_heads=2).eval()
    tokens = torch.randint(5, (3, 7, 1))
    absent = torch.arange(7) >= torch.tensor([[7], [4], [1]])
    other = torch.where(absent.unsqueeze(-1), 4 - tokens, tokens)
    masked, classes = absent.roll(-1, dims=1) & ~absent, torch.zeros(3).long()
    hidden, again = (net(x, masked, classes, absent) for x in (tokens, other))
    torch.testing.assert_close(hidden[~absent], again[~absent])
    short = MaskedTransformer(5, 4, n_classes=0, dim=8, n_layers=2, n_heads=2).eval()
    state = net.state_dict()
    state["position_embedding"] = state["position_embedding"][:5]
    short.load_state_dict(state)
    alone = short(tokens[1:2, :4], masked[1:2, :4], classes[1:2])
    torch.testing.assert_close(alone[0], hidden[1, :4])


@every_sampler
def test_fillings_and_continuations_reach_the_full_length(name):
    sampler, series = fitted_sampler(name, True)
    n_timepoints = sampler.sample_shape_[0]
    if name == "MaskGITSampler":
        X = padded(series, n_timepoints)
        X[:, 2] = np.nan
        filled = sampler.impute(X)
    else:
        X = np.stack([x[:5] for x in series])
        filled = sampler.extend(X)
    assert filled.shape == (len(series), n_timepoints)
    assert np.isfinite(filled).all()
    known = ~np.isnan(X)
    np.testing.assert_array_equal(filled[:, : X.shape[1]][known], X[known])


@every_sampler
def test_no_likelihood_of_longer_series(name):
    sampler, _ = fitted_sampler(name, True)
    with pytest.raises(ValueError, match="at most"):
        sampler.score_samples([np.ones(sampler.sample_shape_[0] + 1)])


@every_sampler
def test_samplers_learn_from_gaps(name):
    X, y = waves()
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.1] = np.nan
    X[:, -1] = 0.0  # of equal length
    sampler = SAMPLERS[name](tiny_tokenizer()).fit(X, y)
    assert np.isfinite(sampler.sample(3)).all()
    assert np.isfinite(sampler.score_samples(X)).all()
