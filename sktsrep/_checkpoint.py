"""Trainings that go on where they were stopped: the file of their state."""

import glob
import io
import os
import time
from pathlib import Path
from pickle import PicklingError
from types import CodeType, FunctionType

import torch
from joblib.hashing import NumpyHasher

from sktsrep._files import write_atomically
from sktsrep._ranks import from_first, is_first

__all__ = ["Checkpoint", "identity"]

# Epochs that are shorter share a checkpoint, and longer ones have one so often.
_SECONDS = 1.0
_SECONDS_IN_EPOCH = 30.0


class Checkpoint:
    """File with the state of a training after an epoch, or within a long one.

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
        self.written_at = time.monotonic()

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
        # What a process left that was killed while it wrote.
        path = Path(os.path.realpath(self.path))
        for temporary in path.parent.glob(f"{glob.escape(path.name)}.*.tmp"):
            temporary.unlink(missing_ok=True)
        if not os.path.exists(self.path):
            return None
        with open(self.path, "rb") as file:
            return file.read()

    def is_due(self, *, in_epoch=False):
        """Whether the last one was written long enough ago."""
        seconds = _SECONDS_IN_EPOCH if in_epoch else _SECONDS
        return time.monotonic() - self.written_at >= seconds

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
        Anything that can be pickled, and functions.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        For what cannot be pickled.

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
    try:
        return _Hasher("md5").hash(arrays)
    except PicklingError as error:
        raise TypeError(
            "What is trained cannot be told from other fits, because a parameter "
            f"cannot be pickled: {error.args[0]!s:.200}"
        ) from error


class _Hasher(NumpyHasher):
    """Joblib's, which tells functions by what they do: pickles know only names."""

    def __init__(self, hash_name):
        super().__init__(hash_name)
        self.functions = []

    def save(self, obj):
        """Pickle an object into the hash."""
        is_others = isinstance(obj, FunctionType) and not _is_own(obj)
        if is_others and not any(obj is function for function in self.functions):
            self.functions.append(obj)  # some hold themselves
            cells = [cell.cell_contents for cell in obj.__closure__ or ()]
            obj = obj.__code__, obj.__defaults__, obj.__kwdefaults__, cells
        elif is_others:
            obj = obj.__qualname__
        elif isinstance(obj, CodeType):
            obj = obj.co_code, obj.co_consts, obj.co_names
        super().save(obj)


def _is_own(function):
    return str(function.__module__).startswith("sktsrep.")
