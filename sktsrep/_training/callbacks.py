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
        with torch.no_grad():
            for name, tensor in _tensors(net.module_).items():
                tensor.copy_(state["tensors"][name])
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_(name in state["trainable"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history.extend(state["history"])
        net.n_steps_, net.best_ = state["n_steps"], state["best"]
        callbacks = dict(net.callbacks_)
        callbacks["schedule"].lr_scheduler_.load_state_dict(state["schedule"])
        if "early_stopping" in callbacks:
            vars(callbacks["early_stopping"]).update(state["early_stopping"])
        _set_random_state(state["random"], torch.device(net.device))

    def on_epoch_end(self, net, **kwargs):
        if self._is_writer and self.checkpoint.is_due:
            self._write(net)

    def on_train_end(self, net, **kwargs):
        # Ctrl-C leaves an epoch unfinished.
        if self._is_writer and n_finished(net) == len(net.history):
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
