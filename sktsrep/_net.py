"""The training engine: the one module that knows skorch.

Training data live on the device as tensors. A batch is a selection of rows there, loss
terms are collected there, and the host reads them once an epoch.
"""

import math
import threading
import warnings
from contextlib import contextmanager, nullcontext

import pandas as pd
import skorch
import torch
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    Unfreezer,
)
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import TensorDataset

__all__ = [
    "DeviceBatches",
    "SeriesNet",
    "check_callbacks",
    "check_split",
    "fit_net",
    "freeze",
    "isolated_random_state",
    "resolve_device",
]


_DEVICES = "device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'"


def resolve_device(device):
    """The torch device that a ``device`` parameter means.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is CUDA where there is one.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        When the device is unknown or not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"{_DEVICES}, got {device!r} instead.") from error
    if resolved.type not in {"cpu", "cuda"}:
        raise ValueError(f"{_DEVICES}, got {device!r} instead.")
    if resolved.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (resolved.index or 0) >= count:
            raise ValueError(
                f"device={device!r} was asked for, but torch sees {count} CUDA "
                "device(s)."
            )
    return resolved


# Threads share torch's generators: one at a time may borrow them.
_GENERATORS = threading.RLock()


@contextmanager
def isolated_random_state(seed, device):
    """Seed torch for a block of code and hand its random state back afterwards.

    Layers draw their first weights and dropout its masks from the global generator
    only, so it is borrowed rather than avoided. Other threads wait meanwhile.
    """
    cuda = [device] if device.type == "cuda" else []
    with _GENERATORS, torch.random.fork_rng(devices=cuda):
        torch.random.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class DeviceBatches:
    """Batches of a tensor data set by selecting rows on its own device.

    The rows are dealt out evenly: no last batch is much smaller than the others, and a
    lone row is taken twice, because batch statistics need two.
    """

    def __init__(self, dataset, batch_size, shuffle=False):
        self.tensors = dataset.tensors
        self.n_batches = math.ceil(len(dataset) / batch_size)
        self.shuffle = shuffle

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        first = self.tensors[0]
        n_samples, device = len(first), first.device
        if self.shuffle:
            order = torch.randperm(n_samples, device=device)
        else:
            order = torch.arange(n_samples, device=device)
        for rows in order.tensor_split(self.n_batches):
            if len(rows) == 1:
                rows = rows.repeat(2)
            yield tuple(tensor[rows] for tensor in self.tensors), None


class SeriesNet(skorch.NeuralNet):
    """A skorch net whose module returns the terms of its own loss.

    Beside what skorch records, the history has the mean of every loss term of every
    epoch, and the module's own epoch metrics.

    Parameters
    ----------
    module : sktsrep.nn.TrainingModule
        The network.
    amp : bool
        Forward passes in bfloat16 where torch deems it safe.
    validation_seed : int
        Of the draws on held-out data, which every epoch repeats: epochs differ by the
        network, not by luck.
    **kwargs
        Parameters of :class:`skorch.NeuralNet`.
    """

    def __init__(self, module, *, amp=False, validation_seed=0, **kwargs):
        self.amp = amp
        self.validation_seed = validation_seed
        super().__init__(module, **kwargs)

    def initialize(self):
        """Start a new training."""
        self.n_steps_ = 0
        self.best_ = {}
        return super().initialize()

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())]

    def torch_compile(self, module, name):
        """Compile parts in place: whatever calls them gains."""
        if self.compile and name == "module":
            for part in module.parts_to_compile():
                part.compile(**self.get_params_for("compile"))
        return module

    def infer(self, x, **fit_params):
        """Loss terms of a batch of tensors that are on the device already."""
        device = torch.device(self.device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.amp):
            return self.module_(*x)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Sum of the loss terms."""
        return sum(term for name, term in y_pred.items() if name.endswith("_loss"))

    def train_step(self, batch, **fit_params):
        """One optimizer step, then the module's updates without gradient."""
        step = super().train_step(batch, **fit_params)
        self.n_steps_ += 1
        self.module_.after_step(self.n_steps_ / self.n_total_steps_)
        return step

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """As skorch's, but the loss is read from the device once an epoch."""
        if iterator is None:
            return
        terms = []
        with nullcontext() if training else self._validation_draws():
            for batch in iterator:
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
            # A term of the training loss goes by its own name.
            known = name == loss or prefix == "train"
            self.history.record(name if known else f"{prefix}_{name}", value)
        if not math.isfinite(values[loss]):
            raise ValueError(
                f"Training diverged: {loss} is {values[loss]} in epoch "
                f"{len(self.history)}. Try a smaller lr or gradient_clip."
            )
        is_best = values[loss] <= self.best_.get(loss, math.inf)
        if is_best:
            self.best_[loss] = values[loss]
        self.history.record(f"{loss}_best", is_best)


class _ScikitLearnCallbacks(Callback):
    """Tell an estimator's scikit-learn callbacks about every epoch."""

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


def _callbacks(estimator, context, n_steps):
    schedule = LRScheduler(CosineAnnealingLR, T_max=n_steps, step_every="batch")
    callbacks = [
        ("schedule", schedule),
        ("scikit_learn", _ScikitLearnCallbacks(estimator, context)),
    ]
    if estimator.gradient_clip is not None:
        clip = GradientNormClipping(estimator.gradient_clip)
        callbacks.append(("gradient_clip", clip))
    if estimator.early_stopping:
        stop = EarlyStopping(
            patience=estimator.n_iter_no_change,
            threshold=0,  # skorch's is a share of the loss, wrong for negative ones
            load_best=True,
            sink=noop,
        )
        callbacks.append(("early_stopping", stop))
    return callbacks + list(estimator.callbacks or [])


def check_callbacks(estimator):
    """Raise TypeError unless an estimator's ``callbacks`` are skorch's."""
    for item in estimator.callbacks or []:
        # Skorch takes instances, classes, and pairs of a name and one of those.
        callback = item[-1] if isinstance(item, tuple) else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks must be skorch callbacks, got {item!r} instead. "
                "Scikit-learn's go to set_callbacks."
            )


def freeze(pattern, n_epochs):
    """Callbacks that keep the parameters of a name pattern still at first.

    Parameters
    ----------
    pattern : str
        As in :mod:`fnmatch`.
    n_epochs : int
        Epochs before they may move; 0 for none.

    Returns
    -------
    list of skorch callbacks
    """
    if n_epochs == 0:
        return []
    return [Freezer(pattern), Unfreezer(pattern, at=n_epochs + 1)]


def check_split(estimator, n_samples):
    """Number of series to hold out, 0 without early stopping.

    Parameters
    ----------
    estimator : estimator
        Has ``early_stopping`` and ``validation_fraction``.
    n_samples : int
        Number of series.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        When none would be left to train on.
    """
    if not estimator.early_stopping:
        return 0
    n_valid = max(1, round(estimator.validation_fraction * n_samples))
    if n_valid >= n_samples:
        raise ValueError(
            f"With n_samples={n_samples} and validation_fraction="
            f"{estimator.validation_fraction}, the resulting train set will be empty."
        )
    return n_valid


def _split(tensors, n_valid):
    """Training and validation data set; the latter None for no series."""
    if n_valid == 0:
        return TensorDataset(*tensors), None
    n_samples = len(tensors[0])
    order = torch.randperm(n_samples).to(tensors[0].device)
    train, valid = order[n_valid:], order[:n_valid]
    return (
        TensorDataset(*(tensor[train] for tensor in tensors)),
        TensorDataset(*(tensor[valid] for tensor in tensors)),
    )


def _n_epochs(estimator, n_batches):
    """Epochs of a fit; with "auto", optimizer steps bound it, not epochs.

    Large data get up to 2.5 times the steps, so that every row is seen fourteen times.
    """
    if estimator.max_epochs != "auto":
        return estimator.max_epochs
    usual = estimator._auto_steps / n_batches
    return max(1, round(min(max(usual, 14), 2.5 * usual)))


def fit_net(
    estimator,
    module,
    module_params,
    tensors,
    seed,
    *,
    open_context=None,
    param_groups=(),
    callbacks=(),
):
    """Train a module with an estimator's training parameters.

    Sets ``net_``, ``history_`` and ``n_iter_`` on the estimator, once all is done.

    Parameters
    ----------
    estimator : estimator
        Has the training parameters and scikit-learn's callback support.
    module : type
        Subclass of :class:`sktsrep.nn.TrainingModule`.
    module_params : dict
        Its arguments.
    tensors : sequence of Tensor
        Training data on the device to train on; the arguments of ``forward``.
    seed : int
        Decides weights, batches, augmentations and dropout.
    open_context : callable, default=None
        Gives scikit-learn's callback context of the training from ``max_subtasks``;
        None is the estimator's root.
    param_groups : sequence of (pattern, dict)
        Optimizer settings of some parameters.
    callbacks : sequence of skorch callbacks
        Beside those of the training parameters.
    """
    device = tensors[0].device
    with isolated_random_state(seed, device):
        train, valid = _split(tensors, check_split(estimator, len(tensors[0])))
        n_batches = math.ceil(len(train) / estimator.batch_size)
        n_epochs = _n_epochs(estimator, n_batches)
        open_context = open_context or estimator._init_callback_context
        context = open_context(max_subtasks=n_epochs)
        n_steps = n_epochs * n_batches
        net = _make_net(
            estimator,
            module,
            **{f"module__{name}": value for name, value in module_params.items()},
            optimizer__param_groups=[
                ("*codebook", {"weight_decay": 0.0}),
                *param_groups,
            ],
            validation_seed=seed,
            max_epochs=n_epochs,
            train_split=None if valid is None else predefined_split(valid),
            callbacks=[*_callbacks(estimator, context, n_steps), *callbacks],
            device=str(device),
        )
        net.n_total_steps_ = n_steps
        net.initialize()
        net.module_.start(*train.tensors)
        context.call_on_fit_task_begin(estimator=estimator)
        net.partial_fit(train)
    estimator.history_ = _history_frame(net)
    estimator.n_iter_ = len(estimator.history_)
    if estimator.n_iter_ == 0:
        raise KeyboardInterrupt  # nothing has been learned that were worth keeping
    if estimator.n_iter_ < len(net.history):
        # The caller stands beyond fit and its three decorators.
        warnings.warn("Training interrupted by user.", UserWarning, stacklevel=6)
    # Predicting needs neither optimizer nor callbacks, which may hold device memory.
    net.trim_for_prediction()
    estimator.net_ = net
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes={})


def _make_net(estimator, module, **params):
    """An untrained net with an estimator's training parameters and others."""
    return SeriesNet(
        module,
        amp=estimator.amp,
        compile=estimator.compile,
        criterion=nn.Identity,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        optimizer__weight_decay=estimator.weight_decay,
        lr=estimator.lr,
        batch_size=estimator.batch_size,
        iterator_train=DeviceBatches,
        iterator_train__shuffle=True,
        iterator_valid=DeviceBatches,
        verbose=estimator.verbose,
        **params,
    )


def _history_frame(net):
    """Loss terms and metrics, one row for every epoch that was finished."""
    hidden = ("batches", "event_")
    rows = [
        {key: row[key] for key in row if not key.startswith(hidden)}
        for row in net.history
        if "dur" in row
    ]
    return pd.DataFrame(rows).set_index("epoch") if rows else pd.DataFrame()
