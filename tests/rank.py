"""What the processes of ``test_distributed`` run: fits of every kind."""

import os
import pickle
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback

from sktsrep import _checkpoint
from sktsrep.objectives import OBJECTIVES
from sktsrep.quantizers import FSQ, EMACodebook, GradientCodebook, ResidualVQ
from tests.estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)

# Of 39 series in one batch, the shares of two ranks are uneven.
X, y = waves(n_samples=39)
GAPS = X.copy()
GAPS[::3, 10:15] = np.nan
UNEQUAL = X.copy()
for row, end in enumerate(np.random.default_rng(0).integers(30, 50, size=39)):
    UNEQUAL[row, end:] = np.nan

ONE_STEP = {"max_epochs": 1, "batch_size": 64, "lr": 0.05}
# The maximum of a code that several places have is where rounding says.
ALONE = {"ssl": None}
PRIOR = {"dropout": 0.0}  # no rank can draw the masks of a whole batch
QUANTIZERS = {
    "ema": EMACodebook(8, dim=4),
    "gradient": GradientCodebook(8, dim=4, orthogonal_weight=0.1),
    "residual": ResidualVQ(2, EMACodebook(8, dim=4), dropout=0.5),
    "fsq": FSQ([3, 3], dim=4),
}
EQUAL = {
    **{f"ssl_{ssl}": (tiny_encoder, {"ssl": ssl}, X) for ssl in OBJECTIVES},
    **{
        f"quantizer_{name}": (tiny_tokenizer, {"quantizer": quantizer, **ALONE}, X)
        for name, quantizer in QUANTIZERS.items()
    },
    "tokenizer": (tiny_tokenizer, {"quantizer": QUANTIZERS["fsq"]}, X),
    "unequal": (tiny_tokenizer, ALONE, UNEQUAL),
    "held_out": (tiny_tokenizer, {"validation_fraction": 0.2, **ALONE}, X),
    "lone_rows": (tiny_vae, {"batch_size": 1}, X[:3]),
    "vae": (tiny_vae, {"max_epochs": 3, "batch_size": 16}, X),
    "vae_gaps": (tiny_vae, {}, GAPS),
    "classifier": (tiny_classifier, {}, X),
    "fcn": (tiny_fcn, {}, X),
    "maskgit": (tiny_sampler, PRIOR, X),
    "maskgit_unequal": (tiny_sampler, PRIOR, UNEQUAL),
    "autoregressive": (tiny_autoregressive, PRIOR, X),
    "autoregressive_unequal": (tiny_autoregressive, PRIOR, UNEQUAL),
}


def plain_descent(parameters, *, capturable, **settings):
    """Make what takes AdamW's place."""
    return torch.optim.SGD(parameters, **settings)


def fit_one_step(name):
    """Fit by plain gradient steps: Adam's have a size that rounding may flip."""
    make, params, series = EQUAL[name]
    estimator = make(**{**ONE_STEP, **params})
    if make in (tiny_sampler, tiny_autoregressive):
        estimator.set_params(tokenizer=tiny_tokenizer(max_epochs=0))
    adam, torch.optim.AdamW = torch.optim.AdamW, plain_descent
    try:
        return estimator.fit(series, y[: len(series)])
    finally:
        torch.optim.AdamW = adam


def result(estimator):
    """Tensors of the network, and the history."""
    return estimator.net_.module_.state_dict(), estimator.history_


class Interrupt(Callback):
    """Press Ctrl-C in a step of one rank."""

    def __init__(self, epoch, rank):
        self.epoch, self.rank = epoch, rank

    def on_batch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch and self.rank == int(os.environ["RANK"]):
            signal.raise_signal(signal.SIGINT)


class Fail(Callback):
    """Fail in a step of one rank."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2 and os.environ["RANK"] == "1":
            raise RuntimeError("rank 1 has a bad day")


def fit_with_early_stopping(folder):
    stopping = {"early_stopping": 1, "lr": 0.2, "max_epochs": 40, "batch_size": 64}
    return result(tiny_vae(**stopping).fit(X))


def fit_with_dropout(folder):
    return result(tiny_sampler(tiny_tokenizer(max_epochs=0), verbose=1).fit(X, y))


def fit_interrupted(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stopped = tiny_vae(max_epochs=30, callbacks=[Interrupt(3, rank=1)]).fit(X)
    return *result(stopped), [str(warning.message) for warning in caught]


def fit_with_checkpoint(folder):
    # One file per rank tells which of them writes.
    path = folder / f"checkpoint_{os.environ['RANK']}"
    _checkpoint._SECONDS = 0.0
    params = {"checkpoint": path, "max_epochs": 4, "batch_size": 64}
    tiny_vae(**params, callbacks=[Interrupt(3, rank=0)]).fit(X)
    written = sorted(file.name for file in folder.glob("checkpoint*"))
    again = tiny_vae(**params).fit(X)
    return *result(again), written


def fit_pickled(folder):
    tokenizer = tiny_tokenizer().fit(X)
    return pickle.dumps(tokenizer), tokenizer.transform(X)


def refuse_other_data(folder):
    return message(lambda: tiny_encoder().fit(X + int(os.environ["RANK"])))


def refuse_other_parameters(folder):
    return message(lambda: tiny_encoder(lr=0.1 + int(os.environ["RANK"])).fit(X))


def refuse_random(folder):
    return message(lambda: tiny_encoder(random_state=None).fit(X))


def message(function):
    try:
        function()
    except ValueError as error:
        return str(error)


OTHERS = {
    "early_stopping": fit_with_early_stopping,
    "dropout": fit_with_dropout,
    "interrupted": fit_interrupted,
    "checkpoint": fit_with_checkpoint,
    "pickled": fit_pickled,
    "other_data": refuse_other_data,
    "other_parameters": refuse_other_parameters,
    "random": refuse_random,
}


def main(folder):
    torch.set_num_threads(1)
    results = {name: result(fit_one_step(name)) for name in EQUAL}
    results |= {name: function(folder) for name, function in OTHERS.items()}
    with open(folder / f"results_{os.environ['RANK']}", "wb") as file:
        pickle.dump(results, file)
    tiny_encoder(max_epochs=5, callbacks=[Fail()]).fit(X)  # ends both processes


if __name__ == "__main__":
    main(Path(sys.argv[1]))
