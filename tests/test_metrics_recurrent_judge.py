"""The judge of published discriminative scores."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import waves
from sklearn.dummy import DummyClassifier

from sktsrep import metrics
from sktsrep.metrics import _recurrent_judge

score = partial(metrics.discriminative_score, protocol="timegan")


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(_recurrent_judge, "_N_STEPS", 100)
    monkeypatch.setattr(_recurrent_judge, "_LR", 0.05)


def pair(n_samples=40, n_channels=2):
    return (
        waves(n_samples, 12, n_channels)[0],
        waves(n_samples, 12, n_channels, seed=1)[0],
    )


@pytest.mark.parametrize(("n_channels", "width"), [(1, 2), (5, 2), (6, 3), (28, 14)])
def test_width(n_channels, width):
    judge = _recurrent_judge._Judge(n_channels)
    assert judge.recurrent.hidden_size == width
    assert judge.recurrent.num_layers == 1
    assert judge(torch.zeros(3, 7, n_channels)).shape == (3,)


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("n_channels", [None, 1, 6])
def test_another_level_is_seen_and_other_real_series_are_not(n_channels):
    X, Y = pair(200, n_channels)
    assert score(X, Y + 3) == 0.5
    assert score(X, Y) < 0.15  # three standard deviations of chance, on 80 series


@pytest.mark.slow
def test_the_published_judge_sees_the_direction_of_time():
    rng = np.random.default_rng(0)
    X, Y = np.linspace(0, 1, 12) + rng.normal(size=(2, 200, 1, 12)) / 4
    assert score(X, Y[..., ::-1]) > 0.45
    assert score(X, Y) < 0.15


@pytest.mark.usefixtures("few_steps")
def test_the_score_is_the_accuracy_on_a_fifth_of_both_kinds():
    X, Y = pair(25)
    for seed in range(2):
        n_right = 10 * (score(X, Y, random_state=seed) + 0.5)
        assert n_right == pytest.approx(round(n_right))
    # An accuracy below 0.5 counts as much as one above.
    assert max(score(X[:5], X[:5], random_state=seed) for seed in range(5)) == 0.5


def test_what_it_learns_from(monkeypatch):
    """2000 steps on 128 series of each kind, or on all; never on test series."""
    batches = []

    def forward(self, x):
        batches.append(x[:, 0, 0].detach())
        return self.output(torch.zeros(len(x), self.output.in_features)).squeeze(-1)

    monkeypatch.setattr(_recurrent_judge._Judge, "forward", forward)
    for n, n_train, size in ((200, 160, 128), (20, 16, 16)):
        batches.clear()
        numbers = np.arange(2.0 * n)  # each series is its number, then scaled
        real, generated = numbers[0::2, None, None], numbers[1::2, None, None]
        assert score(real, generated) == 0
        *training, test_real, test_generated = batches
        assert len(training) == 2000
        assert len(test_real) == len(test_generated) == n - n_train
        tested = set(torch.cat([test_real, test_generated]).tolist())
        trained = set()
        for batch in training:
            kinds = [set(half.tolist()) for half in batch.chunk(2)]
            assert [len(kind) for kind in kinds] == [size, size]
            trained |= kinds[0] | kinds[1]
        assert len(trained) == 2 * n_train
        assert trained.isdisjoint(tested)


@pytest.mark.usefixtures("few_steps")
def test_same_seed_same_score():
    X, Y = pair()
    scores = [score(X, Y, random_state=seed) for seed in (0, 0, 1, 2)]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1
    rng = np.random.RandomState(0)
    assert score(X, Y, random_state=rng) == scores[0]
    assert rng.randint(9999) != np.random.RandomState(0).randint(9999)


@pytest.mark.usefixtures("few_steps")
def test_torch_is_left_as_it_was():
    X, Y = pair()
    expected = score(X, Y + 0.1)
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
            assert score(X, Y + 0.1) == expected
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("few_steps")
def test_series_of_any_kind_and_number():
    X, Y = pair()
    Y = Y + 0.1
    expected = score(X, Y)
    assert score(*(torch.tensor(x, requires_grad=True) for x in (X, Y))) == expected
    flat = score(X[:, 0], Y[:, 0])
    assert score(X[:, :1], Y[:, 0]) == flat
    assert score(*(pd.DataFrame(x[:, 0]) for x in (X, Y))) == flat
    assert 0 <= score(X, Y[:7]) <= 0.5
    assert score(X[:2], Y[:2]) in {0.0, 0.5}
    with pytest.raises(ValueError, match="X_generated has 1 samples"):
        score(X, Y[:1])


@pytest.mark.usefixtures("few_steps")
def test_offset_and_scale_of_a_channel_make_no_difference():
    X, Y = pair()
    expected = score(X, Y + 0.1)
    scale, offset = np.array([[4.0], [0.25]]), np.array([[-3.0], [128.0]])
    moved = (x * scale + offset for x in (X, Y + 0.1))
    assert score(*moved) == pytest.approx(expected, abs=0.07)  # float32 rounds
    for exponent in (-1000, 900):
        assert score(*(np.ldexp(x, exponent) for x in (X, Y + 0.1))) == expected


@pytest.mark.usefixtures("few_steps")
def test_constant_channels_and_values_far_from_real_ones():
    X, Y = pair(100)
    X[:, 1], Y[:, 1] = 7.0, 7 + 1e-6 * Y[:, 1]
    assert score(X, Y) < 0.25
    assert score(np.zeros_like(X), np.zeros_like(X)) == 0
    assert score(X, 1e9 * Y) == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scale in (1e20, 1e300):
            with pytest.raises(ValueError, match="rescale X_generated"):
                score(X, scale * Y)
        with pytest.raises(ValueError, match="rescale X_generated"):
            score(1e-300 * X, 1e300 * Y)


def test_arguments_of_the_other_protocol():
    X, Y = pair()
    for params in ({"classifier": DummyClassifier()}, {"cv": 3}):
        with pytest.raises(ValueError, match="without classifier and cv"):
            score(X, Y, **params)
    with pytest.raises(ValueError, match="protocol must be 'convolutions' or 'timegan"):
        metrics.discriminative_score(X, Y, protocol="gru")
    with pytest.raises(ValueError, match="cv must be"):
        score(X, Y, cv=0)
