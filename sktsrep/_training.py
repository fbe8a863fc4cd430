"""The training engine: the one module that knows skorch.

Training data live on the device as tensors. A batch is a selection of rows there, loss
terms are collected there, and the host reads them once per epoch.
"""

import copyreg
import math
from contextlib import nullcontext

import numpy as np
import skorch
import torch
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    Unfreezer,
)
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import TensorDataset

from sktsrep._device import (
    available_device,
    end_with_interpreter,
    isolated_random_state,
)
from sktsrep._gaps import longer_half
from sktsrep._plain import from_plain, to_plain
from sktsrep._warnings import warn_user
from sktsrep.nn import arrays_of, remake, unfilled

__all__ = [
    "DeviceBatches",
    "FitProgress",
    "SeriesNet",
    "check_callbacks",
    "freeze",
    "resolve_epochs",
    "train",
]

# The largest norm of a gradient: losses of collapsed or empty batches have steep ones.
_GRADIENT_CLIP = 1.0

# "auto" makes enough passes for large data to be seen often, but no more than this many
# times the steps that a small data set gets.
_AUTO_PASSES = 14
_AUTO_MOST = 2.5

# Parameters of a net that it keeps with its network.
_NET_PARAMS = (
    "amp",
    "batch_size",
    "device",
    "lr",
    "max_epochs",
    "validation_seed",
    "verbose",
)

# Share by which lengths may seem larger when series of similar length are put together.
_LENGTH_JITTER = 0.25


class DeviceBatches:
    """Batches of a tensor data set, selected on the data's own device.

    Rows are spread evenly, so that no last batch is much smaller than the others. A
    lone row is taken twice, because batch statistics need two. Series of unequal length
    come with others of about their length, all cut to one length.
    """

    def __init__(self, dataset, batch_size, shuffle=False):
        self.tensors = dataset.tensors
        self.lengths = dataset.lengths
        self.n_batches = math.ceil(len(dataset) / batch_size)
        self.shuffle = shuffle

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        for rows in self._batches():
            if len(rows) == 1:
                rows = rows.repeat(2)
            series, *others = (tensor[rows] for tensor in self.tensors)
            if self.lengths is not None:
                series = self._cut(series, self.lengths[rows])
            yield (series, *others), None

    def _batches(self):
        n_samples, device = len(self.tensors[0]), self.tensors[0].device
        if self.lengths is None:
            if self.shuffle:
                order = torch.randperm(n_samples, device=device)
            else:
                order = torch.arange(n_samples, device=device)
            return order.tensor_split(self.n_batches)
        keys = self.lengths.float()
        if self.shuffle:  # other companions at every pass
            keys = keys * (1 + _LENGTH_JITTER * torch.rand_like(keys))
        batches = keys.argsort(stable=True).tensor_split(self.n_batches)
        if self.shuffle:
            batches = [batches[i] for i in torch.randperm(self.n_batches).tolist()]
        return batches

    def _cut(self, series, lengths):
        """Cut series to their median length; shorter ones end with their last value."""
        length = lengths.median()
        room = (lengths - length).clamp(min=0)
        share = torch.rand(len(room), device=room.device) if self.shuffle else 0.0
        start = (share * (room + 1)).long().clamp(max=room)
        times = start.unsqueeze(1) + torch.arange(length, device=room.device)
        times = times.unsqueeze(1).expand(-1, series.shape[1], -1)
        return series.gather(2, times)


class Rows(TensorDataset):
    """Tensors with one row per sample, whose series may have unequal lengths."""

    def __init__(self, *tensors, lengths=None):
        super().__init__(*tensors)
        self.lengths = lengths

    def where(self, chosen):
        """Choose rows by a mask."""
        lengths = None if self.lengths is None else self.lengths[chosen]
        return Rows(*(tensor[chosen] for tensor in self.tensors), lengths=lengths)

    def typical(self):
        """Series of one length: of unequal ones the longer half, cut."""
        return longer_half(self.tensors[0], self.lengths)


class SeriesNet(skorch.NeuralNet):
    """A skorch net whose module returns the terms of its own loss.

    The history has the mean of every loss term per epoch and the module's own epoch
    metrics, beside what skorch records.

    Parameters
    ----------
    module : sktsrep.networks.TrainingModule
        The network.
    amp : bool
        Whether forward passes run in bfloat16 where torch deems it safe.
    validation_seed : int
        Seed of the draws on held-out data. Every epoch repeats them, so that epochs
        differ by the network, not by luck.
    **kwargs
        Parameters of :class:`skorch.NeuralNet`.
    """

    def __init__(self, module, *, amp=False, validation_seed=0, **kwargs):
        self.amp = amp
        self.validation_seed = validation_seed
        super().__init__(module, **kwargs)

    # ------------------------------------------------------------ pickles and files

    def __getstate__(self):
        """Plain values and arrays, which hold no objects of torch."""
        state = self._plain_state()
        if state is None:
            raise TypeError("Only trained networks of sktsrep's own parts are plain.")
        return state

    def __setstate__(self, state):
        network, arrays = state["network"], state["arrays"]
        largest = sum(array.size for array in arrays.values())
        module = remake(lambda: from_plain(network, largest), arrays)
        if not hasattr(module, "finish"):
            raise ValueError(f"{type(module).__name__} is no network.")
        params = {name: state["params"][name] for name in _NET_PARAMS}
        device = str(available_device(params.pop("device")))
        params |= {"criterion": nn.Identity, "iterator_valid": DeviceBatches}
        self.__init__(module, device=device, **params)
        self.initialize()
        self.trim()

    def __reduce_ex__(self, protocol):
        """Leave to skorch what has other parts, or is in training.

        What skorch pickles holds a pickle, so nothing else may open it:
        ``__setstate__`` serves formats that run no code.
        """
        state = self._plain_state()
        if state is None:
            return _open_skorch_state, (type(self), super().__getstate__())
        return copyreg.__newobj__, (type(self),), state

    def _plain_state(self):
        """State of a trained network that its arguments make anew; None for others."""
        if not getattr(self, "_trimmed_for_prediction", False):
            return None
        try:
            network, arrays = to_plain(self.module_), arrays_of(self.module_)
            again = unfilled(lambda: from_plain(network, math.inf), arrays)
        except (TypeError, ValueError):
            return None
        if [*map(type, again.modules())] != [*map(type, self.module_.modules())]:
            return None
        params = {name: getattr(self, name) for name in _NET_PARAMS}
        return {"network": network, "arrays": arrays, "params": params}

    def trim(self):
        """Drop what prediction does not need.

        It needs neither optimizer nor callbacks, which may hold device memory, and the
        weights only once.
        """
        self.trim_for_prediction()
        self.module = type(self.module_)

    # --------------------------------------------------------------------- training

    def initialize(self):
        """Start a new training."""
        self.n_steps_ = 0
        self.best_ = {}
        return super().initialize()

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("print_log", PrintEpochs())]

    def torch_compile(self, module, name):
        """Compile parts in place, so that all their callers gain."""
        if self.compile and name == "module":
            for part in module.parts_to_compile():
                part.compile(**self.get_params_for("compile"))
        return module

    def infer(self, x, **fit_params):
        """Compute the loss terms of a batch that is on the device already."""
        device = torch.device(self.device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.amp):
            return self.module_(*x)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Sum the loss terms."""
        return sum(term for name, term in y_pred.items() if name.endswith("_loss"))

    def train_step(self, batch, **fit_params):
        """Make one optimizer step, then the module's updates without gradient."""
        step = super().train_step(batch, **fit_params)
        self.n_steps_ += 1
        self.module_.after_step(self.n_steps_ / self.n_total_steps_)
        return step

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch as skorch does, but read the loss from the device once."""
        if iterator is None:
            return
        terms = []
        with nullcontext() if training else self._validation_draws():
            for batch in iterator:
                end_with_interpreter()
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                terms.append(
                    {"loss": step["loss"].detach()}
                    | {name: term.detach() for name, term in step["y_pred"].items()}
                )
                self.notify("on_batch_end", batch=batch, training=training, **step)
        names = list(terms[0])
        means = torch.stack([torch.stack([t[n] for t in terms]).mean() for n in names])
        self._record_epoch(dict(zip(names, means.tolist(), strict=True)), prefix)
        if training:
            metrics = self.module_.epoch_metrics()
            for name, value in metrics.items():
                self.history.record(name, value.item())

    def _validation_draws(self):
        device = torch.device(self.device)
        return isolated_random_state(self.validation_seed, device)

    def _record_epoch(self, values, prefix):
        loss = f"{prefix}_loss"
        values[loss] = values.pop("loss")
        for name, value in values.items():
            # A term of the training loss keeps its own name.
            known = name == loss or prefix == "train"
            self.history.record(name if known else f"{prefix}_{name}", value)
        if not math.isfinite(values[loss]):
            raise ValueError(
                f"Training diverged: {loss} is {values[loss]} in epoch "
                f"{len(self.history)}. Try a smaller lr."
            )
        is_best = values[loss] <= self.best_.get(loss, math.inf)
        if is_best:
            self.best_[loss] = values[loss]
        self.history.record(f"{loss}_best", is_best)


def _open_skorch_state(cls, state):
    net = cls.__new__(cls)
    skorch.NeuralNet.__setstate__(net, state)
    return net


class PrintEpochs(Callback):
    """Print a narrow table where the net is verbose: epochs, losses, seconds."""

    def on_epoch_end(self, net, **kwargs):
        if not net.verbose:
            return
        row = net.history[-1]
        losses = [name for name in ("train_loss", "valid_loss") if name in row]
        if row["epoch"] == 1:
            print("epoch".rjust(11), *(name.rjust(11) for name in losses), " seconds")
        n_epochs = str(net.max_epochs)
        epoch = f"{row['epoch']:>{len(n_epochs)}} of {n_epochs}".rjust(11)
        figures = [f"{row[name]:11.4g}" for name in losses]
        print(epoch, *figures, f"{row['dur']:8.2f}", flush=True)


class FitProgress(Callback):
    """Tell an estimator's scikit-learn callbacks about every epoch.

    Parameters
    ----------
    estimator : estimator
        The one that is being fitted.
    context : scikit-learn callback context
        The context of its training.
    """

    def __init__(self, estimator, context):
        self.estimator = estimator
        self.context = context

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net, **kwargs):
        if self.epoch_.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes={"net_": net}
        ):
            raise KeyboardInterrupt  # skorch's way to end training between epochs


class Resume(Callback):
    """Write the state of a training after its epochs, and go on from there.

    It comes last, so that the state is that after all other callbacks.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        The file; None does nothing.
    """

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self.state_ = None if checkpoint is None else checkpoint.read()

    def n_epochs_left(self, net):
        """Epochs that are still to be trained; none after early stopping."""
        if self.state_ is None:
            return net.max_epochs
        is_finished = self.state_["is_finished"]
        return 0 if is_finished else net.max_epochs - len(self.state_["history"])

    def on_train_begin(self, net, **kwargs):
        if self.state_ is None:
            return
        state, self.state_ = self.state_, None
        with torch.no_grad():
            for name, tensor in _tensors(net.module_).items():
                tensor.copy_(state["tensors"][name])
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_(name in state["trainable"])
        for name, n_steps in state["counts"].items():
            net.module_.get_submodule(name).n_steps = n_steps
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history.extend(state["history"])
        net.n_steps_, net.best_ = state["n_steps"], state["best"]
        callbacks = dict(net.callbacks_)
        callbacks["schedule"].lr_scheduler_.load_state_dict(state["schedule"])
        if "early_stopping" in callbacks:
            vars(callbacks["early_stopping"]).update(state["early_stopping"])
        _set_random_state(state["random"], torch.device(net.device))

    def on_epoch_end(self, net, **kwargs):
        if self.checkpoint is not None and self.checkpoint.is_due:
            self._write(net)

    def on_train_end(self, net, **kwargs):
        # Ctrl-C leaves an epoch unfinished.
        if self.checkpoint is not None and _n_finished(net) == len(net.history):
            self._write(net, is_finished=True)

    def _write(self, net, is_finished=False):
        callbacks = dict(net.callbacks_)
        stopping = callbacks.get("early_stopping")
        names = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")
        self.checkpoint.write(
            {
                "is_finished": is_finished,
                "tensors": _tensors(net.module_),
                "trainable": [
                    name
                    for name, parameter in net.module_.named_parameters()
                    if parameter.requires_grad
                ],
                "counts": {
                    name: module.n_steps
                    for name, module in net.module_.named_modules()
                    if hasattr(module, "n_steps")
                },
                "optimizer": net.optimizer_.state_dict(),
                "schedule": callbacks["schedule"].lr_scheduler_.state_dict(),
                "early_stopping": stopping and {n: getattr(stopping, n) for n in names},
                "history": list(net.history),
                "n_steps": net.n_steps_,
                "best": net.best_,
                "random": _random_state(torch.device(net.device)),
            }
        )


def _tensors(network):
    """Parameters and buffers by name, also those that pickles leave out."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _random_state(device):
    on_device = None if device.type == "cpu" else torch.cuda.get_rng_state(device)
    return torch.get_rng_state(), on_device


def _set_random_state(state, device):
    host, on_device = state
    torch.set_rng_state(host.cpu())
    if on_device is not None:
        torch.cuda.set_rng_state(on_device.cpu(), device)


def check_callbacks(callbacks):
    """Raise TypeError unless all callbacks are skorch's."""
    for item in callbacks or []:
        # Skorch takes instances, classes, and pairs of a name and one of those.
        callback = item[-1] if isinstance(item, tuple) else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks must be skorch callbacks, got {item!r} instead. "
                "Scikit-learn's go to set_callbacks."
            )


def freeze(pattern, n_epochs):
    """Make callbacks that keep some parameters fixed at first.

    Parameters
    ----------
    pattern : str
        Pattern of the parameters' names, as in :mod:`fnmatch`.
    n_epochs : int
        Epochs before they may change; 0 for none.

    Returns
    -------
    list of skorch callbacks
    """
    if n_epochs == 0:
        return []
    return [Freezer(pattern), Unfreezer(pattern, at=n_epochs + 1)]


def resolve_epochs(max_epochs, auto_steps, n_batches):
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

    Returns
    -------
    int

    Examples
    --------
    >>> [resolve_epochs("auto", 800, n) for n in (1, 50, 100, 400)]
    [800, 16, 14, 5]
    """
    if max_epochs != "auto":
        return max_epochs
    usual = auto_steps / n_batches
    return max(1, round(min(max(usual, _AUTO_PASSES), _AUTO_MOST * usual)))


def train(
    make_network,
    tensors,
    *,
    lengths=None,
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
):
    """Train a network.

    Parameters
    ----------
    make_network : callable
        Makes an untrained :class:`sktsrep.networks.TrainingModule`, without arguments.
    tensors : sequence of Tensor
        Training data on the device to train on; the arguments of the network's
        ``forward``, one row per sample.
    lengths : Tensor of shape (n_samples,), int, default=None
        Lengths of the series, which are the first tensor, where they are unequal. After
        its end a series has its last value.
    seed : int
        Decides weights, batches, augmentations and dropout.
    n_epochs, batch_size : int
        Passes over the data, and samples per step. Without epochs the network stays
        untrained, but has started from the data.
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
        When the loss or the network is not finite.
    """
    device = tensors[0].device
    with isolated_random_state(seed, device):
        training, validation = _split(Rows(*tensors, lengths=lengths), held_out)
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
        network.start(training.typical())
        if n_epochs:
            _fit_epochs(net, training, resume.n_epochs_left(net), keep_interrupted)
        _check_finite(net, training)
    history = _history_columns(net)
    net.trim()
    network.finish()
    return net, history


def _fit_epochs(net, training, n_epochs, keep_interrupted):
    """Run epochs; finished work is kept when something fails after it."""
    try:
        net.partial_fit(training, epochs=n_epochs)
    except Exception as error:
        if _n_finished(net) < net.max_epochs:
            raise
        warn_user(
            "A callback failed after the last epoch; the model is kept. The error was "
            f"{error!r}.",
            UserWarning,
        )
    # Callbacks end training between epochs; Ctrl-C leaves an epoch unfinished.
    n_finished = _n_finished(net)
    is_interrupted = n_finished < len(net.history)
    if n_finished == 0 or (is_interrupted and not keep_interrupted):
        raise KeyboardInterrupt
    if is_interrupted:
        warn_user("Training interrupted by user.", UserWarning)


def _n_finished(net):
    return sum("dur" in row for row in net.history)


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
    is_valid = is_valid.to(rows.tensors[0].device)
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
