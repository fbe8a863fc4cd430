"""Objectives as scikit-learn parameter objects, and the network around them."""

import pickle

import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.testing import assert_close

from sktsrep import functional
from sktsrep.nn import IterNorm, Pool
from sktsrep.objectives import (
    BYOL,
    OBJECTIVES,
    BarlowTwins,
    JointEmbedding,
    Objective,
    SimCLR,
    VIbCReg,
    VICReg,
    resolve_objective,
)

every_objective = pytest.mark.parametrize("cls", OBJECTIVES.values(), ids=OBJECTIVES)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def make_encoder():
    return nn.Sequential(nn.Conv1d(2, 3, kernel_size=1), nn.Tanh())


def run(head, encoder, batch=8):
    """Loss terms of two noisy views of a random batch of series."""
    series = torch.randn(batch, 2, 5)
    views = series + 0.1 * torch.randn(2, batch, 2, 5)
    return head(*(encoder(view) for view in views), *views)


# --------------------------------------------------------------------------- parameters


@every_objective
def test_parameters_are_those_of_scikit_learn(cls):
    objective = cls()
    names = objective.get_params()
    for i, name in enumerate(names):
        objective.set_params(**{name: i + 2})
    expected = {name: i + 2 for i, name in enumerate(names)}
    assert objective.get_params() == expected
    assert clone(objective).get_params() == expected
    assert pickle.loads(pickle.dumps(objective)).get_params() == expected


@every_objective
def test_every_parameter_has_a_rule(cls):
    assert set(cls._parameter_constraints) == set(cls().get_params())


@pytest.mark.parametrize(
    "objective",
    [
        BarlowTwins(redundancy_weight=-1.0),
        BarlowTwins(projector_dim=0),
        VICReg(invariance_weight="a"),
        VICReg(variance_weight=None),
        VICReg(covariance_weight=-0.1),
        VIbCReg(covariance_weight=float("-inf")),
        VIbCReg(n_iterations=0),
        VIbCReg(n_iterations=1.5),
        BYOL(momentum=1.1),
        BYOL(similarity_weight=-1),
        SimCLR(temperature=0.0),
        SimCLR(contrastive_weight=-1),
        SimCLR(projector_dim=2.5),
    ],
    ids=repr,
)
def test_bad_parameters_are_rejected(objective):
    with pytest.raises(ValueError, match=f"of {type(objective).__name__} must be"):
        resolve_objective(objective)


@pytest.mark.parametrize(("name", "cls"), OBJECTIVES.items())
def test_a_name_stands_for_the_defaults(name, cls):
    objective = resolve_objective(name)
    assert type(objective) is cls
    assert objective.get_params() == cls().get_params()


def test_an_objective_stands_for_itself():
    objective = SimCLR(temperature=0.2)
    assert resolve_objective(objective) is objective
    assert resolve_objective(None) is None


def test_an_unknown_name_says_which_are_known():
    with pytest.raises(ValueError, match="vicreg"):
        resolve_objective("vicregg")


# --------------------------------------------------------------------------- loss terms


@pytest.mark.parametrize(
    ("objective", "function", "keywords"),
    [
        (BarlowTwins(0.3), "barlow_twins_terms", dict(redundancy_weight=0.3)),
        (SimCLR(0.3), "nt_xent_terms", dict(temperature=0.3)),
        *(
            (
                cls(2.0, 3.0, 4.0),
                f"{cls.__name__.lower()}_terms",
                dict(invariance_weight=2.0, variance_weight=3.0, covariance_weight=4.0),
            )
            for cls in (VICReg, VIbCReg)
        ),
    ],
    ids=repr,
)
def test_parameters_reach_the_loss(objective, function, keywords):
    views = torch.randn(2, 8, 4)
    assert_close(
        objective.terms(*views), getattr(functional, function)(*views, **keywords)
    )


@pytest.mark.parametrize(
    ("cls", "name", "n_views"),
    [(BYOL, "similarity", 4), (SimCLR, "contrastive", 2)],
)
def test_single_terms_have_a_weight(cls, name, n_views):
    views = torch.randn(n_views, 8, 4)
    once, thrice = (cls(**{f"{name}_weight": w}).terms(*views) for w in (1.0, 3.0))
    assert_close(thrice[f"{name}_loss"], 3 * once[f"{name}_loss"])


def test_names_of_terms_end_in_loss():
    class Forgetful(SimCLR):
        def terms(self, z, z_prime):
            return {"similarity": (z - z_prime).square().mean()}

    encoder, view = nn.Conv1d(1, 3, kernel_size=1), torch.randn(4, 1, 6)
    head = JointEmbedding(Forgetful(projector_dim=8), encoder, 3)
    with pytest.raises(ValueError, match="must end in '_loss'"):
        head(encoder(view), encoder(view), view, view)


def test_an_objective_must_define_its_terms():
    with pytest.raises(TypeError, match="Objective defines no terms"):
        Objective().terms(torch.zeros(2, 2), torch.zeros(2, 2))


# ---------------------------------------------------------------------- joint embedding


@every_objective
@pytest.mark.parametrize("batch", [2, 8])
def test_terms_are_finite_and_train_projector_and_encoder(cls, batch):
    encoder = make_encoder()
    head = JointEmbedding(cls(projector_dim=8), encoder, 3)
    terms = run(head, encoder, batch)
    assert all(name.endswith("_loss") for name in terms)
    sum(terms.values()).backward()
    learners = [*encoder.parameters(), *head.projector.parameters()]
    assert all(term.isfinite() and term.shape == () for term in terms.values())
    assert all(parameter.grad.isfinite().all() for parameter in learners)
    assert encoder[0].weight.grad.abs().sum() > 0
    assert head.projector[0].weight.grad.abs().sum() > 0


@every_objective
def test_a_few_steps_lower_the_loss(cls):
    encoder = make_encoder()
    head = JointEmbedding(cls(projector_dim=8), encoder, 3)
    learners = {*encoder.parameters(), *head.parameters()}
    optimizer = torch.optim.Adam([p for p in learners if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        loss = sum(run(head, encoder, batch=32).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        head.follow(encoder, progress=0.0)
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


@every_objective
def test_head_pickles(cls):
    encoder = make_encoder()
    head = JointEmbedding(cls(projector_dim=8), encoder, 3).eval()
    again, maps = pickle.loads(pickle.dumps(head)), torch.randn(2, 4, 3, 5)
    views = torch.randn(2, 4, 2, 5)
    assert_close(again(*maps, *views), head(*maps, *views))


@every_objective
def test_head_has_what_its_objective_asks_for(cls):
    head = JointEmbedding(cls(projector_dim=8), make_encoder(), 3)
    assert (head.target is not None) == (cls is BYOL)
    assert (head.predictor is not None) == (cls is BYOL)
    assert isinstance(head.projector[-1], IterNorm) == (cls is VIbCReg)
    head.follow(make_encoder(), progress=0.5)


def test_vibcreg_whitens_in_groups():
    norm = VIbCReg(n_iterations=3, group_size=4, projector_dim=8).make_last_norm()
    assert norm.n_iterations == 3
    assert norm.mean.shape == (2, 4)


def test_a_new_method_is_one_class():
    class Distance(Objective):
        def __init__(self, projector_dim=4):
            self.projector_dim = projector_dim

        def terms(self, z, z_prime):
            return {"distance_loss": (z - z_prime).square().mean()}

    encoder = make_encoder()
    head = JointEmbedding(resolve_objective(Distance()), encoder, 3)
    assert list(run(head, encoder)) == ["distance_loss"]


def test_byol_target_gets_no_gradient():
    encoder = make_encoder()
    head = JointEmbedding(BYOL(projector_dim=8), encoder, 3)
    sum(run(head, encoder).values()).backward()
    assert not any(parameter.requires_grad for parameter in head.target.parameters())
    assert all(parameter.grad is None for parameter in head.target.parameters())
    assert head.predictor[0].weight.grad.abs().sum() > 0


def test_byol_target_starts_where_the_data_put_the_encoder():
    encoder = make_encoder()
    encoder.register_buffer("mean", torch.zeros(3))
    head = JointEmbedding(BYOL(projector_dim=8), encoder, 3)
    encoder.mean += 1
    head.start(encoder)
    online = nn.Sequential(encoder, Pool(), head.projector).state_dict()
    assert_close(head.target.module.state_dict(), online)


@pytest.mark.parametrize(
    ("progress", "momentum"), [(0.0, 0.9), (0.5, 0.95), (1.0, 1.0)]
)
def test_byol_target_follows_encoder_and_projector(progress, momentum):
    encoder = make_encoder()
    head = JointEmbedding(BYOL(momentum=0.9, projector_dim=8), encoder, 3)
    online = nn.Sequential(encoder, Pool(), head.projector)
    before = [parameter.clone() for parameter in head.target.parameters()]
    for start, parameter in zip(before, online.parameters(), strict=True):
        assert torch.equal(start, parameter)
        nn.init.normal_(parameter)
    head.follow(encoder, progress)
    pairs = zip(before, online.parameters(), head.target.parameters(), strict=True)
    for start, parameter, target in pairs:
        assert_close(target, (momentum * start + (1 - momentum) * parameter).detach())
