"""Training on a GPU: recorded steps, agreement with the CPU, and the way back."""

import pickle
import random

import numpy as np
import pytest
import torch
from estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback

import sktsrep
from sktsrep._training import net as net_module
from sktsrep._training.graphs import RecordedSteps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

CUDA = {"device": "cuda", "random_state": 0, "max_epochs": 12}
TRAININGS = {
    **{
        f"tokenizer-{ssl}": lambda ssl=ssl: tiny_tokenizer(ssl=ssl, **CUDA)
        for ssl in (None, "vibcreg", "byol", "barlow_twins", "vicreg", "simclr")
    },
    **{
        quantizer: lambda quantizer=quantizer: tiny_tokenizer(
            quantizer=quantizer, ssl=None, **CUDA
        )
        for quantizer in ("residual_vq", "ema_codebook", "gradient_codebook", "fsq")
    },
    "amp": lambda: tiny_tokenizer(amp=True, **CUDA),
    "held out": lambda: tiny_encoder(early_stopping=30, **CUDA),
    "encoder": lambda: tiny_encoder(**CUDA),
    "vae": lambda: tiny_vae(**CUDA),
    "maskgit": lambda: tiny_sampler(tiny_tokenizer(**CUDA), **CUDA),
    "autoregressive": lambda: tiny_autoregressive(tiny_tokenizer(**CUDA), **CUDA),
    "classifier": lambda: tiny_classifier(
        tiny_encoder(**CUDA), freeze_epochs=6, **CUDA
    ),
    "fcn": lambda: tiny_fcn(**CUDA),
}


class Replays(Callback):
    """Counts the kinds of steps that were recorded."""

    def on_train_end(self, net, **kwargs):
        kinds = net.recorded_steps_.kinds.values() if net.recorded_steps_ else []
        self.n_recorded = sum(hasattr(kind, "graph") for kind in kinds)


@pytest.mark.parametrize("name", TRAININGS)
def test_replayed_steps_are_those_that_were_recorded(name, monkeypatch):
    X, y = waves(n_samples=48)
    replays = Replays()
    recorded = TRAININGS[name]().set_params(callbacks=[replays]).fit(X, y)
    assert replays.n_recorded > 0
    monkeypatch.setattr(net_module, "can_be_recorded", lambda net: False)
    eager = TRAININGS[name]().set_params(callbacks=[replays]).fit(X, y)
    assert replays.n_recorded == 0
    names = [name for name in recorded.history_ if name.endswith("_loss")]
    found, expected = (e.history_[names].to_numpy(float) for e in (recorded, eager))
    # Sums on a GPU have no fixed order, and trainings part slowly.
    np.testing.assert_allclose(found[:5], expected[:5], rtol=0.05, atol=0.02)
    assert np.median(np.abs(found - expected) / np.abs(expected)) < 0.02


@pytest.mark.parametrize("name", ["encoder", "held out", "vae", "classifier", "fcn"])
def test_series_that_stay_on_the_host_are_trained_on(name, monkeypatch):
    X, y = waves(n_samples=48)
    X[3, 10:20] = np.nan
    replays = Replays()
    on_device = TRAININGS[name]().fit(X, y)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 1))
    on_host = TRAININGS[name]().set_params(callbacks=[replays]).fit(X, y)
    assert replays.n_recorded > 0
    # Batches are drawn by another generator, so losses are as good but not the same.
    found, expected = (e.history_["train_loss"] for e in (on_host, on_device))
    assert abs(found.iloc[-1] - expected.iloc[-1]) < 0.3 * abs(expected.iloc[0])


def test_series_of_many_lengths_are_trained_on():
    X, _ = waves(n_samples=48)
    rng = np.random.default_rng(0)
    for row, length in zip(X, rng.integers(20, 50, len(X)), strict=True):
        row[length:] = np.nan
    encoder = tiny_encoder(**CUDA).fit(X)
    assert np.isfinite(encoder.transform(X)).all()


def test_what_others_do_in_a_step_is_not_recorded():
    X, _ = waves()
    replays = Replays()
    tiny_encoder(
        augmentations=["gauss", lambda x: x * random.random()],
        callbacks=[replays],
        **CUDA,
    ).fit(X)
    assert replays.n_recorded == 0


def test_steps_that_wait_are_not_recorded():
    weight = torch.nn.Parameter(torch.ones((), device="cuda"))
    optimizer = torch.optim.AdamW([weight], fused=True, capturable=True)
    steps = RecordedSteps(optimizer, [weight])

    def step(batch):
        optimizer.zero_grad()
        loss = weight * batch[0].sum().item()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "y_pred": {}}

    x = torch.ones(3, device="cuda")
    losses = [steps(step, (i * x,))["loss"].item() for i in range(9)]
    assert not any(hasattr(kind, "graph") for kind in steps.kinds.values())
    assert losses[8] > losses[7] > losses[6] > 0


def test_learning_rates_of_replays_are_those_of_the_schedule():
    X, _ = waves(n_samples=48)
    slow = tiny_encoder(**{**CUDA, "max_epochs": 40}, lr=1e-3).fit(X)
    last = slow.history_["train_loss"].to_numpy()[-5:]
    assert np.ptp(last) < 0.5 * np.ptp(slow.history_["train_loss"])


def on_cpu(estimator, path):
    """Save an estimator, and open it on the CPU."""
    estimator.save(path)
    moved = sktsrep.load(path)
    for part in (moved, getattr(moved, "tokenizer_", None)):
        if part is not None:
            part.net_.set_params(device="cpu")
            part.net_.module_.cpu()
    return moved


def test_cpu_and_gpu_agree(tmp_path):
    X, y = waves(n_samples=200, n_timepoints=128)
    encoder = tiny_encoder(**CUDA).fit(X)
    expected = encoder.transform(X)
    found = on_cpu(encoder, tmp_path / "encoder").transform(X)
    # Shares of time above a threshold jump.
    error = np.abs(found - expected) / np.abs(expected).max()
    assert np.quantile(error, 0.99) < 2e-3

    tokenizer = tiny_tokenizer(quantizer="residual_vq", **CUDA).fit(X)
    moved = on_cpu(tokenizer, tmp_path / "tokenizer")
    tokens = tokenizer.encode(X)
    assert (moved.encode(X) == tokens).mean() > 0.98
    np.testing.assert_allclose(
        moved.decode(tokens), tokenizer.decode(tokens), atol=0.01
    )

    sampler = tiny_sampler(FrozenEstimator(tokenizer), **CUDA).fit(X, y)
    scores = sampler.score_samples(X)
    moved = on_cpu(sampler, tmp_path / "sampler")
    assert np.corrcoef(moved.score_samples(X), scores)[0, 1] > 0.98
    assert sampler.sample(9, random_state=0).shape == (9, 128)


def test_a_pickle_is_that_of_a_trained_net():
    X, _ = waves(n_samples=48)
    encoder = tiny_encoder(**CUDA).fit(X)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))


def test_the_random_state_of_the_gpu_is_handed_back():
    X, _ = waves(n_samples=48)
    before = torch.cuda.get_rng_state()
    tiny_sampler(tiny_tokenizer(**CUDA), **CUDA).fit(X).sample(3)
    assert torch.equal(before, torch.cuda.get_rng_state())


def test_a_checkpoint_goes_on(tmp_path):
    X, _ = waves(n_samples=48)
    path = tmp_path / "checkpoint"
    first = tiny_encoder(checkpoint=path, **CUDA).fit(X)
    again = tiny_encoder(checkpoint=path, **CUDA).fit(X)
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
