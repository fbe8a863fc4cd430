"""SSLEncoder: every objective, collapse is seen, learning."""

import numpy as np
import pytest
from estimators import KeepNetwork, tiny_encoder, tiny_tokenizer, waves
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktsrep import STFTTransformer
from sktsrep.objectives import BYOL, OBJECTIVES, BarlowTwins, VICReg
from sktsrep.quantizers import EMACodebook


@pytest.mark.parametrize("ssl", [*OBJECTIVES, VICReg(covariance_weight=2.0)])
def test_every_objective_trains_the_encoder(ssl):
    X, _ = waves()
    encoder = tiny_encoder(ssl=ssl, lr=1e-2).fit(X)
    untrained = tiny_encoder(ssl=ssl, max_epochs=0).fit(X)
    moved = [
        (a - b).abs().max().item()
        for a, b in zip(
            encoder.net_.module_.encoder.parameters(),
            untrained.net_.module_.encoder.parameters(),
            strict=True,
        )
    ]
    assert min(moved) > 1e-5  # every weight of the encoder gets a gradient
    assert np.isfinite(encoder.transform(X)).all()


def test_byol_target_follows_the_encoder():
    X, _ = waves()
    keep = KeepNetwork()
    encoder = tiny_encoder(ssl=BYOL(momentum=0.0), callbacks=[keep]).fit(X)
    target = keep.network.target.module[0]  # encoder, pool, projector
    online = encoder.net_.module_.encoder.state_dict()
    # Momentum grows to 1: the target ends between the start and the online network.
    gap = max(
        (v - online[k]).abs().max().item() for k, v in target.state_dict().items()
    )
    assert 0 < gap < 0.1


@pytest.mark.parametrize("level", ["all", "latent"])
def test_levels(level):
    X, _ = waves()
    encoder = tiny_encoder(level=level).fit(X)
    assert encoder.transform(X).shape[1] == len(encoder.get_feature_names_out())


def test_series_and_spectrograms_give_the_same_model():
    X, _ = waves()
    spectrogram = STFTTransformer(device="cpu").fit_transform(X)
    np.testing.assert_array_equal(
        tiny_encoder().fit_transform(X), tiny_encoder().fit_transform(spectrogram)
    )


def test_history_shows_rank_and_spread():
    history = tiny_encoder().fit(waves()[0]).history_
    assert history["effective_rank"].between(1, 8).all()
    assert (history["feature_std"] > 0).all()


def pull_everything_together():
    return VICReg(invariance_weight=1e3, variance_weight=0, covariance_weight=0)


FREE_CODES = {"ssl_weight": 1e3, "quantizer": EMACodebook(8, 4, commitment_weight=0.0)}


@pytest.mark.parametrize(
    ("make", "params"), [(tiny_encoder, {}), (tiny_tokenizer, FREE_CODES)]
)
def test_collapse_warns(make, params):
    X, _ = waves()
    strong = {"max_epochs": 30, "lr": 3e-2, "augmentations": "slice"}
    estimator = make(ssl=pull_everything_together(), **strong, **params)
    with pytest.warns(ConvergenceWarning, match="embeddings collapsed") as caught:
        estimator.fit(X)
    assert caught[0].filename == __file__


def test_no_objective_is_an_error():
    with pytest.raises(ValueError, match="'ssl' parameter"):
        tiny_encoder(ssl=None).fit(waves()[0])


def test_bad_objective_parameters():
    with pytest.raises(ValueError, match="'redundancy_weight' parameter"):
        tiny_encoder(ssl=BarlowTwins(redundancy_weight=-1)).fit(waves()[0])


@pytest.mark.parametrize("ssl", OBJECTIVES)
def test_learns_to_tell_classes_apart(ssl):
    X, y = waves(n_samples=120)
    encoder = tiny_encoder(
        ssl=ssl, hidden_dim=16, augmentations="gauss", max_epochs=12, lr=3e-3
    )
    probe = make_pipeline(encoder, LogisticRegression(C=100)).fit(X[:80], y[:80])
    assert probe.score(X[80:], y[80:]) > 0.9
