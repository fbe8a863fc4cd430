"""Training of a network, from its data to its history."""

import math

import numpy as np
import torch
from skorch.callbacks import EarlyStopping, GradientNormClipping, LRScheduler
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sktsrep._device import isolated_random_state
from sktsrep._ranks import copy_first, from_first
from sktsrep._training.batches import DeviceBatches, Rows
from sktsrep._training.callbacks import Resume, n_finished
from sktsrep._training.net import SeriesNet
from sktsrep._warnings import warn_user

__all__ = ["resolve_epochs", "train"]

# The largest norm of a gradient: losses of collapsed or empty batches have steep ones.
_GRADIENT_CLIP = 1.0

# "auto" makes enough passes for large data to be seen often, but no more than this many
# times the steps that a small data set gets.
_AUTO_PASSES = 14
_AUTO_MOST = 2.5


def resolve_epochs(max_epochs, auto_steps, n_batches, most=math.inf):
    """Find the number of epochs that ``max_epochs`` means.

    Parameters
    ----------
    max_epochs : int or "auto"
        As an estimator takes it.
    auto_steps : int
        Optimizer steps that "auto" aims at. Large data get up to 2.5 times as many, so
        that every row is seen 14 times.
    n_batches : int
        Optimizer steps per epoch.
    most : int, default=inf
        Epochs that "auto" means at most.

    Returns
    -------
    int

    Examples
    --------
    >>> [resolve_epochs("auto", 800, n, most=600) for n in (1, 50, 100, 400)]
    [600, 16, 14, 5]
    """
    if max_epochs != "auto":
        return max_epochs
    usual = auto_steps / n_batches
    passes = min(max(usual, _AUTO_PASSES), _AUTO_MOST * usual, most)
    return max(1, round(passes))


def train(
    make_network,
    tensors,
    *,
    device,
    lengths=None,
    most=None,
    seed,
    n_epochs,
    batch_size,
    lr,
    weight_decay,
    held_out=(),
    patience=None,
    amp=False,
    compile=False,
    verbose=0,
    param_groups=(),
    progress=None,
    callbacks=(),
    keep_interrupted=True,
    checkpoint=None,
    trained=None,
):
    """Train a network.

    Parameters
    ----------
    make_network : callable
        Makes an untrained :class:`sktsrep.networks.TrainingModule`, without arguments.
    tensors : sequence of Tensor
        Training data, all on the device or all on the host; the arguments of the
        network's ``forward``, one row per sample.
    device : torch.device
        Where to train.
    lengths : Tensor of shape (n_samples,), int, default=None
        Lengths of the series, which are the first tensor, where they are unequal. After
        its end a series has its last value.
    most : int, default=None
        Longer series are trained on in random crops of so many timepoints, which needs
        lengths.
    seed : int
        Decides weights, batches, augmentations and dropout.
    n_epochs, batch_size : int
        Passes over the data, and samples per step. Without epochs the network stays as
        it starts.
    lr, weight_decay : float
        Settings of AdamW. The learning rate falls to zero on a cosine.
    held_out : sequence of int
        Rows that are not trained on, for "valid_loss" and early stopping.
    patience : int or None
        Epochs without a lower loss of the held-out samples before training stops with
        the best weights; None trains to the end.
    amp, compile : bool
        Bfloat16, and :func:`torch.compile` of the blocks.
    verbose : int
        Whether to print a line per epoch.
    param_groups : sequence of (pattern, dict)
        Optimizer settings of some parameters.
    progress : FitProgress or None
        Hears of the end of an epoch before early stopping does.
    callbacks : sequence of skorch callbacks
        Others.
    keep_interrupted : bool
        Whether Ctrl-C after the first epoch keeps what is trained, with a warning.
    checkpoint : Checkpoint or None
        Where the training begins, and where its state is written.
    trained : TrainingModule or None
        Network of a training that this one goes on from; None starts from the data.

    Returns
    -------
    net : SeriesNet
        Trained, and trimmed for prediction.
    history : dict of str to ndarray of shape (n_epochs,)
        Loss terms and metrics of the finished epochs.

    Raises
    ------
    KeyboardInterrupt
        When interrupted, and there is no finished epoch or what is trained must not be
        kept.
    ValueError
        When the loss or the network is not finite, or the network has not the shape of
        the trained one.
    """
    with isolated_random_state(seed, device):
        rows = Rows(*tensors, lengths=lengths, most=most, device=device)
        training, validation = _split(rows, held_out)
        n_steps = n_epochs * math.ceil(len(training) / batch_size)
        network = make_network()
        resume = Resume(checkpoint)
        net = SeriesNet(
            network,
            amp=amp,
            validation_seed=seed,
            compile=compile,
            criterion=nn.Identity,
            optimizer=torch.optim.AdamW,
            optimizer__fused=True,
            optimizer__capturable=device.type == "cuda",
            optimizer__weight_decay=weight_decay,
            optimizer__param_groups=[*_undecayed(network), *param_groups],
            lr=lr,
            batch_size=batch_size,
            max_epochs=n_epochs,
            iterator_train=DeviceBatches,
            iterator_train__shuffle=True,
            iterator_valid=DeviceBatches,
            train_split=None if validation is None else predefined_split(validation),
            callbacks=[
                *_callbacks(n_steps, patience, progress),
                *callbacks,
                ("resume", resume),
            ],
            device=str(device),
            verbose=verbose,
        )
        net.n_total_steps_ = n_steps
        net.initialize()
        if trained is None:
            network.start(training.typical())
        else:
            network.go_on(trained)
        copy_first(network)
        if n_epochs:
            _fit_epochs(net, training, resume.n_epochs_left(net), keep_interrupted)
        _check_finite(net, training)
    history = from_first(_history_columns(net))  # seconds differ
    net.trim()
    network.finish()
    return net, history


def _fit_epochs(net, training, n_epochs, keep_interrupted):
    """Run epochs; finished work is kept when something fails after it."""
    try:
        net.partial_fit(training, epochs=n_epochs)
    except Exception as error:
        if n_finished(net) < net.max_epochs:
            raise
        warn_user(
            "A callback failed after the last epoch; the model is kept. The error was "
            f"{error!r}.",
            UserWarning,
        )
    # Callbacks end training between epochs; Ctrl-C leaves an epoch unfinished.
    n_kept = n_finished(net)
    is_interrupted = n_kept < len(net.history)
    if n_kept == 0 or (is_interrupted and not keep_interrupted):
        raise KeyboardInterrupt
    if is_interrupted:
        warn_user("Training interrupted by user.", UserWarning)


@torch.no_grad()
def _check_finite(net, training):
    """Raise ValueError where the last step has ruined the network.

    Losses are of the network before a step: the last one has had no loss yet.
    """
    network = net.module_.eval()
    batch, _ = next(iter(DeviceBatches(training, net.batch_size)))
    values = [*network.parameters(), *network(*batch).values()]
    if not all(value.isfinite().all() for value in values):
        raise ValueError(
            "Training diverged: after the last step the network is not finite. Try a "
            "smaller lr."
        )


def _split(rows, held_out):
    """Training and validation data set; the latter is None for no rows."""
    if len(held_out) == 0:
        return rows, None
    is_valid = torch.zeros(len(rows), dtype=torch.bool)
    is_valid[torch.as_tensor(held_out)] = True
    is_valid = is_valid.to(rows.rows.device)
    return rows.where(~is_valid), rows.where(is_valid)


def _undecayed(network):
    """Optimizer settings of the parameters that modules exempt from weight decay."""
    for path, module in network.named_modules():
        for name in getattr(module, "no_decay", ()):
            yield f"{path}.{name}", {"weight_decay": 0.0}


def _callbacks(n_steps, patience, progress):
    schedule = LRScheduler(CosineAnnealingLR, T_max=n_steps, step_every="batch")
    callbacks = [("schedule", schedule)]
    if progress is not None:
        callbacks.append(("progress", progress))
    callbacks.append(("gradient_clip", GradientNormClipping(_GRADIENT_CLIP)))
    if patience is not None:
        stop = EarlyStopping(
            patience=patience,
            threshold=0,  # skorch's is a share of the loss, wrong for negative ones
            load_best=True,
            sink=noop,
        )
        callbacks.append(("early_stopping", stop))
    return callbacks


def _history_columns(net):
    """Loss terms and metrics of every epoch that was finished, by name."""
    hidden = ("batches", "event_", "epoch")
    rows = [row for row in net.history if "dur" in row]
    names = [key for key in rows[0] if not key.startswith(hidden)] if rows else []
    return {name: np.array([row[name] for row in rows]) for name in names}
