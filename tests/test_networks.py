"""The causal prior against slow enumeration and sampling without a cache."""

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from sktsrep.networks import CausalPrior

N_CODES, N_TOKENS = 3, 3


def make_prior(n_classes=2, n_codes=N_CODES, n_tokens=N_TOKENS):
    """An untrained prior in double precision, with scores that are far from even."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = dict(n_codes=n_codes, n_tokens=n_tokens, depth=1, n_classes=n_classes)
        width = dict(dim=8, n_layers=2, n_heads=2, unequal=False)
        prior = CausalPrior(**sizes, **width, dropout=0.1, class_dropout=0.1)
        for parameter in prior.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return prior.double().eval()


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def all_series(n_codes=N_CODES, n_tokens=N_TOKENS):
    return torch.tensor(list(itertools.product(range(n_codes), repeat=n_tokens)))


def next_probabilities(prior, prefix, label, temperature=1.0, guidance_scale=1.0):
    """Probabilities of the next token of one series, by whole forward passes."""

    def scores(label):
        padded = prefix + [0] * (prior.transformer.n_places - len(prefix))
        places = torch.tensor([padded]).unsqueeze(-1)
        hidden = prior.transformer(places, torch.tensor([label]))
        return prior.transformer.head(hidden, places)[0, len(prefix), 0]

    without = scores(prior.transformer.n_classes)
    guided = without + guidance_scale * (scores(label) - without)
    return (guided / temperature).softmax(dim=0)


def slow_log_probability(prior, tokens, label, **drawing):
    return sum(
        next_probabilities(prior, tokens[:place], label, **drawing)[token].log()
        for place, token in enumerate(tokens)
    )


def slow_generate(prior, prefix, label, guidance_scale):
    """Take the most probable token, one by one."""
    tokens = list(prefix)
    while len(tokens) < prior.transformer.n_places:
        scale = {"guidance_scale": guidance_scale}
        tokens.append(int(next_probabilities(prior, tokens, label, **scale).argmax()))
    return tokens


@pytest.mark.parametrize("n_classes", [0, 2])
def test_log_likelihood_is_that_of_enumeration_in_nats(n_classes):
    prior, series = make_prior(n_classes), all_series()
    log_likelihood = prior.log_likelihood(series)
    slow = [slow_log_probability(prior, row, n_classes) for row in series.tolist()]
    assert_close(log_likelihood, torch.stack(slow))
    assert_close(log_likelihood.exp().sum().item(), 1.0)


@pytest.mark.parametrize("n_classes", [0, 2])
def test_log_likelihood_of_even_scores(n_classes):
    prior = make_prior(n_classes)
    for parameter in prior.transformer.head.scores.parameters():
        torch.nn.init.zeros_(parameter)
    expected = torch.full((27,), -3 * math.log(3), dtype=torch.float64)
    assert_close(prior.log_likelihood(all_series()), expected)


def test_loss_is_the_negative_mean_log_probability_of_a_token():
    prior, series = make_prior(), all_series()
    classes = torch.arange(len(series)) % 2
    pairs = zip(series.tolist(), classes.tolist(), strict=True)
    slow = torch.stack([slow_log_probability(prior, *pair) for pair in pairs])
    loss = prior(series, classes)["token_loss"]
    assert_close(loss.double(), -slow.mean() / 3, rtol=1e-5, atol=1e-6)


def test_class_dropout_hides_every_class():
    prior, series = make_prior(), all_series()
    prior.class_dropout, classes = 1.0, torch.arange(len(series)) % 2
    for module in prior.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    in_evaluation = prior(series, classes)["token_loss"]
    hidden = prior(series, torch.full_like(classes, 2))["token_loss"]
    in_training = prior.train()(series, classes)["token_loss"]
    assert_close(in_training, hidden)
    assert not torch.allclose(in_evaluation, hidden)


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("n_known", [0, 1, 5, 7])
@pytest.mark.parametrize("n_classes", [0, 2])
def test_drawing_with_a_cache_is_that_without(n_known, guidance_scale, n_classes):
    prior = make_prior(n_classes, n_codes=5, n_tokens=7)
    tokens = torch.randint(5, (6, 7))
    classes = torch.arange(6) % max(n_classes, 1)
    drawn = prior.generate(
        tokens, n_known, classes, temperature=0, guidance_scale=guidance_scale
    )
    rows = zip(tokens[:, :n_known].tolist(), classes.tolist(), strict=True)
    slow = [slow_generate(prior, *row, guidance_scale) for row in rows]
    assert drawn.tolist() == slow


def test_what_follows_the_known_tokens_is_ignored():
    prior = make_prior(n_codes=5, n_tokens=7)
    tokens, classes = torch.randint(5, (4, 7)), torch.zeros(4, dtype=torch.int64)
    others = torch.cat([tokens[:, :2], (tokens[:, 2:] + 1) % 5], dim=1)
    first, second = (
        prior.generate(given, 2, classes, temperature=0, guidance_scale=2.0)
        for given in (tokens, others)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("temperature", "guidance_scale"), [(1.0, 1.0), (0.5, 1.0), (1.0, 2.0), (2.0, 0.0)]
)
def test_series_are_drawn_as_often_as_they_are_probable(temperature, guidance_scale):
    prior, n_draws = make_prior(), 20_000
    drawing = dict(temperature=temperature, guidance_scale=guidance_scale)
    tokens = torch.zeros(n_draws, N_TOKENS, dtype=torch.int64)
    classes = torch.ones(n_draws, dtype=torch.int64)
    drawn = prior.generate(tokens, 0, classes, **drawing)
    index = (drawn * torch.tensor([9, 3, 1])).sum(dim=1)
    frequency = torch.bincount(index, minlength=27).double() / n_draws
    probability = torch.stack(
        [
            slow_log_probability(prior, row, label=1, **drawing).exp()
            for row in all_series().tolist()
        ]
    )
    standard_error = (probability * (1 - probability) / n_draws).sqrt()
    assert ((frequency - probability).abs() <= 4 * standard_error + 1e-4).all()
