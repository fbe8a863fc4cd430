"""The net that trains a network, and that an estimator keeps."""

import copyreg
import math
from contextlib import nullcontext

import skorch
import torch
from skorch.callbacks import EpochTimer
from torch import nn

from sktsrep._device import (
    available_device,
    end_with_interpreter,
    isolated_random_state,
)
from sktsrep._plain import from_plain, to_plain
from sktsrep._ranks import average_gradients, n_ranks, note_interrupt, stop_together
from sktsrep._training.batches import DeviceBatches
from sktsrep._training.callbacks import PrintEpochs, random_state, set_random_state
from sktsrep._training.graphs import RecordedSteps, can_be_recorded
from sktsrep.nn import arrays_of, remake, unfilled

__all__ = ["SeriesNet"]

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

    recorded_steps_ = None
    begun_epoch_ = None

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
        params |= {
            "criterion": nn.Identity,
            "iterator_valid": DeviceBatches,
            "optimizer": _no_optimizer,
        }
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
            state = super().__getstate__()
            state.pop("recorded_steps_", None)  # addresses on the device
            return _open_skorch_state, (type(self), state)
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
        self.recorded_steps_ = self.begun_epoch_ = None

    # --------------------------------------------------------------------- training

    def initialize(self):
        """Start a new training."""
        self.n_steps_ = 0
        self.best_ = {}
        super().initialize()
        if can_be_recorded(self):
            parameters = list(self.module_.parameters())
            self.recorded_steps_ = RecordedSteps(self.optimizer_, parameters)
        return self

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

    def notify(self, method_name, **kwargs):
        """Call the callbacks; what one of them ends, all processes end together."""
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:
            if n_ranks() == 1:
                raise
            note_interrupt()
        if method_name == "on_epoch_end":
            stop_together()

    def train_step_single(self, batch, **fit_params):
        """Compute the gradients, which are those of all processes."""
        step = super().train_step_single(batch, **fit_params)
        average_gradients(self.module_)
        return step

    def train_step(self, batch, **fit_params):
        """Make one optimizer step, then the module's updates without gradient."""
        if self.recorded_steps_ is None:
            step = super().train_step(batch, **fit_params)
        else:
            step = self.recorded_steps_(self._eager_step, batch[0])
        self.n_steps_ += 1
        self.module_.after_step(self.n_steps_ / self.n_total_steps_)
        return step

    def _eager_step(self, x):
        return super().train_step((x, None))

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch as skorch does, but read the loss from the device once."""
        if iterator is None:
            return
        batches, terms = iterator, []
        if training:
            batches, terms = self._begin_epoch(iterator)
        with nullcontext() if training else self._validation_draws():
            for batch in batches:
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
            self.begun_epoch_ = None
            metrics = self.module_.epoch_metrics()
            for name, value in metrics.items():
                self.history.record(name, value.item())

    def _begin_epoch(self, iterator):
        """Batches of an epoch and the terms of those before, where it was left."""
        device, left = torch.device(self.device), self.begun_epoch_
        if left is None:
            left = {"random": random_state(device), "terms": []}
        self.begun_epoch_, terms, batches = left, left["terms"], iter(iterator)
        if terms:
            now = random_state(device)
            set_random_state(left["random"], device)
            for _ in terms:  # the same batches are drawn
                next(batches)
            set_random_state(now, device)
        return batches, terms

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


def _no_optimizer(parameters, **settings):
    """Make what a net needs that only predicts: torch's first optimizer takes long."""


def _open_skorch_state(cls, state):
    net = cls.__new__(cls)
    skorch.NeuralNet.__setstate__(net, state)
    return net
