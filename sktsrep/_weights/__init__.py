"""Weights that come with the package."""

from importlib.resources import as_file, files
from numbers import Integral

from sktsrep._device import resolve_device
from sktsrep._files import read

__all__ = ["NAMES", "check_length", "pretrained", "read_weights"]

NAMES = ("base",)

# Shorter series have too few frames for the encoder's stages.
_SHORTEST = 32


def check_length(n_timepoints, name):
    """Refuse a length that is too short for the encoder.

    Parameters
    ----------
    n_timepoints : object
        The length.
    name : str
        What the message calls it.
    """
    if not isinstance(n_timepoints, Integral) or n_timepoints < _SHORTEST:
        raise ValueError(
            f"{name} must be an int of at least {_SHORTEST}, got {n_timepoints!r} "
            "instead."
        )


def read_weights(file, device):
    """Read an estimator of one channel.

    Parameters
    ----------
    file : str
        Name of a file of this folder, without its ending.
    device : str or torch.device
        Where it is to compute.

    Returns
    -------
    SSLEncoder or SSLVQTokenizer
        Fitted.
    """
    resolved = resolve_device(device)
    with as_file(files("sktsrep") / "_weights" / f"{file}.safetensors") as path:
        estimator, _ = read(path)
    estimator.set_params(device=device, max_epochs="auto")  # for fits of its own
    estimator.net_.set_params(device=str(resolved))
    estimator.net_.module_.to(resolved)
    return estimator


def pretrained(name, n_timepoints, device, suffix=""):
    """Make an estimator from weights, after checks.

    Parameters
    ----------
    name : object
        What should be one of ``NAMES``.
    n_timepoints : object
        What should be a length.
    device : str or torch.device
        Where it is to compute.
    suffix : str
        What follows the name in that of the file.

    Returns
    -------
    SSLEncoder or SSLVQTokenizer
        Fitted, for series of this length.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {list(NAMES)}, got {name!r}.")
    check_length(n_timepoints, "n_timepoints")
    return read_weights(name + suffix, device)._of_length(n_timepoints)
