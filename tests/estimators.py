"""Tiny settings of every estimator, for fast tests."""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
from skorch.callbacks import Callback

from sktsrep import (
    VAE,
    AutoregressiveSampler,
    FCNClassifier,
    FineTunedClassifier,
    MaskGITSampler,
    SSLEncoder,
    SSLVQTokenizer,
)
from sktsrep.quantizers import EMACodebook

needs_callbacks = pytest.mark.skipif(
    find_spec("sklearn.callback") is None,
    reason="scikit-learn has callbacks since 1.9",
)

TINY_TRAINING = {
    "max_epochs": 2,
    "batch_size": 16,
    "device": "cpu",
    "random_state": 0,
}
TINY_BACKBONE = {"hidden_dim": 8, "n_blocks": 1, "max_tokens": 8, **TINY_TRAINING}
TINY_TRANSFORMER = {"hidden_dim": 8, "n_layers": 1, "n_heads": 2}


class KeepNetwork(Callback):
    """Keeps an objective's network, as it starts and as it is trained."""

    def on_train_begin(self, net, **kwargs):
        self.network = net.module_.joint_embedding
        self.start = copy.deepcopy(self.network)


class PowerCut(BaseException):
    """No error that anything handles."""


class StopAt(Callback):
    """Cut the power in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise PowerCut


class StopAtStep(Callback):
    """Cuts the power after so many steps of this process."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_batch_begin(self, net, training=False, **kwargs):
        if training and self.n_steps == 0:
            raise PowerCut
        self.n_steps -= training


def tiny_tokenizer(**params):
    codebook = {"quantizer": EMACodebook(8, dim=4)}
    return SSLVQTokenizer(**{**codebook, **TINY_BACKBONE, **params})


def tiny_sampler(tokenizer=None, **params):
    small = {**TINY_TRANSFORMER, "n_steps": 3}
    return MaskGITSampler(tokenizer, **{**small, **TINY_TRAINING, **params})


def tiny_autoregressive(tokenizer=None, **params):
    return AutoregressiveSampler(
        tokenizer, **{**TINY_TRANSFORMER, **TINY_TRAINING, **params}
    )


def tiny_encoder(**params):
    return SSLEncoder(**{"latent_dim": 4, **TINY_BACKBONE, **params})


def tiny_vae(**params):
    return VAE(**{"latent_dim": 3, **TINY_BACKBONE, **params})


def tiny_classifier(encoder=None, **params):
    encoder = tiny_encoder() if encoder is None else encoder
    longer = {"max_epochs": 6, "lr": 3e-2, "backbone_rate": 1.0}
    return FineTunedClassifier(encoder, **{**TINY_TRAINING, **longer, **params})


def tiny_fcn(**params):
    return FCNClassifier(**{**TINY_TRAINING, "max_epochs": 3, "lr": 3e-3, **params})


def waves(n_samples=40, n_timepoints=50, n_channels=None, dtype=np.float64, seed=0):
    """Two classes of sine waves, slow and fast, with random phase and some noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % 2
    shape = (n_samples, n_channels or 1, 1)
    phase = rng.uniform(0, 2 * np.pi, size=shape)
    time = np.linspace(0, 1, n_timepoints)
    frequency = np.where(y == 1, 6, 2)[:, None, None]
    X = np.sin(2 * np.pi * frequency * time + phase)
    X = (X + 0.1 * rng.normal(size=X.shape)).astype(dtype)
    return (X if n_channels else X[:, 0]), y
