"""Every function against a slow formula, its invariances and its gradient."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.signal import ShortTimeFFT, check_NOLA, get_window
from torch.autograd import gradcheck
from torch.distributions import Normal, kl_divergence

from sktsrep.functional import (
    MASK_SCHEDULES,
    barlow_twins_terms,
    byol_terms,
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    cosine_momentum,
    effective_rank,
    gaussian_kl,
    gaussian_nll,
    istft,
    iterative_normalization,
    mask_fraction,
    masked_cross_entropy,
    n_masked_tokens,
    nt_xent_terms,
    orthogonal_loss,
    perplexity,
    random_token_mask,
    remask,
    sample_categorical,
    stft,
    vibcreg_terms,
    vicreg_terms,
)
from sktsrep.functional.joint_embedding import _squared_norm_of_product

seeds = st.integers(0, 2**32 - 1)
small = st.integers(1, 9)
schedules = pytest.mark.parametrize("schedule", MASK_SCHEDULES)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=generator(seed))


# --------------------------------------------------------------- self-supervised losses


def slow_off_diagonal(matrix):
    """Sum of the squares off the diagonal, one entry at a time."""
    n = len(matrix)
    return sum(matrix[i, j] ** 2 for i in range(n) for j in range(n) if i != j)


def slow_barlow_twins(z, z_prime):
    def standardise(x):
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    z, z_prime = standardise(z), standardise(z_prime)
    correlation = sum(np.outer(a, b) for a, b in zip(z, z_prime, strict=True)) / len(z)
    return {
        "invariance_loss": sum((1 - c) ** 2 for c in correlation.diagonal()),
        "redundancy_loss": 5e-3 * slow_off_diagonal(correlation),
    }


def slow_hinge(z):
    deviations = np.sqrt(z.var(axis=0, ddof=1) + 1e-4)
    return sum(max(0, 1 - s) for s in deviations) / len(deviations)


def slow_invariance_and_variance(z, z_prime):
    squares = [(a - b) ** 2 for a, b in zip(z.flat, z_prime.flat, strict=True)]
    return {
        "invariance_loss": 25 * sum(squares) / len(squares),
        "variance_loss": 25 * (slow_hinge(z) + slow_hinge(z_prime)),
    }


def slow_vicreg(z, z_prime):
    def covariance(x):
        matrix = np.cov(x, rowvar=False).reshape(x.shape[1], -1)
        return slow_off_diagonal(matrix) / x.shape[1]

    return {
        **slow_invariance_and_variance(z, z_prime),
        "covariance_loss": covariance(z) + covariance(z_prime),
    }


def slow_vibcreg(z, z_prime):
    def decorrelation(x):
        matrix = np.corrcoef(x, rowvar=False).reshape(x.shape[1], -1)
        return slow_off_diagonal(matrix) / x.shape[1] ** 2

    return {
        **slow_invariance_and_variance(z, z_prime),
        "covariance_loss": 200 * (decorrelation(z) + decorrelation(z_prime)),
    }


def slow_cosine(a, b):
    return a @ b / math.sqrt((a @ a) * (b @ b))


def slow_byol(prediction, prediction_prime, target, target_prime):
    def distance(p, t):
        return sum(2 - 2 * slow_cosine(*pair) for pair in zip(p, t, strict=True))

    total = distance(prediction, target_prime) + distance(prediction_prime, target)
    return {"similarity_loss": total / len(prediction)}


def slow_nt_xent(z, z_prime):
    rows, batch = np.concatenate([z, z_prime]), len(z)

    def nats(i):
        score = [math.exp(slow_cosine(rows[i], row) / 0.5) for row in rows]
        return -math.log(score[(i + batch) % (2 * batch)] / (sum(score) - score[i]))

    return {"contrastive_loss": sum(nats(i) for i in range(2 * batch)) / (2 * batch)}


SLOW = {
    barlow_twins_terms: slow_barlow_twins,
    vicreg_terms: slow_vicreg,
    vibcreg_terms: slow_vibcreg,
    byol_terms: slow_byol,
    nt_xent_terms: slow_nt_xent,
}
every_loss = pytest.mark.parametrize("loss", SLOW, ids=lambda loss: loss.__name__)
HADAMARD = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)


def draw_views(loss, batch=6, features=4, seed=0, dtype=torch.float64):
    """Correlated views, as many as the loss takes (BYOL also takes two targets)."""
    n_views = 4 if loss is byol_terms else 2
    common = normal(batch, features, seed=seed, dtype=dtype)
    return list(common + normal(n_views, batch, features, seed=seed + 1, dtype=dtype))


def total(loss, views):
    return sum(loss(*views).values())


@every_loss
@given(batch=st.integers(2, 9), features=small, seed=seeds)
def test_loss_is_the_slow_formula(loss, batch, features, seed):
    views = draw_views(loss, batch, features, seed)
    terms, expected = loss(*views), SLOW[loss](*(view.numpy() for view in views))
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert_allclose(terms[name], value, rtol=1e-7, atol=1e-7, err_msg=name)


@every_loss
@given(seed=seeds)
def test_loss_ignores_the_order_of_the_batch(loss, seed):
    views = draw_views(loss, seed=seed)
    order = torch.randperm(6, generator=generator(seed))
    assert_allclose(total(loss, [view[order] for view in views]), total(loss, views))


@every_loss
@given(seed=seeds)
def test_loss_ignores_the_order_of_the_views(loss, seed):
    views = draw_views(loss, seed=seed)
    swapped = [view for i in range(0, len(views), 2) for view in views[i : i + 2][::-1]]
    assert_allclose(total(loss, swapped), total(loss, views))


@pytest.mark.parametrize("loss", [byol_terms, nt_xent_terms])
@given(seed=seeds)
def test_cosine_losses_ignore_rotation_and_length(loss, seed):
    views = draw_views(loss, seed=seed)
    rotation = torch.linalg.qr(normal(4, 4, seed=seed)).Q
    length = normal(6, 1, seed=seed).exp()
    changed = [length * view @ rotation for view in views]
    assert_allclose(total(loss, changed), total(loss, views))


@pytest.mark.parametrize("loss", [barlow_twins_terms, vicreg_terms, vibcreg_terms])
def test_covariance_losses_ignore_a_common_shift(loss):
    views = draw_views(loss)
    shifted = [view + normal(4, seed=3) for view in views]
    assert_allclose(total(loss, shifted), total(loss, views))


@given(seed=seeds)
def test_correlations_ignore_the_scale_of_features(seed):
    views = draw_views(barlow_twins_terms, seed=seed)
    scale = normal(4, seed=seed).exp()
    scaled = [scale * view for view in views]

    def terms(views):
        barlow_twins = barlow_twins_terms(*views, eps=0.0)
        return *barlow_twins.values(), vibcreg_terms(*views)["covariance_loss"]

    assert_allclose(terms(scaled), terms(views))


@pytest.mark.parametrize(
    ("loss", "views", "value"),
    [
        (barlow_twins_terms, [HADAMARD] * 2, 0),
        (barlow_twins_terms, [HADAMARD, -HADAMARD], 2 * (1 + 1) ** 2),
        (vicreg_terms, [HADAMARD] * 2, 0),
        (vicreg_terms, [torch.zeros(4, 2)] * 2, 2 * 25 * (1 - 0.01)),
        (vibcreg_terms, [HADAMARD] * 2, 0),
        (byol_terms, [HADAMARD] * 4, 0),
        (byol_terms, [HADAMARD] * 2 + [-HADAMARD] * 2, 8),
        (nt_xent_terms, [torch.ones(4, 2)] * 2, math.log(7)),
        (nt_xent_terms, [torch.eye(4)] * 2, math.log(1 + 6 * math.exp(-2))),
    ],
)
def test_loss_at_known_points(loss, views, value):
    assert_allclose(total(loss, views), value, atol=2e-4)


@every_loss
@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_loss_gradient_by_finite_differences(loss, shape):
    views = draw_views(loss, *shape)
    for view in views[:2]:
        view.requires_grad_()
    assert gradcheck(lambda *views: tuple(loss(*views).values()), views)


DEGENERATE = {
    "batch of one": normal(1, 4),
    "batch of two": normal(2, 4),
    "duplicated rows": normal(1, 4).repeat(6, 1),
    "constant feature": normal(6, 4) * torch.tensor([1, 0, 1, 1]) + 0.1,
    "zeros": torch.zeros(6, 4),
}


@every_loss
@pytest.mark.parametrize("z", DEGENERATE.values(), ids=DEGENERATE)
def test_loss_gradient_is_finite(loss, z):
    views = [z.float().requires_grad_() for _ in draw_views(loss)]
    value = total(loss, views)
    value.backward()
    assert value.isfinite()
    assert all(view.grad.isfinite().all() for view in views[:2])


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_keeps_the_dtype(loss, dtype):
    terms = loss(*draw_views(loss, dtype=dtype))
    assert {(term.dtype, term.shape) for term in terms.values()} == {(dtype, ())}


@pytest.mark.parametrize("loss", [barlow_twins_terms, vicreg_terms, vibcreg_terms])
def test_loss_of_a_collapsed_batch_has_no_correlations(loss):
    """Rounding of the mean of a constant must not pass for a correlated signal."""
    z = torch.tensor([0.1, 0.7, -0.3, 1 / 3]).repeat(7, 1)
    name = "redundancy_loss" if loss is barlow_twins_terms else "covariance_loss"
    assert_allclose(loss(z, z)[name], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "changed"),
    [
        (vicreg_terms, "invariance"),
        (vicreg_terms, "variance"),
        (vicreg_terms, "covariance"),
        (vibcreg_terms, "invariance"),
        (vibcreg_terms, "variance"),
        (vibcreg_terms, "covariance"),
        (barlow_twins_terms, "redundancy"),
    ],
)
def test_weight_multiplies_its_own_term_only(loss, changed):
    views = [0.3 * view for view in draw_views(loss)]
    unit, triple = (loss(*views, **{f"{changed}_weight": w}) for w in (1.0, 3.0))
    ratio = {name: float(triple[name] / unit[name]) for name in unit}
    expected = {name: 3.0 if name == f"{changed}_loss" else 1.0 for name in unit}
    assert ratio == pytest.approx(expected)


def test_byol_gives_no_gradient_to_its_targets():
    views = [view.requires_grad_() for view in draw_views(byol_terms)]
    total(byol_terms, views).backward()
    assert [view.grad is None for view in views] == [False, False, True, True]


def test_nt_xent_at_low_temperature_finds_the_partner():
    z = torch.eye(4)
    cold, warm = (nt_xent_terms(z, z, t)["contrastive_loss"] for t in (0.05, 1.0))
    assert cold < 1e-6 < warm


@given(batch=small, features=small, seed=seeds)
def test_gram_shortcut_takes_either_side(batch, features, seed):
    a, b = normal(2, batch, features, seed=seed)
    padding = a.new_zeros(features, features)  # turns the wide case into the tall one
    tall = _squared_norm_of_product(torch.cat([a, padding]), torch.cat([b, padding]))
    expected = np.linalg.norm(a.numpy().T @ b.numpy()) ** 2
    assert_allclose([_squared_norm_of_product(a, b), tall], expected)


# ---------------------------------------------------------------------------- whitening


def distance_to_white(z):
    identity = torch.eye(z.shape[-1], dtype=z.dtype)
    return float((z.mT @ z / len(z) - identity).norm())


@given(seed=seeds)
def test_more_iterations_whiten_better(seed):
    z = normal(40, 5, seed=seed) @ normal(5, 5, seed=seed + 1) + 3
    assume(np.linalg.cond((z - z.mean(dim=0)).numpy()) < 30)
    distances = [
        distance_to_white(iterative_normalization(z, n, eps=0.0)[0])
        for n in (0, 5, 10, 30)
    ]
    assert all(b < a + 1e-9 for a, b in itertools.pairwise(distances))
    assert distances[-1] < 1e-6


def test_whitening_reaches_the_inverse_square_root():
    z = normal(40, 3) @ normal(3, 3, seed=1) + 3
    whitened, mean, whitening = iterative_normalization(z, 40, eps=0.0)
    values, vectors = np.linalg.eigh(np.cov(z.numpy(), rowvar=False, bias=True))
    assert_allclose(mean, z.mean(dim=0))
    root = vectors / np.sqrt(values) @ vectors.T
    assert_allclose(whitening, root, rtol=1e-6)
    assert_allclose(whitened, (z - mean) @ whitening)


def test_whitening_of_groups_is_apart():
    groups = normal(2, 3, 10, 4) * torch.arange(1, 7).view(2, 3, 1, 1)
    together = iterative_normalization(groups)
    for i, j in itertools.product(range(2), range(3)):
        alone = iterative_normalization(groups[i, j])
        for part, expected in zip(together, alone, strict=True):
            assert_allclose(part[i, j], expected)


@pytest.mark.parametrize("z", DEGENERATE.values(), ids=DEGENERATE)
def test_whitening_gradient_is_finite(z):
    z = z.float().requires_grad_()
    whitened, _, _ = iterative_normalization(z)
    whitened.square().sum().backward()
    assert whitened.dtype == torch.float32
    assert whitened.isfinite().all()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("base", [0.0, 0.9, 0.99, 1.0])
def test_cosine_momentum_grows_from_base_to_one(base):
    values = [cosine_momentum(p, base) for p in np.linspace(0, 1, 11)]
    assert values == sorted(values)
    assert (values[0], values[5], values[-1]) == pytest.approx(
        (base, (1 + base) / 2, 1)
    )


# ------------------------------------------------------------------ vector quantisation


@given(seed=seeds, n_codes=small, dim=small, shape=st.lists(small, max_size=2))
def test_lookup_is_the_nearest_code(seed, n_codes, dim, shape):
    z, codebook = normal(*shape, dim, seed=seed), normal(n_codes, dim, seed=seed + 1)
    tokens = codebook_lookup(z, codebook)
    distance = (z.unsqueeze(-2) - codebook).square().sum(dim=-1)
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, distance.argmin(dim=-1))


def test_lookup_takes_the_first_of_equal_codes():
    codebook = torch.tensor([[9.0, 9], [1, 2], [1, 2], [-1, 2], [1, 2]])
    assert codebook_lookup(torch.tensor([[1.0, 2], [0, 2]]), codebook).tolist() == [
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("loss", "learner"), [(codebook_loss, 1), (commitment_loss, 0)]
)
def test_quantisation_losses(loss, learner):
    pair = [normal(2, 3, seed=seed).requires_grad_() for seed in (1, 2)]
    difference = (pair[learner] - pair[1 - learner]).detach()
    value = loss(*pair)
    value.backward()
    assert_allclose(value.detach(), difference.square().mean())
    assert_allclose(pair[learner].grad, 2 * difference / 6)
    assert pair[1 - learner].grad is None


@given(n_codes=small, dim=small, seed=seeds)
def test_orthogonal_loss_is_the_slow_formula(n_codes, dim, seed):
    codebook = normal(n_codes, dim, seed=seed)
    pairs = itertools.product(enumerate(codebook.numpy()), repeat=2)
    expected = sum((slow_cosine(a, b) - (i == j)) ** 2 for (i, a), (j, b) in pairs)
    assert_allclose(orthogonal_loss(codebook), expected / n_codes**2, atol=1e-12)


def test_orthogonal_loss_at_known_points_and_its_gradient():
    codebook = normal(3, 4).requires_grad_()
    assert gradcheck(orthogonal_loss, codebook)
    assert_allclose(orthogonal_loss(5 * torch.eye(4)), 0)
    assert_allclose(orthogonal_loss(torch.ones(4, 2)), 12 / 16, rtol=1e-6)


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_perplexity_is_the_exponential_of_the_entropy(counts):
    expected = math.exp(stats.entropy(counts)) if any(counts) else 1
    assert_allclose(perplexity(torch.tensor(counts)), expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_perplexity_ignores_the_scale_of_the_counts(scale):
    assert_allclose(perplexity(scale * torch.ones(5)), 5, rtol=1e-5)


@pytest.mark.parametrize(
    ("variances", "rank"),
    [([1, 1, 1, 1], 4), ([2, 2, 0, 0], 2), ([0, 0, 7, 0], 1), ([0, 0, 0, 0], 0)],
)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_effective_rank_counts_directions(variances, rank, scale):
    covariance = scale * torch.diag(torch.tensor(variances, dtype=torch.float64))
    rotation = torch.linalg.qr(normal(4, 4)).Q
    assert_allclose(effective_rank(covariance), rank)
    assert_allclose(effective_rank(rotation @ covariance @ rotation.T), rank, rtol=1e-5)


def test_effective_rank_from_the_singular_values_of_the_data():
    x = normal(30, 5) * torch.arange(1, 6)
    singular = np.linalg.svd((x - x.mean(dim=0)).numpy(), compute_uv=False)
    expected = math.exp(stats.entropy(singular))
    assert_allclose(effective_rank(x.T.cov()), expected)


# ------------------------------------------------------------- variational auto-encoder


def test_gaussian_kl_against_torch_and_monte_carlo():
    mean, log_variance = normal(2, 3, 4)
    posterior = Normal(mean, (log_variance / 2).exp())
    prior = Normal(torch.zeros_like(mean), 1.0)
    noise = normal(50_000, 3, 4, seed=1)
    draws = mean + posterior.stddev * noise
    ratio = (posterior.log_prob(draws) - prior.log_prob(draws)).sum(dim=-1)
    error = ratio.std(dim=0) / math.sqrt(len(ratio))
    exact = gaussian_kl(mean, log_variance)
    assert_allclose(exact, kl_divergence(posterior, prior).sum(dim=-1))
    assert ((ratio.mean(dim=0) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize("shape", [(5, 3, 4), (3, 4), (5, 1, 1), ()])
def test_gaussian_nll_against_scipy(shape):
    x, mean = normal(2, 5, 3, 4)
    log_variance = normal(*shape, seed=1)
    density = stats.norm(mean.numpy(), np.exp(log_variance.numpy() / 2)).logpdf(x)
    assert_allclose(gaussian_nll(x, mean, log_variance), -density.sum(axis=(1, 2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gaussian_functions_keep_the_dtype(dtype):
    x, mean, log_variance = normal(3, 5, 4, dtype=dtype)
    assert gaussian_kl(mean, log_variance).dtype == dtype
    assert gaussian_nll(x, mean, log_variance).dtype == dtype


def test_gaussian_gradients_by_finite_differences():
    x, mean, log_variance = (part.requires_grad_() for part in normal(3, 2, 3).unbind())
    assert gradcheck(gaussian_kl, (mean, log_variance))
    assert gradcheck(gaussian_nll, (x, mean, log_variance))


# --------------------------------------------------------------------- masked modelling

MEAN_SHARE = dict(
    cosine=2 / math.pi, linear=1 / 2, square=2 / 3, cubic=3 / 4, sqrt=1 / 3
)


@schedules
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mask_fraction_falls_from_one_to_zero(schedule, dtype):
    share = mask_fraction(torch.linspace(0, 1, 101, dtype=dtype), schedule)
    assert share.dtype == dtype
    assert (share.diff() < 0).all()
    assert share[0] == 1
    assert 0 <= share[-1] < 1e-15
    assert_allclose(share.mean(), MEAN_SHARE[schedule], atol=0.01)


def test_mask_fraction_names_the_schedules():
    with pytest.raises(ValueError, match="cosine"):
        mask_fraction(torch.zeros(1), "cosin")


@schedules
@given(n_steps=st.integers(1, 30), n_tokens=st.integers(0, 40))
def test_n_masked_tokens_follows_the_schedule(schedule, n_steps, n_tokens):
    start = torch.tensor([n_tokens])
    for step in range(1, n_steps):
        left = n_masked_tokens(step, n_steps, start, start, schedule)
        share = float(mask_fraction(torch.tensor(step / n_steps).double(), schedule))
        wanted = {math.floor(share * n_tokens + slip) for slip in (-1e-6, 0, 1e-6)}
        assert int(left) in {max(min(max(n, 1), n_tokens - 1), 0) for n in wanted}
    assert n_masked_tokens(n_steps, n_steps, start, start, schedule) == 0


@schedules
def test_random_token_mask_follows_the_schedule(schedule):
    mask = random_token_mask(4000, 50, schedule, generator=generator())
    share = mask.double().mean()
    assert mask.dtype == torch.bool
    assert mask.any(dim=1).all()
    assert_allclose(share, MEAN_SHARE[schedule] + 0.5 / 50, atol=0.02)
    assert_allclose(mask.double().mean(dim=0), share, atol=0.04)  # no favourite place
    assert len(mask.sum(dim=1).unique()) > 30  # a ratio of its own for every row


@given(n_samples=st.integers(0, 5), n_tokens=small, seed=seeds)
def test_random_token_mask_has_a_masked_token_in_every_row(n_samples, n_tokens, seed):
    draws = [
        random_token_mask(n_samples, n_tokens, generator=generator(seed))
        for _ in range(2)
    ]
    assert draws[0].shape == (n_samples, n_tokens)
    assert draws[0].any(dim=1).all()
    assert torch.equal(*draws)


@given(seed=seeds, n_tokens=small, n_codes=small)
def test_masked_cross_entropy_is_the_mean_over_masked_places(seed, n_tokens, n_codes):
    logits = normal(3, n_tokens, n_codes, seed=seed)
    tokens = torch.randint(n_codes, (3, n_tokens), generator=generator(seed))
    mask = random_token_mask(3, n_tokens, generator=generator(seed))
    expected = F.cross_entropy(logits[mask], tokens[mask])
    assert_allclose(masked_cross_entropy(logits, tokens, mask), expected, atol=1e-12)


def test_masked_cross_entropy_gives_no_gradient_to_visible_places():
    logits = normal(3, 5, 4).requires_grad_()
    mask = random_token_mask(3, 5, generator=generator())
    tokens = torch.zeros(3, 5, dtype=torch.int64)
    masked_cross_entropy(logits, tokens, mask).backward()
    assert torch.equal(logits.grad.abs().sum(dim=-1) > 0, mask)


@given(seed=seeds, hidden=st.sets(st.integers(0, 5), max_size=5))
def test_sample_categorical_never_draws_the_impossible(seed, hidden):
    logits = normal(200, 6, seed=seed)
    logits[:, list(hidden)] = -torch.inf
    tokens, log_probability = sample_categorical(logits, generator=generator(seed))
    assert hidden.isdisjoint(tokens.tolist())
    expected = logits.log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    assert_allclose(log_probability, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sample_categorical_frequencies(dtype):
    probability = torch.tensor([1 / 2, 0, 1 / 4, 1 / 8, 1 / 16, 1 / 16], dtype=dtype)
    logits = probability.log().expand(16_000, 6) + 5
    tokens, log_probability = sample_categorical(logits, generator=generator())
    counts, expected = tokens.bincount(minlength=6), 16_000 * probability
    assert log_probability.dtype == torch.float64
    assert counts[1] == 0
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_sample_categorical_takes_any_leading_shape(shape):
    logits = normal(6, *shape).movedim(0, -1)  # not contiguous
    tokens, log_probability = sample_categorical(logits, generator=generator())
    assert tokens.shape == log_probability.shape == shape


@given(seed=seeds, n_tokens=small, temperature=st.sampled_from([0.0, 1.0, 10.0]))
def test_remask_masks_exactly_so_many_unknown_tokens(seed, n_tokens, temperature):
    source = generator(seed)
    unknown = torch.rand(4, n_tokens, generator=source) < 0.7
    n_masked = (unknown.sum(dim=1) * torch.rand(4, generator=source)).round().long()
    log_probability = -torch.rand(4, n_tokens, dtype=torch.float64, generator=source)
    masked = remask(log_probability, unknown, n_masked, temperature, generator=source)
    assert torch.equal(masked.sum(dim=1), n_masked)
    assert not (masked & ~unknown).any()


def test_remask_without_noise_masks_the_least_confident():
    log_probability = torch.tensor([[-3.0, -1, -2, -9]], dtype=torch.float64)
    unknown = torch.tensor([[True, True, True, False]])
    masked = remask(log_probability, unknown, torch.tensor([2]))
    assert masked.tolist() == [[True, False, True, False]]


def test_remask_noise_is_gumbel():
    """The maximum of log p + Gumbel noise is a draw from p: it alone is kept."""
    probability = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    log_probability = probability.log().expand(5000, 3)
    unknown = torch.ones(5000, 3, dtype=torch.bool)
    n_masked = torch.full((5000,), 2)
    masked = remask(log_probability, unknown, n_masked, 1.0, generator=generator())
    kept = (~masked).sum(dim=0)
    assert stats.chisquare(kept, 5000 * probability).pvalue > 1e-3


@schedules
@given(n_tokens=st.integers(1, 20), n_steps=st.integers(1, 25), seed=seeds)
def test_decoding_ends_with_no_token_masked(schedule, n_tokens, n_steps, seed):
    source = generator(seed)
    unknown = torch.rand(3, n_tokens, generator=source) < 0.8
    n_start = unknown.sum(dim=1)
    for step in range(1, n_steps + 1):
        before = unknown
        n_masked = n_masked_tokens(step, n_steps, n_start, before.sum(dim=1), schedule)
        _, log_p = sample_categorical(torch.zeros(3, n_tokens, 4), generator=source)
        unknown = remask(log_p, before, n_masked, 1.0, generator=source)
        assert (unknown <= before).all()
        assert ((unknown.sum(dim=1) < before.sum(dim=1)) | ~before.any(dim=1)).all()
    assert not unknown.any()


# ---------------------------------------------------------------- time-frequency domain


@st.composite
def windows(draw):
    """``n_fft``, ``hop_length`` and a Hann window that inverts without blowing up."""
    n_fft = draw(st.integers(2, 16))
    hop_length = draw(st.integers(1, n_fft - 1))
    window = get_window("hann", n_fft)
    assume(check_NOLA(window, n_fft, n_fft - hop_length, tol=1e-4))
    return n_fft, hop_length, torch.from_numpy(window)


@given(
    parameters=windows(), n_timepoints=st.integers(1, 80), channels=st.integers(1, 3)
)
def test_stft_round_trip_is_exact(parameters, n_timepoints, channels):
    x = normal(2, channels, n_timepoints)
    spectrogram = stft(x, *parameters)
    n_fft, hop_length, _ = parameters
    n_frames = 1 + math.ceil(n_timepoints / hop_length)
    assert spectrogram.shape == (2, channels, n_fft // 2 + 1, n_frames)
    assert_allclose(istft(spectrogram, *parameters, n_timepoints), x, atol=1e-9)


@given(parameters=windows(), n_hops=st.integers(1, 8))
def test_stft_of_whole_hops_is_that_of_torch_and_scipy(parameters, n_hops):
    n_fft, hop_length, window = parameters
    x = normal(2, 1, n_hops * hop_length)
    theirs = torch.stft(
        x[:, 0],
        n_fft,
        hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    scipy = ShortTimeFFT(window.numpy(), hop_length, fs=1, phase_shift=None)
    frames = scipy.stft(np.pad(x, [(0, 0), (0, 0), (0, n_fft)]), p0=0, p1=n_hops + 1)
    ours = stft(x, *parameters)
    n_frames = theirs.shape[-1]  # torch leaves out the last one when n_fft is odd
    assert_allclose(ours[:, 0, :, :n_frames], theirs, atol=1e-12)
    assert_allclose(ours, frames, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stft_keeps_the_precision(dtype):
    window = torch.hann_window(8, dtype=dtype)
    spectrogram = stft(normal(1, 1, 7, dtype=dtype), 8, 2, window)
    assert spectrogram.real.dtype == dtype
    assert istft(spectrogram, 8, 2, window, 7).dtype == dtype


def test_stft_gradient_by_finite_differences():
    window = torch.hann_window(4, dtype=torch.float64)
    x = normal(1, 1, 5).requires_grad_()
    assert gradcheck(lambda x: stft(x, 4, 2, window), x)
    assert gradcheck(
        lambda x: istft(stft(x, 4, 2, window).abs() + 0j, 4, 2, window, 5), x
    )
