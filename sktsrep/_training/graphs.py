"""Training steps that are recorded as CUDA graphs, and replayed."""

import warnings
from contextlib import contextmanager

import torch
from skorch.callbacks import Callback, GradientNormClipping

from sktsrep._plain import to_plain
from sktsrep._ranks import n_ranks

__all__ = ["RecordedSteps", "can_be_recorded"]

# Steps of a kind that run as usual before one is recorded: the first ones make what
# libraries and the optimizer keep.
_WARM_UP = 3

# Kinds that are recorded at most. Each holds the memory of a step.
_MOST_KINDS = 4


def can_be_recorded(net):
    """Whether every step of a net does the same on the device.

    Functions of others may draw on the host, and callbacks may look at gradients: a
    recording would repeat what they did once.
    """
    if torch.device(net.device).type != "cuda" or n_ranks() > 1:
        return False
    if any(_looks_at_gradients(callback) for _, callback in net.callbacks_):
        return False
    try:
        to_plain(net.module_)
    except TypeError:
        return False
    return True


def _looks_at_gradients(callback):
    is_own = isinstance(callback, GradientNormClipping)
    return not is_own and type(callback).on_grad_computed != Callback.on_grad_computed


class RecordedSteps:
    """Make optimizer steps; those that come often are recorded, and then replayed.

    A step of a small network is thousands of short kernels, which take longer to launch
    than to run; a graph launches all of them at once. Steps are of one kind when their
    batches have the same shapes and the same parameters are trained. A kind that ever
    waits for the device cannot be recorded, and runs as usual.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        It must be capturable. Its learning rates may change from step to step.
    parameters : sequence of nn.Parameter
        All that the optimizer may change.
    """

    def __init__(self, optimizer, parameters):
        self.optimizer = optimizer
        self.parameters = parameters
        self.stream = torch.cuda.Stream(parameters[0].device)
        self.kinds = {}

    def __call__(self, step, batch):
        """Make a step.

        Parameters
        ----------
        step : callable
            Makes the step from a batch, and returns skorch's ``loss`` and ``y_pred``.
        batch : tuple of Tensor
            On the device.

        Returns
        -------
        dict
            What ``step`` returns.
        """
        shapes = tuple((x.shape, x.dtype) for x in batch)
        kind = shapes, tuple(p.requires_grad for p in self.parameters)
        known = self.kinds.get(kind, 0 if len(self.kinds) < _MOST_KINDS else None)
        if known == _WARM_UP:
            known = _Recording(step, batch, self.optimizer, self.stream)
            self.kinds[kind] = known
        if isinstance(known, _Recording):
            return known.replay(batch)
        if known is None:
            return step(batch)
        with _on(self.stream), _noted_waits() as waits:
            result = step(batch)
        is_first = known == 0  # it may wait for what is made only once
        self.kinds[kind] = None if waits and not is_first else known + 1
        return result


class _Recording:
    """One kind of step, with its batch, learning rates and results at fixed places."""

    def __init__(self, step, batch, optimizer, stream):
        self.optimizer = optimizer
        self.batch = tuple(x.clone() for x in batch)
        self.rates = [torch.zeros((), device=stream.device) for _ in self._groups]
        self.graph = torch.cuda.CUDAGraph()
        optimizer.zero_grad()  # gradients belong to the recording, too
        with (
            self._lent_rates(),
            torch.cuda.graph(
                self.graph, stream=stream, capture_error_mode="thread_local"
            ),
        ):
            result = step(self.batch)
            self.names = list(result["y_pred"])
            terms = [result["loss"], *result["y_pred"].values()]
            self.values = torch.stack([term.detach() for term in terms])

    @property
    def _groups(self):
        return self.optimizer.param_groups

    @contextmanager
    def _lent_rates(self):
        """Have the optimizer read its learning rates from where replays write them."""
        numbers = [group["lr"] for group in self._groups]
        for group, rate in zip(self._groups, self.rates, strict=True):
            group["lr"] = rate
        try:
            yield
        finally:
            for group, number in zip(self._groups, numbers, strict=True):
                group["lr"] = number

    def replay(self, batch):
        for place, x in zip(self.batch, batch, strict=True):
            place.copy_(x)
        for group, rate in zip(self._groups, self.rates, strict=True):
            rate.fill_(group["lr"])
        self.graph.replay()
        loss, *terms = self.values.clone().unbind()  # the next replay overwrites them
        return {"loss": loss, "y_pred": dict(zip(self.names, terms, strict=True))}


@contextmanager
def _on(stream):
    """Compute on another stream, in order with the current one."""
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        yield
    current.wait_stream(stream)


@contextmanager
def _noted_waits():
    """Yield a list that fills, at the end of the block, if it waits for the device."""
    before, waits = torch.cuda.get_sync_debug_mode(), []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode(before)
    for warning in seen:
        message = str(warning.message)
        if "called a synchronizing CUDA operation" in message:
            waits.append(message)
        elif "Synchronization debug mode" not in message:  # that it is new
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
