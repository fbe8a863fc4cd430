"""Tests of which series a training holds out."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktsrep._holdout import held_out_rows, n_held_out
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

UNSUPERVISED = [
    tiny_tokenizer,
    tiny_encoder,
    tiny_vae,
    lambda **p: tiny_sampler(tiny_tokenizer(), **p),
    lambda **p: tiny_autoregressive(tiny_tokenizer(), **p),
]
CLASSIFIERS = [tiny_fcn, lambda **p: tiny_classifier(tiny_encoder(), **p)]
MAKERS = UNSUPERVISED + CLASSIFIERS


def windows(recording, length, step):
    starts = range(0, len(recording) - length + 1, step)
    return np.stack([recording[i : i + length] for i in starts])


@given(st.integers(1, 10**7), st.booleans())
def test_a_training_part_is_left(n_samples, early_stopping):
    if early_stopping and n_samples == 1:
        with pytest.raises(ValueError, match="train set will be empty"):
            n_held_out(n_samples, "auto", early_stopping)
        return
    n_valid = n_held_out(n_samples, "auto", early_stopping)
    assert 0 <= n_valid <= max(1, n_samples // 9)
    assert early_stopping or n_valid <= 64


@pytest.mark.parametrize(
    ("share", "early_stopping", "n_valid"),
    [
        ("auto", False, 20),
        ("auto", True, 40),
        (0.2, False, 80),
        (0.2, True, 80),
        (1e-9, False, 1),
        (None, False, 0),
    ],
)
def test_number_of_held_out_series(share, early_stopping, n_valid):
    assert n_held_out(400, share, early_stopping) == n_valid


@pytest.mark.parametrize("maker", UNSUPERVISED)
def test_a_few_of_many_series_are_watched(maker):
    X, y = waves(n_samples=300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = maker(batch_size=150).fit(X, y)
    assert np.isfinite(model.history_["valid_loss"]).all()
    assert "valid_loss" not in maker().fit(X[:299], y[:299]).history_


@pytest.mark.parametrize("maker", CLASSIFIERS)
def test_classifiers_train_on_every_label_unless_told_otherwise(maker):
    X, y = waves(n_samples=300)
    assert "valid_loss" not in maker().fit(X, y).history_
    for parameters in ({"validation_fraction": 0.1}, {"early_stopping": True}):
        assert "valid_loss" in maker(**parameters).fit(X, y).history_


@pytest.mark.parametrize("maker", MAKERS)
def test_early_stopping_needs_held_out_series(maker):
    X, y = waves()
    model = maker(early_stopping=True, validation_fraction=None)
    with pytest.raises(ValueError, match="must not be None"):
        model.fit(X, y)
    assert not hasattr(model, "net_")


@pytest.mark.parametrize("share", [0, 1, 1.5, "all"])
def test_validation_fraction_is_a_share(share):
    with pytest.raises(ValueError, match="'validation_fraction' parameter"):
        tiny_tokenizer(validation_fraction=share).fit(waves()[0])


@pytest.mark.parametrize("step", [1, 8, 30])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_the_end_of_a_recording_is_held_out_where_windows_overlap(step, n_channels):
    recording = np.random.default_rng(0).normal(size=(1000, n_channels))
    X = windows(recording, 32, step).swapaxes(1, 2)
    for seed in range(5):
        rows = held_out_rows(X, 8, np.random.RandomState(seed))
        assert rows.tolist() == list(range(len(X) - 8, len(X)))


@pytest.mark.parametrize("step", [32, 40])
def test_random_series_are_held_out_where_windows_are_apart(step):
    recording = np.random.default_rng(0).normal(size=2000)
    recording[::3] = 0.0  # chance matches
    rows = held_out_rows(windows(recording, 32, step), 8, np.random.RandomState(0))
    assert len(set(rows)) == 8
    assert set(np.diff(rows)) != {1}


def test_constant_and_lone_series_do_not_count_as_overlapping():
    constant = np.zeros((40, 16))
    rows = held_out_rows(constant, 8, np.random.RandomState(0))
    assert set(np.diff(rows)) != {1}
    assert held_out_rows(constant[:1], 0, np.random.RandomState(0)).tolist() == []


def test_tokenizer_and_prior_hold_out_the_same_series(monkeypatch):
    chosen = []

    def record(*args):
        chosen.append(held_out_rows(*args).tolist())
        return np.array(chosen[-1])

    monkeypatch.setattr("sktsrep._base.held_out_rows", record)
    tiny_sampler(tiny_tokenizer(), max_epochs=1).fit(waves(300)[0])
    first, second = chosen
    assert first == second
    assert len(first) == 15
