"""Devices, seeds, and inference in chunks: what needs torch but no training."""

import threading
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils.validation import check_random_state

__all__ = [
    "apply_in_chunks",
    "as_series",
    "isolated_random_state",
    "random_seed",
    "resolve_device",
    "to_tensor",
]


_DEVICES = "device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'"

# Rows that a forward pass takes without gradient. The number is fixed and the last
# chunk is filled up: matrix kernels differ in the last bit between batch sizes, and a
# row's result must not depend on its neighbors.
_CHUNK_SIZE = {"cpu": 64, "cuda": 1024}


def resolve_device(device):
    """Find the torch device that a ``device`` parameter means.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is CUDA when available, otherwise the CPU.

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


def random_seed(random_state):
    """Draw a seed for torch from a scikit-learn ``random_state``."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


# Threads share torch's generators: one at a time may borrow them.
_GENERATORS = threading.RLock()


@contextmanager
def isolated_random_state(seed, device):
    """Seed torch for a block of code and restore its random state afterwards.

    Layers draw their initial weights from the global generator only, and dropout its
    masks. It is therefore borrowed, not avoided; other threads wait meanwhile.
    """
    cuda = [device] if device.type == "cuda" else []
    with _GENERATORS, torch.random.fork_rng(devices=cuda):
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


def as_series(x):
    """Give (n_samples, n_timepoints) a channel axis; leave three axes alone."""
    return x.unsqueeze(1) if x.ndim == 2 else x


def apply_in_chunks(function, device, *tensors):
    """Apply ``function`` to rows of host tensors; return its rows on the host.

    The function sees chunks of one fixed size on the device, which bounds its memory.
    """
    size = _CHUNK_SIZE[device.type]
    outputs = []
    with torch.inference_mode():
        for chunk in zip(*(t.split(size) for t in tensors), strict=True):
            n_rows = len(chunk[0])
            rows = torch.arange(size).clamp(max=n_rows - 1)
            result = function(*(part[rows].to(device) for part in chunk))
            outputs.append(result[:n_rows].cpu())
    return torch.cat(outputs)
