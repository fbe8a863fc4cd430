"""Losses of two views: slow formulas, invariances and gradients."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from tensors import generator, normal, seeds, small
from torch.autograd import gradcheck

from sktsrep.functional import (
    barlow_twins_terms,
    byol_terms,
    cosine_momentum,
    effective_rank,
    iterative_normalization,
    nt_xent_terms,
    vibcreg_terms,
    vicreg_terms,
)
from sktsrep.functional.joint_embedding import _squared_norm_of_product


def slow_off_diagonal(matrix):
    """Sum of the squares off the diagonal, one entry at a time."""
    n = len(matrix)
    return sum(matrix[i, j] ** 2 for i in range(n) for j in range(n) if i != j)


def slow_barlow_twins(z, z_prime):
    def standardize(x):
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    z, z_prime = standardize(z), standardize(z_prime)
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
    """Draw as many correlated views as the loss takes (BYOL also takes two targets)."""
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
    """Rounding errors in the mean of a constant must not look like correlation."""
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
    padding = a.new_zeros(features, features)  # makes the wide case tall
    tall = _squared_norm_of_product(torch.cat([a, padding]), torch.cat([b, padding]))
    expected = np.linalg.norm(a.numpy().T @ b.numpy()) ** 2
    assert_allclose([_squared_norm_of_product(a, b), tall], expected)


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


def test_groups_are_whitened_separately():
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
