"""Devices, seeds, and inference in chunks: what needs torch but no training."""

import atexit
import os
import threading
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from sklearn.utils.validation import check_random_state

from sktsrep._config import is_batch_invariant
from sktsrep._warnings import warn_user

__all__ = [
    "apply_in_chunks",
    "as_series",
    "available_device",
    "end_with_interpreter",
    "isolated_random_state",
    "make_generators",
    "random_seed",
    "resolve_device",
    "to_device",
    "to_tensor",
    "torch_defaults",
]


_DEVICES = "device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'"

# Rows that a forward pass takes without gradient. Kernels differ in the last bit
# between batch sizes, and a row's result must not depend on its neighbors: chunks have
# one fixed size, and the last one is filled up. Smaller sizes are for callers of
# ``config_context(batch_invariant=False)``, who do not need that.
_CHUNK_SIZE = {"cpu": 64, "cuda": 2048}
_SMALL_SIZES = (1, 8)


def resolve_device(device):
    """Find the torch device that a ``device`` parameter means.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is CUDA when available, otherwise the CPU. CUDA without an index is
        the GPU of this process where several train together.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        When the device is unknown or unavailable.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if str(device) == "cuda" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        device = _device_of_rank()
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


def _device_of_rank():
    """The GPU of a process among several, as torchrun counts them on a machine."""
    rank = int(os.environ.get("LOCAL_RANK", 0))
    return f"cuda:{rank % max(torch.cuda.device_count(), 1)}"


def available_device(device):
    """Give the device, or the CPU with a warning where it is unavailable.

    A model that was fitted on a GPU must open on a machine without it.
    """
    try:
        return resolve_device(device)
    except ValueError as error:
        warn_user(f"{error} The CPU is used instead.", UserWarning)
        return torch.device("cpu")


def random_seed(random_state):
    """Draw a seed for torch from a ``random_state``, or from a numpy Generator."""
    largest = np.iinfo(np.int32).max
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(largest))
    return int(check_random_state(random_state).randint(largest))


def make_generators(seed, device):
    """Make torch generators with one seed, for the host and for the device."""
    host = torch.Generator().manual_seed(seed)
    if device.type == "cpu":
        return host, host
    return host, torch.Generator(device).manual_seed(seed)


@contextmanager
def torch_defaults(*, training=False):
    """Set aside what the caller has changed in torch, for a block of code.

    This is autocast and the default device and, for training, the modes without
    gradient. For the default dtype see :func:`isolated_random_state`.
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if training:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        yield


# Threads share torch's generators: one at a time may borrow them.
_GENERATORS = threading.RLock()


def _renew_lock():
    """A forked process must not wait for threads that it does not have."""
    global _GENERATORS
    _GENERATORS = threading.RLock()
    torch.set_num_threads(1)  # OpenMP would wait, too; DataLoader's workers do the same


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

_EXITING = threading.Event()
_BORROWERS = set()  # threads that train, or wait for it


@atexit.register
def _end_trainings():
    """Ask a training in a daemon thread to end, and wait for it.

    An interpreter that ends would stop the thread inside torch, which then aborts.
    """
    borrowers = list(_BORROWERS - {threading.current_thread()})
    _EXITING.set()
    for thread in borrowers:
        thread.join(timeout=10)


def end_with_interpreter():
    """Leave the thread, between two steps, where the interpreter is about to end."""
    if _EXITING.is_set():
        raise SystemExit


@contextmanager
def isolated_random_state(seed, device):
    """Seed torch for a block of code and restore its random state afterwards.

    Layers draw their initial weights from the global generator only, and dropout its
    masks. It is therefore borrowed, not avoided; other threads wait meanwhile. The
    default dtype is one for all threads, too: within the block it is float32.
    """
    cuda = [device] if device.type == "cuda" else []
    thread = threading.current_thread()
    with ExitStack() as stack:
        if thread not in _BORROWERS:  # blocks may be nested
            _BORROWERS.add(thread)
            stack.callback(_BORROWERS.discard, thread)
        stack.enter_context(_GENERATORS)
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        torch.random.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def to_tensor(X, device):
    """Copy an array to the device, float16 as float32."""
    dtype = np.float32 if X.dtype == np.float16 else X.dtype
    # Always a copy: torch takes neither read-only nor reversed arrays.
    return torch.from_numpy(np.array(X, dtype=dtype, order="C")).to(device)


def to_device(device, *arrays):
    """Copy arrays to the device, as tensors."""
    return [to_tensor(array, device) for array in arrays]


def as_series(x):
    """Give (n_samples, n_timepoints) a channel axis; leave three axes alone."""
    return x.unsqueeze(1) if x.ndim == 2 else x


def apply_in_chunks(function, device, *rows, dtype=None, size=None):
    """Apply ``function`` to rows of arrays or tensors on the host.

    The function sees chunks of fixed sizes on the device, which bounds its memory.

    Parameters
    ----------
    function : callable
        Maps tensors on the device to a tensor with as many rows.
    device : torch.device
        Where it computes.
    *rows : ndarray or Tensor
        As many rows each.
    dtype : torch.dtype, default=None
        Type of the result; None keeps that of the function.
    size : int, default=None
        Rows of a chunk; None is the usual size.

    Returns
    -------
    Tensor
        All rows of the result, on the host.
    """
    largest, n_rows = size or _CHUNK_SIZE[device.type], len(rows[0])
    sizes = (largest,) if is_batch_invariant() else (*_SMALL_SIZES, largest)
    result = None
    with torch.inference_mode(), torch_defaults():
        for start in range(0, n_rows, largest):
            stop = min(start + largest, n_rows)
            size = next(size for size in sizes if size >= stop - start)
            whole = torch.arange(size).clamp(max=stop - start - 1)
            chunk = (_as_tensor(part[start:stop])[whole].to(device) for part in rows)
            output = function(*chunk)
            if result is None:
                shape = (n_rows, *output.shape[1:])
                with torch.inference_mode(False):  # it may be trained on
                    result = torch.empty(shape, dtype=dtype or output.dtype)
            result[start:stop] = output[: stop - start]
    return result


def _as_tensor(rows):
    return rows if torch.is_tensor(rows) else to_tensor(rows, "cpu")
