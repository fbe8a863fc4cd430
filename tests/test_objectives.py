"""Objectives as scikit-learn parameter objects, and the network around them."""

import pickle
from numbers import Integral, Real

import pytest
import torch
import torch.nn.functional as F
from estimators import KeepNetwork, tiny_encoder, tiny_tokenizer, waves
from sklearn.base import clone
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.testing import assert_close

from sktsrep import functional
from sktsrep.nn import IterNorm, ObjectiveNetwork, Pool
from sktsrep.objectives import (
    BYOL,
    OBJECTIVES,
    BarlowTwins,
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


def run(objective, network, encoder, batch=8):
    """Loss terms of two noisy views of a random batch of series."""
    series = torch.randn(batch, 2, 5)
    views = series + 0.1 * torch.randn(2, batch, 2, 5)
    return objective.losses(network, *(encoder(view) for view in views), *views)


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

    objective, encoder = Forgetful(projector_dim=8), make_encoder()
    with pytest.raises(ValueError, match="must end in '_loss'"):
        run(objective, objective.make_network(encoder, 3), encoder)


def test_an_objective_must_define_its_terms():
    with pytest.raises(TypeError, match="Objective defines no terms"):
        Objective().terms(torch.zeros(2, 2), torch.zeros(2, 2))


# ---------------------------------------------------------------------- joint embedding


@every_objective
@pytest.mark.parametrize("batch", [2, 8])
def test_terms_are_finite_and_train_projector_and_encoder(cls, batch):
    objective, encoder = cls(projector_dim=8), make_encoder()
    network = objective.make_network(encoder, 3)
    terms = run(objective, network, encoder, batch)
    assert all(name.endswith("_loss") for name in terms)
    sum(terms.values()).backward()
    learners = [*encoder.parameters(), *network.projector.parameters()]
    assert all(term.isfinite() and term.shape == () for term in terms.values())
    assert all(parameter.grad.isfinite().all() for parameter in learners)
    assert encoder[0].weight.grad.abs().sum() > 0
    assert network.projector[0].weight.grad.abs().sum() > 0


@every_objective
def test_a_few_steps_lower_the_loss(cls):
    objective, encoder = cls(projector_dim=8), make_encoder()
    network = objective.make_network(encoder, 3)
    learners = {*encoder.parameters(), *network.parameters()}
    optimizer = torch.optim.Adam([p for p in learners if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        loss = sum(run(objective, network, encoder, batch=32).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        network.follow(encoder, progress=0.0)
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


@every_objective
def test_network_pickles(cls):
    network = cls(projector_dim=8).make_network(make_encoder(), 3).eval()
    again, maps = pickle.loads(pickle.dumps(network)), torch.randn(2, 4, 3, 5)
    views = torch.randn(2, 4, 2, 5)
    assert_close(again(*maps, *views), network(*maps, *views))


@every_objective
def test_network_has_what_its_objective_asks_for(cls):
    network = cls(projector_dim=8).make_network(make_encoder(), 3)
    assert (network.target is not None) == (cls is BYOL)
    assert (network.predictor is not None) == (cls is BYOL)
    assert isinstance(network.projector[-1], IterNorm) == (cls is VIbCReg)
    network.follow(make_encoder(), progress=0.5)


@every_objective
def test_network_does_not_register_the_encoder(cls):
    encoder = make_encoder()
    network = cls(projector_dim=8).make_network(encoder, 3)
    assert set(network.parameters()).isdisjoint(encoder.parameters())


@every_objective
def test_network_gives_the_terms_their_projections(cls):
    objective, encoder = cls(projector_dim=8), make_encoder()
    network = objective.make_network(encoder, 3).eval()
    maps, views = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 2, 5)
    projections = network(*maps, *views)
    assert [p.shape for p in projections] == len(projections) * [(4, 8)]
    assert_close(
        objective.losses(network, *maps, *views), objective.terms(*projections)
    )


def test_vibcreg_whitens_in_groups():
    norm = VIbCReg(n_iterations=3, group_size=4, projector_dim=8).make_last_norm()
    assert norm.n_iterations == 3
    assert norm.mean.shape == (2, 4)


def test_losses_leave_autocast():
    objective, encoder = VICReg(projector_dim=8), make_encoder()
    network = objective.make_network(encoder, 3).eval()
    maps, views = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 2, 5)
    plain = objective.losses(network, *maps, *views)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = objective.losses(network, *maps, *views)
    assert mixed == plain


def test_byol_target_gets_no_gradient():
    objective, encoder = BYOL(projector_dim=8), make_encoder()
    network = objective.make_network(encoder, 3)
    sum(run(objective, network, encoder).values()).backward()
    target = list(network.target.parameters())
    assert not any(parameter.requires_grad for parameter in target)
    assert all(parameter.grad is None for parameter in target)
    assert network.predictor[0].weight.grad.abs().sum() > 0


def test_byol_target_starts_where_the_data_put_the_encoder():
    encoder = make_encoder()
    encoder.register_buffer("mean", torch.zeros(3))
    network = BYOL(projector_dim=8).make_network(encoder, 3)
    encoder.mean += 1
    network.start(encoder)
    online = nn.Sequential(encoder, Pool(), network.projector).state_dict()
    assert_close(network.target.module.state_dict(), online)


@pytest.mark.parametrize(
    ("progress", "momentum"), [(0.0, 0.9), (0.5, 0.95), (1.0, 1.0)]
)
def test_byol_target_follows_encoder_and_projector(progress, momentum):
    encoder = make_encoder()
    network = BYOL(momentum=0.9, projector_dim=8).make_network(encoder, 3)
    online = nn.Sequential(encoder, Pool(), network.projector)
    before = [parameter.clone() for parameter in network.target.parameters()]
    for start, parameter in zip(before, online.parameters(), strict=True):
        assert torch.equal(start, parameter)
        nn.init.normal_(parameter)
    network.follow(encoder, progress)
    pairs = zip(before, online.parameters(), network.target.parameters(), strict=True)
    for start, parameter, target in pairs:
        assert_close(target, (momentum * start + (1 - momentum) * parameter).detach())


# ----------------------------------------------------------------- methods of one's own


class Distance(Objective):
    """The shortest method: a loss of two projections."""

    def __init__(self, projector_dim=4):
        self.projector_dim = projector_dim

    def terms(self, z, z_prime):
        return {"distance_loss": (z - z_prime).square().mean()}


class Prototypes(Objective):
    """Predict, at every position, the nearest prototype of the other view."""

    _parameter_constraints = {
        "n_prototypes": [Interval(Integral, 2, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, n_prototypes=5, temperature=0.1):
        self.n_prototypes = n_prototypes
        self.temperature = temperature

    def make_network(self, encoder, n_channels):
        return PrototypeScores(self.n_prototypes, n_channels)

    def terms(self, scores, scores_prime):
        """Compare scores (batch, n_prototypes, time) position by position."""
        target = scores_prime.detach().argmax(dim=1)  # (batch, time)
        agreement = F.cross_entropy(scores / self.temperature, target)
        shares = (scores / self.temperature).softmax(dim=1).mean(dim=(0, 2))
        even = (shares * (len(shares) * shares).log()).sum()
        return {"agreement_loss": agreement, "even_loss": even}


class PrototypeScores(ObjectiveNetwork):
    """Cosines of positions and prototypes, which are learned."""

    def __init__(self, n_prototypes, n_channels):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(n_prototypes, n_channels))

    def forward(self, z, z_prime, view, view_prime):
        directions = F.normalize(self.prototypes, dim=1)
        return tuple(
            torch.einsum("pc,bct->bpt", directions, F.normalize(latent, dim=1))
            for latent in (z, z_prime)
        )


class Contrast(Objective):
    """Tell the other view from maps of earlier steps, which wait in a queue."""

    _parameter_constraints = {"n_waiting": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_waiting=24):
        self.n_waiting = n_waiting

    def make_network(self, encoder, n_channels):
        return Queue(self.n_waiting, n_channels)

    def terms(self, query, key, waiting):
        positive = (query * key).sum(dim=1, keepdim=True)  # (batch, 1)
        scores = torch.cat([positive, query @ waiting.T], dim=1) / 0.2
        return {"contrast_loss": (scores.logsumexp(dim=1) - scores[:, 0]).mean()}


class Queue(ObjectiveNetwork):
    """Normalized means over time of two views, and those of earlier steps."""

    def __init__(self, n_waiting, n_channels):
        super().__init__()
        self.register_buffer("waiting", torch.zeros(n_waiting, n_channels))
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self.newest, self.progress, self.started_with = None, [], None

    def forward(self, z, z_prime, view, view_prime):
        query, key = (F.normalize(latent.mean(dim=2)) for latent in (z, z_prime))
        if self.training:  # others are no steps
            self.newest = key.detach()
        return query, key.detach(), self.waiting.clone()

    def start(self, encoder):
        self.started_with = type(encoder).__name__

    def follow(self, encoder, progress):
        everything = torch.cat([self.newest, self.waiting])
        self.waiting.copy_(everything[: len(self.waiting)])
        self.n_steps += 1
        self.progress.append(progress)


both_estimators = pytest.mark.parametrize("make", [tiny_encoder, tiny_tokenizer])


def test_a_new_method_is_one_class():
    objective, encoder = resolve_objective(Distance()), make_encoder()
    terms = run(objective, objective.make_network(encoder, 3), encoder)
    assert list(terms) == ["distance_loss"]


@both_estimators
def test_a_method_with_parameters_of_its_own_and_losses_on_positions(make):
    X, _ = waves()
    keep, again = KeepNetwork(), KeepNetwork()
    params = {"max_epochs": 20, "lr": 1e-2, "augmentations": "gauss"}
    estimator = make(ssl=Prototypes(3), callbacks=[keep], **params).fit(X)
    prototypes = keep.network.prototypes
    # As many channels as the feature map has: of a tokenizer's latent map, one half.
    assert prototypes.shape == (3, 4 if make is tiny_encoder else 2)
    moved = (prototypes - keep.start.prototypes).abs()
    assert (moved.amax(dim=1) > 1e-3).all()
    history = estimator.history_
    assert history["agreement_loss"].iloc[-1] < history["agreement_loss"].iloc[0]
    assert "even_loss" in history
    make(ssl=Prototypes(3), callbacks=[again], **params).fit(X)
    assert torch.equal(prototypes, again.network.prototypes)


@both_estimators
def test_a_method_with_a_queue(make):
    X, _ = waves()
    keep = KeepNetwork()
    estimator = make(ssl=Contrast(24), max_epochs=4, callbacks=[keep]).fit(X)
    queue = keep.network
    # 40 series in batches of 16: three steps per epoch.
    assert queue.n_steps == 12
    assert_close(queue.progress, [step / 12 for step in range(1, 13)])
    assert queue.started_with == "SpectralEncoder"
    assert_close(queue.waiting.norm(dim=1), torch.ones(24))
    assert torch.equal(queue.waiting[: len(queue.newest)], queue.newest)
    assert "contrast_loss" in estimator.history_


@both_estimators
def test_a_method_of_ones_own_pickles_and_is_checked(make):
    X, _ = waves()
    estimator = make(ssl=Contrast()).fit(X)
    again = pickle.loads(pickle.dumps(estimator))
    assert (again.transform(X) == estimator.transform(X)).all()
    with pytest.raises(ValueError, match="'n_waiting' parameter of Contrast"):
        make(ssl=Contrast(0)).fit(X)
