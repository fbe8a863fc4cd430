"""Rows of large data: blocks of them, and where they lie."""

import math
import os
import tempfile

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils import gen_batches

__all__ = ["empty_array", "empty_rows", "row_blocks", "stored"]

# Series that are prepared at once: temporary copies of all take many times their space.
_ROWS_AT_ONCE = 1024

# Training data take at most this share of the free memory of a GPU: a network and its
# steps need the rest.
_SHARE_OF_GPU = 1 / 2


def row_blocks(n_rows):
    """Cut rows into slices that are prepared one at a time."""
    return gen_batches(n_rows, _ROWS_AT_ONCE)


def empty_array(shape, dtype):
    """Make an array; a large one lies in a temporary file that is mapped into memory.

    Large is what takes more than scikit-learn's ``working_memory``. The system keeps of
    the file what fits into free memory. The file goes with the last reference to the
    array: it has no name, or is deleted by the system when it is closed.

    Raises
    ------
    OSError
        When the folder of temporary files has no room.

    Examples
    --------
    >>> import sklearn
    >>> type(empty_array((2, 3), np.float32)).__name__
    'ndarray'
    >>> with sklearn.config_context(working_memory=0):
    ...     type(empty_array((2, 3), np.float32)).__name__
    'memmap'
    """
    n_bytes = _n_bytes(shape, dtype)
    if n_bytes <= get_config()["working_memory"] * 2**20:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # the map has a handle of its own
        _reserve(file, n_bytes)
        return np.memmap(file, dtype, "w+", shape=shape)


def _n_bytes(shape, dtype):
    return math.prod(shape) * np.dtype(dtype).itemsize


def _reserve(file, n_bytes):
    """Take the room now: a mapped file on a full disk would end the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), 0, n_bytes)
    except OSError as error:
        raise OSError(
            error.errno,
            f"A temporary file of {n_bytes / 2**30:.3g} GiB in {tempfile.gettempdir()} "
            f"could not be made: {error.strerror}. Data that take more than "
            "scikit-learn's working_memory lie in one. Set the environment variable "
            "TMPDIR to a folder with more room, or raise working_memory by "
            "sklearn.set_config",
        ) from error


def empty_rows(shape, dtype, device):
    """Make a tensor for training data on the device, or on the host if it is large.

    On the host it lies where :func:`empty_array` puts it.
    """
    name = str(dtype).removeprefix("torch.")
    if device.type == "cpu" or not _has_room(device, _n_bytes(shape, name)):
        return torch.from_numpy(empty_array(shape, name))
    return torch.empty(shape, dtype=dtype, device=device)


def _has_room(device, n_bytes):
    """Whether training data fit beside a network; other devices do not tell."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return n_bytes <= _SHARE_OF_GPU * free


def stored(parts, n_rows, device):
    """Put parts of training data, tensors of consecutive rows, into one tensor.

    It lies where :func:`empty_rows` puts it.

    Examples
    --------
    >>> stored(iter([torch.ones(2, 1), torch.zeros(1, 1)]), 3, torch.device("cpu"))
    tensor([[1.],
            [1.],
            [0.]])
    """
    whole, start = None, 0
    for part in parts:
        if whole is None:
            whole = empty_rows((n_rows, *part.shape[1:]), part.dtype, device)
        whole[start : start + len(part)] = part
        start += len(part)
    return whole
