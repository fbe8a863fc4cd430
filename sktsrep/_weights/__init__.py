"""Weights that come with the package."""

from importlib.resources import as_file, files
from numbers import Integral

from sktsrep._device import resolve_device
from sktsrep._files import read

__all__ = ["NAMES", "check_length", "read_weights"]

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


def read_weights(name, device):
    """Read an encoder of one channel.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    device : str or torch.device
        Where it is to compute.

    Returns
    -------
    SSLEncoder
        Fitted.
    """
    resolved = resolve_device(device)
    with as_file(files("sktsrep") / "_weights" / f"{name}.safetensors") as path:
        encoder, _ = read(path)
    encoder.set_params(device=device)
    encoder.net_.set_params(device=str(resolved))
    encoder.net_.module_.to(resolved)
    return encoder
