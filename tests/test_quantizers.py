"""Quantizers as scikit-learn parameter objects, and what a tokenizer makes of them."""

import pickle

import numpy as np
import pytest
import torch
from estimators import tiny_autoregressive, tiny_sampler, tiny_tokenizer, waves
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from sktsrep import SSLVQTokenizer
from sktsrep.metrics import codebook_usage, perplexity
from sktsrep.nn import QuantizerModule
from sktsrep.plotting import CodebookDisplay, DecodingDisplay
from sktsrep.quantizers import (
    FSQ,
    QUANTIZERS,
    Codebook,
    EMACodebook,
    GradientCodebook,
    Quantizer,
    ResidualVQ,
    resolve_quantizer,
)

TINY = {
    "ema_codebook": EMACodebook(8, dim=4),
    "fsq": FSQ((3, 3), dim=4),
    "gradient_codebook": GradientCodebook(8, dim=4, orthogonal_weight=0.1),
    "residual_vq": ResidualVQ(3, EMACodebook(8, dim=4), dropout=0.5),
}
N_CODES = {"ema_codebook": 8, "fsq": 9, "gradient_codebook": 8, "residual_vq": 24}
every_quantizer = pytest.mark.parametrize("name", QUANTIZERS)


# --------------------------------------------------------------------------- parameters


@every_quantizer
def test_parameters_are_those_of_scikit_learn(name):
    quantizer = QUANTIZERS[name]()
    names = list(quantizer.get_params(deep=False))
    for i, parameter in enumerate(names):
        quantizer.set_params(**{parameter: i + 2})
    expected = {parameter: i + 2 for i, parameter in enumerate(names)}
    assert quantizer.get_params(deep=False) == expected
    assert clone(quantizer).get_params(deep=False) == expected
    again = pickle.loads(pickle.dumps(quantizer))
    assert again.get_params(deep=False) == expected


@every_quantizer
def test_every_parameter_has_a_rule(name):
    cls = QUANTIZERS[name]
    assert set(cls._parameter_constraints) == set(cls().get_params(deep=False))


@every_quantizer
def test_a_name_stands_for_the_defaults(name):
    quantizer = resolve_quantizer(name)
    assert type(quantizer) is QUANTIZERS[name]
    assert quantizer.get_params() == QUANTIZERS[name]().get_params()
    assert resolve_quantizer(quantizer) is quantizer


@pytest.mark.parametrize(
    ("quantizer", "match"),
    [
        (EMACodebook(1), "'n_codes' parameter of EMACodebook"),
        (EMACodebook(2**31), "'n_codes' parameter of EMACodebook"),
        (EMACodebook("many"), "'n_codes' parameter of EMACodebook"),
        (EMACodebook(dim=0), "'dim' parameter of EMACodebook"),
        (EMACodebook(init="zeros"), "'init' parameter of EMACodebook"),
        (EMACodebook(decay=1.0), "'decay' parameter of EMACodebook"),
        (EMACodebook(commitment_weight=-1), "'commitment_weight' parameter"),
        (GradientCodebook(orthogonal_weight=-1), "'orthogonal_weight' parameter"),
        (GradientCodebook(revival_threshold=1.0), "'revival_threshold' parameter"),
        (FSQ(()), "'levels' parameter of FSQ"),
        (FSQ(5), "'levels' parameter of FSQ"),
        (FSQ((8, 1)), "'levels' parameter of FSQ"),
        (FSQ((8, 5.0)), "'levels' parameter of FSQ"),
        (FSQ((8, True)), "'levels' parameter of FSQ"),
        (FSQ(("8", "5")), "'levels' parameter of FSQ"),
        (FSQ((2048, 2048, 512)), "'levels' parameter of FSQ must make at most"),
        (FSQ(dim=0), "'dim' parameter of FSQ"),
        (ResidualVQ(0), "'depth' parameter of ResidualVQ"),
        (ResidualVQ(1.5), "'depth' parameter of ResidualVQ"),
        (ResidualVQ(dropout=1.5), "'dropout' parameter of ResidualVQ"),
        (ResidualVQ(codebook=FSQ()), "'codebook' parameter of ResidualVQ"),
        (ResidualVQ(codebook=EMACodebook(1)), "'n_codes' parameter of EMACodebook"),
        (
            ResidualVQ(2, EMACodebook(2**31 - 1)),
            "'depth' parameter of ResidualVQ must make at most",
        ),
        ("kohonen_map", "'quantizer' parameter of SSLVQTokenizer"),
        (3, "'quantizer' parameter of SSLVQTokenizer"),
    ],
    ids=repr,
)
def test_impossible_parameters_are_refused_before_any_work(quantizer, match):
    tokenizer = tiny_tokenizer(quantizer=quantizer)
    with pytest.raises(ValueError, match=match):
        tokenizer.fit(waves()[0])
    assert not hasattr(tokenizer, "sample_shape_")


def test_an_unknown_name_says_which_are_known():
    with pytest.raises(ValueError, match="residual_vq"):
        resolve_quantizer("residual")


@pytest.mark.parametrize("cls", [Quantizer, Codebook])
def test_a_base_makes_no_module(cls):
    with pytest.raises(TypeError, match="defines no make_module"):
        cls().make_module(100, 4)


@pytest.mark.parametrize(("n_samples", "n_codes"), [(499, 128), (500, 512)])
@pytest.mark.parametrize("cls", [EMACodebook, GradientCodebook])
def test_auto_codes(cls, n_samples, n_codes):
    module = cls().make_module(n_samples, 4)
    assert module.codebook.shape == (n_codes, 128)
    residual = ResidualVQ(2, cls()).make_module(n_samples, 4)
    assert residual.codebook.shape == (2 * n_codes, 128)


@pytest.mark.parametrize(("n_values", "depth"), [(4, 8), (40, 8), (41, 9), (999, 32)])
def test_auto_depth_grows_with_what_a_place_stands_for(n_values, depth):
    codebook = EMACodebook(4, dim=2)
    module = ResidualVQ(codebook=codebook).make_module(100, n_values)
    assert module.codebook.shape == (4 * depth, 2)
    module = ResidualVQ(3, codebook).make_module(100, n_values)
    assert module.depth == 3


def test_many_channels_have_more_tokens():
    X = np.random.default_rng(0).normal(size=(12, 30, 16))
    tokenizer = tiny_tokenizer(quantizer=ResidualVQ(codebook=EMACodebook(4, dim=4)))
    depths = [tokenizer.fit(part).token_shape_[1] for part in (X[:, :3], X)]
    n_places = tokenizer.token_shape_[0]
    assert depths == [8, -(-30 * 16 // n_places // 5)]


def test_levels_may_be_an_array():
    assert FSQ(np.array([3, 2])).make_module(1, 4).n_codes == 6


# ----------------------------------------------------------------- all four, downstream


@pytest.fixture(scope="module", params=QUANTIZERS)
def fitted(request):
    X, y = waves(dtype=np.float32)
    tokenizer = tiny_tokenizer(quantizer=TINY[request.param]).fit(X)
    return request.param, tokenizer, X, y


def test_tokens_have_their_layout(fitted):
    name, tokenizer, X, _ = fitted
    tokens = tokenizer.encode(X)
    n_places, depth = tokenizer.token_shape_
    assert depth == (3 if name == "residual_vq" else 1)
    assert tokens.shape == (len(X), n_places * depth)
    assert len(tokenizer.codebook_) == N_CODES[name]
    # Tokens of a place stand side by side, each in its own codebook.
    n_codes = N_CODES[name] // depth
    levels = tokens.reshape(len(X), n_places, depth) // n_codes
    np.testing.assert_array_equal(
        levels, np.broadcast_to(np.arange(depth), (levels.shape))
    )


def test_codes_of_a_place_add_up_to_what_is_decoded(fitted):
    _, tokenizer, X, _ = fitted
    tokens = tokenizer.encode(X)
    codes = tokenizer.codebook_[tokens]  # (samples, tokens, dim)
    places = codes.reshape(len(X), *tokenizer.token_shape_, -1).sum(axis=2)
    module = tokenizer.net_.module_.eval()
    z_q = module.quantizer.lookup(torch.tensor(tokens)).movedim(1, -1)
    np.testing.assert_allclose(places, z_q.detach(), atol=1e-5)


def test_decoding_inverts_what_can_be_inverted(fitted):
    _, tokenizer, X, _ = fitted
    reconstructed = tokenizer.reconstruct(X)
    assert (reconstructed.shape, reconstructed.dtype) == (X.shape, X.dtype)
    np.testing.assert_array_equal(tokenizer.decode(tokenizer.encode(X)), reconstructed)
    scores = tokenizer.score_samples(X)
    assert (scores < 0).all()
    assert np.isfinite(tokenizer.transform(X)).all()


@pytest.mark.parametrize("maker", [tiny_sampler, tiny_autoregressive])
def test_samplers_take_every_quantizer(fitted, maker):
    name, tokenizer, X, y = fitted
    sampler = maker(FrozenEstimator(tokenizer)).fit(X, y)
    assert sampler.n_codes_ == N_CODES[name]
    assert sampler.sample(3, y=1).shape == (3, X.shape[1])
    assert np.isfinite(sampler.score_samples(X)).all()
    hidden = X[:4].copy()
    hidden[:, 30:] = np.nan
    if maker is tiny_sampler:
        filled = sampler.impute(hidden, n_candidates=2, random_state=0)
    else:
        filled = sampler.extend(X[:4, :30], random_state=0)
    np.testing.assert_array_equal(filled[:, :30], X[:4, :30])
    assert np.isfinite(filled).all()


def test_metrics_and_displays_take_every_quantizer(fitted):
    name, tokenizer, X, y = fitted
    tokens = tokenizer.encode(X)
    assert 1 <= perplexity(tokens) <= N_CODES[name]
    assert 0 < codebook_usage(tokens, len(tokenizer.codebook_)) <= 1
    display = CodebookDisplay.from_estimator(tokenizer, X)
    assert display.usage.shape == (N_CODES[name],)
    display = DecodingDisplay.from_estimator(
        tiny_sampler(FrozenEstimator(tokenizer)).fit(X, y), y=0, random_state=0
    )
    assert display.tokens.shape[1] == tokens.shape[1]


@every_quantizer
def test_fits_repeat_and_pickle(name):
    X, _ = waves()
    tokenizer = tiny_tokenizer(quantizer=TINY[name])
    expected = clone(tokenizer).fit(X).encode(X)
    again = pickle.loads(pickle.dumps(clone(tokenizer).fit(X)))
    np.testing.assert_array_equal(again.encode(X), expected)


def test_search_inside_a_quantizer_and_among_quantizers():
    X, _ = waves()
    grid = [
        {"quantizer": [ResidualVQ(1, EMACodebook(8, dim=4))], "quantizer__depth": [1]},
        {
            "quantizer": [ResidualVQ(1, EMACodebook(8, dim=4))],
            "quantizer__codebook__n_codes": [4, 8],
        },
        {"quantizer": [FSQ((3, 3), dim=4), FSQ((5, 5), dim=4)]},
    ]
    search = GridSearchCV(tiny_tokenizer(), grid, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 5


@every_quantizer
def test_every_quantizer_learns_to_reconstruct(name):
    X, _ = waves(n_samples=80)
    larger = {
        "ema_codebook": EMACodebook(32, dim=16),
        "fsq": FSQ((8, 6, 5), dim=16),
        "gradient_codebook": GradientCodebook(32, dim=16),
        "residual_vq": ResidualVQ(2, EMACodebook(32, dim=16)),
    }
    tokenizer = tiny_tokenizer(
        quantizer=larger[name], hidden_dim=16, max_epochs=40, lr=3e-3, ssl=None
    ).fit(X[:60])
    assert tokenizer.score(X[60:]) > -0.5  # where a variance of 1 is lost
    usage = codebook_usage(tokenizer.encode(X[:60]), len(tokenizer.codebook_))
    assert usage > 0.2


def test_more_codebooks_reconstruct_better():
    X, _ = waves(n_samples=80)
    score = {
        depth: tiny_tokenizer(
            quantizer=ResidualVQ(depth, EMACodebook(8, dim=8)),
            ssl=None,
            hidden_dim=16,
            max_epochs=40,
            lr=3e-3,
        )
        .fit(X[:60])
        .score(X[60:])
        for depth in (1, 4)
    }
    assert score[4] > 0.8 * score[1]  # scores are negative


def test_dropout_puts_more_into_the_first_codebook():
    X, _ = waves(n_samples=80)

    def coarse_error(dropout):
        tokenizer = tiny_tokenizer(
            quantizer=ResidualVQ(3, EMACodebook(8, dim=8), dropout=dropout),
            ssl=None,
            hidden_dim=16,
            max_epochs=60,
            lr=3e-3,
        ).fit(X)
        module = tokenizer.net_.module_.eval()
        x = torch.tensor(X[:, None] / X.std(), dtype=torch.float32)
        first = module.quantizer.quantizers[0]
        with torch.no_grad():
            z_q = first.lookup(first.encode(module.latent(x)))
            return (
                (module.decode(z_q, x.shape[-1])[1][..., :50] - x)
                .square()
                .mean()
                .item()
            )

    assert coarse_error(1.0) < 0.8 * coarse_error(0.0)


# ----------------------------------------------------------- one class and one module


class Signs(QuantizerModule):
    """A token per place: which of the first components are positive."""

    def __init__(self, n_signs, dim):
        super().__init__(2**n_signs, dim)
        self.n_signs = n_signs
        self.out = nn.Linear(n_signs, dim)

    @property
    def codebook(self):
        tokens = torch.arange(self.n_codes).unsqueeze(-1)
        return self.out((tokens >> torch.arange(self.n_signs)) % 2 * 2.0 - 1)

    def _signs(self, z):
        return z.movedim(1, -1)[..., : self.n_signs].tanh()

    def encode(self, z):
        return ((self._signs(z) > 0) << torch.arange(self.n_signs)).sum(dim=-1)

    def quantize(self, z):
        soft = self._signs(z)
        hard = soft + (torch.where(soft > 0, 1.0, -1.0) - soft).detach()
        return self.out(hard).movedim(-1, 1), self.encode(z), {}


class SignQuantizer(Quantizer):
    def __init__(self, n_signs=3, dim=4):
        self.n_signs = n_signs
        self.dim = dim

    def make_module(self, n_samples, n_values):
        return Signs(self.n_signs, self.dim)


def test_a_strangers_quantizer_is_one_class_and_one_module():
    X, y = waves()
    tokenizer = tiny_tokenizer(quantizer=SignQuantizer()).fit(X)
    assert tokenizer.codebook_.shape == (8, 4)
    assert tokenizer.encode(X).max() < 8
    assert tiny_sampler(FrozenEstimator(tokenizer)).fit(X, y).sample(2).shape == (2, 50)
    assert isinstance(clone(tokenizer), SSLVQTokenizer)
