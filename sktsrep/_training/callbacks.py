"""What surrounds epochs: tables, progress, checkpoints."""

import torch
from skorch.callbacks import Callback, Freezer, Unfreezer

from sktsrep._ranks import is_first

__all__ = [
    "FitProgress",
    "PrintEpochs",
    "Resume",
    "check_callbacks",
    "freeze",
    "n_finished",
    "random_state",
    "set_random_state",
]


class PrintEpochs(Callback):
    """Print a narrow table where the net is verbose: epochs, losses, seconds."""

    def on_epoch_end(self, net, **kwargs):
        if not (net.verbose and is_first()):
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
    """Write the state of a training after and in its epochs, and go on from there.

    It comes last, so that the state is that after all other callbacks.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        The file; None does nothing.
    """

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self.state_ = None if checkpoint is None else checkpoint.read()

    @property
    def _is_writer(self):
        return self.checkpoint is not None and is_first()

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
        _set_tensors(net.module_, state["tensors"])
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_(name in state["trainable"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history.extend(state["history"])
        net.n_steps_, net.best_ = state["n_steps"], state["best"]
        callbacks = dict(net.callbacks_)
        callbacks["schedule"].lr_scheduler_.load_state_dict(state["schedule"])
        if "early_stopping" in callbacks:
            vars(callbacks["early_stopping"]).update(state["early_stopping"])
        set_random_state(state["random"], torch.device(net.device))
        net.begun_epoch_ = _unpacked(state.get("begun"))  # older files have none

    def on_batch_end(self, net, training=False, **kwargs):
        if training and self._is_writer and self.checkpoint.is_due(in_epoch=True):
            self._write(net, in_epoch=True)

    def on_epoch_end(self, net, **kwargs):
        if self._is_writer and self.checkpoint.is_due():
            self._write(net)

    def on_train_end(self, net, **kwargs):
        # Ctrl-C leaves an epoch unfinished.
        if self._is_writer and n_finished(net) == len(net.history):
            self._write(net, is_finished=True)

    def _write(self, net, *, is_finished=False, in_epoch=False):
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
                "optimizer": net.optimizer_.state_dict(),
                "schedule": callbacks["schedule"].lr_scheduler_.state_dict(),
                "early_stopping": stopping and {n: getattr(stopping, n) for n in names},
                "history": list(net.history)[: -1 if in_epoch else None],
                "n_steps": net.n_steps_,
                "best": net.best_,
                "random": random_state(torch.device(net.device)),
                "begun": _packed(net.begun_epoch_) if in_epoch else None,
            }
        )


def _packed(begun):
    """State of an epoch with one tensor per term, because files of many are slow."""
    terms = begun["terms"]
    columns = {name: torch.stack([row[name] for row in terms]) for name in terms[0]}
    return {**begun, "terms": columns}


def _unpacked(begun):
    if begun is None:
        return None
    columns = begun["terms"]
    rows = zip(*columns.values(), strict=True)
    return {**begun, "terms": [dict(zip(columns, row, strict=True)) for row in rows]}


def _tensors(network):
    """Parameters and buffers by name, also those that pickles leave out."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


@torch.no_grad()
def _set_tensors(network, tensors):
    """Set what :func:`_tensors` gave; some buffers are made by the first step."""
    for name, tensor in tensors.items():
        path, _, last = name.rpartition(".")
        part = network.get_submodule(path)
        if getattr(part, last) is None:
            setattr(part, last, tensor)
        else:
            getattr(part, last).copy_(tensor)


def random_state(device):
    """Get the states of torch's generators of the host and the device."""
    on_device = None if device.type == "cpu" else torch.cuda.get_rng_state(device)
    return torch.get_rng_state(), on_device


def set_random_state(state, device):
    """Set what :func:`random_state` gave."""
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
                "Those of scikit-learn 1.9 or newer go to set_callbacks."
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


def n_finished(net):
    """Count the epochs that were not left by Ctrl-C."""
    return sum("dur" in row for row in net.history)
