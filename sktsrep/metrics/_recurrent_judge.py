"""The recurrent classifier of published discriminative scores, trained and tested."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sktsrep._device import (
    end_with_interpreter,
    isolated_random_state,
    make_generators,
    random_seed,
    to_device,
    torch_defaults,
)
from sktsrep.metrics._checks import exponent_of, varies

__all__ = ["recurrent_accuracy"]

_CPU = torch.device("cpu")

_SMALLEST_WIDTH = 2  # half of one channel would be no unit at all
_N_STEPS = 2000
_BATCH_SIZE = 128  # series of each kind
_LR = 1e-3
_TRAIN_SHARE = 0.8

_LARGEST = 1e15  # value that float32 can square, after scaling to [0, 1]


class _Judge(nn.Module):
    """One layer of gated recurrent units, whose last state gives one logit."""

    def __init__(self, n_channels):
        super().__init__()
        width = max(n_channels // 2, _SMALLEST_WIDTH)
        self.recurrent = nn.GRU(n_channels, width, batch_first=True)
        self.output = nn.Linear(width, 1)

    def forward(self, x):
        _, last_states = self.recurrent(x)  # (layers, batch, width)
        return self.output(last_states[-1]).squeeze(-1)  # (batch,)


def recurrent_accuracy(real, generated, rng):
    """Train the judge on 80 % of the series; give its accuracy on the others.

    Parameters
    ----------
    real, generated : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series, at least two on each side; a random subset of the larger collection is
        taken.
    rng : RandomState
        Draws the subset, the split, the initial weights and the batches.

    Returns
    -------
    float
        Share of right answers among equally many test series of both kinds.
    """
    n = min(len(real), len(generated))
    n_train = int(_TRAIN_SHARE * n)
    shuffled = to_device(
        _CPU, *(x[rng.permutation(len(x))[:n]] for x in _scaled(real, generated))
    )
    seed = random_seed(rng)
    with isolated_random_state(seed, _CPU), torch_defaults(training=True):
        judge = _Judge(real.shape[1])
        _train(judge, [x[:n_train] for x in shuffled], make_generators(seed, _CPU)[0])
        with torch.no_grad():
            logits = [judge(x[n_train:]) for x in shuffled]
    right = torch.cat([logits[0] > 0, logits[1] <= 0])
    return right.double().mean().item()


def _train(judge, series, generator):
    """Make steps of Adam on random batches of real and of generated series."""
    optimizer = torch.optim.Adam(judge.parameters(), lr=_LR, fused=True)
    size = min(len(series[0]), _BATCH_SIZE)
    targets = torch.ones(size), torch.zeros(size)
    for _ in range(_N_STEPS):
        end_with_interpreter()
        batch = [_draw(x, generator) for x in series]
        logits = judge(torch.cat(batch)).chunk(2)  # one pass is faster than two
        loss = sum(map(F.binary_cross_entropy_with_logits, logits, targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _draw(series, generator):
    """Draw a batch without replacement; all series if there are fewer."""
    return series[torch.randperm(len(series), generator=generator)[:_BATCH_SIZE]]


def _scaled(real, generated):
    """Bring the range of each real channel to [0, 1]; put channels last, in float32."""
    exponent = exponent_of(real, axis=(0, 2))
    with np.errstate(over="ignore", invalid="ignore"):  # the result is checked
        both = [np.ldexp(x, -exponent) for x in (real, generated)]
        low, high = (f(both[0], axis=(0, 2))[:, None] for f in (np.min, np.max))
        # A constant channel keeps its unit, so that noise in its copy is no feature.
        scale = np.where(varies(both[0], (0, 2))[:, None], high - low, 1.0)
        both = [((x - low) / scale).swapaxes(1, 2) for x in both]
    if not (np.abs(both[1]) < _LARGEST).all():
        raise ValueError(
            "X_generated has values that are too large beside those of X_real: rescale "
            "X_generated."
        )
    return [x.astype(np.float32) for x in both]
