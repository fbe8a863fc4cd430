"""Trainings that go on where they were stopped: the file of their state."""

import io
import os
import time

import joblib
import torch

from sktsrep._files import write_atomically
from sktsrep._ranks import from_first, is_first

__all__ = ["Checkpoint", "identity"]

# Epochs that are shorter share a checkpoint.
_SECONDS = 1.0


class Checkpoint:
    """File with the state of a training after an epoch.

    Parameters
    ----------
    path : str or path-like
        The file.
    identity : str
        What the training is of, see :func:`identity`.
    device : torch.device
        Where to load tensors.
    """

    def __init__(self, path, identity, device):
        self.path = path
        self.identity = identity
        self.device = device
        self.written_at = -_SECONDS

    def read(self):
        """Read the state; None without a file.

        Where processes train together, the first alone reads and writes.

        Raises
        ------
        ValueError
            When the file is of another training, or none of a training.
        """
        contents = from_first(self._contents() if is_first() else None)
        if contents is None:
            return None
        name = os.fspath(self.path)
        try:
            # Nothing but tensors and plain values.
            file = torch.load(
                io.BytesIO(contents), map_location=self.device, weights_only=True
            )
            written_by, state = file["identity"], file["state"]
        except Exception as error:
            raise ValueError(
                f"{name!r} is no checkpoint. Give another path, or delete the file. "
                f"Reading it ended in {error!r}."
            ) from error
        if written_by != self.identity:
            raise ValueError(
                f"The checkpoint {name!r} is of a fit with other data or parameters. "
                "Give back those, or another path, or delete the file."
            )
        return state

    def _contents(self):
        if not os.path.exists(self.path):
            return None
        with open(self.path, "rb") as file:
            return file.read()

    @property
    def is_due(self):
        """Whether the last one was written long enough ago."""
        return time.monotonic() - self.written_at >= _SECONDS

    def write(self, state):
        """Replace the file, which is complete at any moment."""
        buffer = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, buffer)
        write_atomically(self.path, buffer.getbuffer())
        self.written_at = time.monotonic()


def identity(*facts):
    """Tell trainings apart by what they start from.

    Parameters
    ----------
    *facts : object
        Anything that can be pickled.

    Returns
    -------
    str

    Examples
    --------
    >>> identity("vae", torch.ones(3)) == identity("vae", torch.ones(3))
    True
    >>> identity("vae", torch.ones(3)) == identity("vae", torch.zeros(3))
    False
    """
    arrays = [
        fact.numpy(force=True) if torch.is_tensor(fact) else fact for fact in facts
    ]
    return joblib.hash(arrays)
