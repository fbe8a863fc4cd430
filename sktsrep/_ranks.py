"""Processes that train one network together: ranks of ``torch.distributed``.

Every rank has all the data and makes the same draws. It computes its own share of a
batch where that takes time, in encoders, decoders and transformers. What they give is
small: it is gathered from all ranks, and whatever looks at more than one series, such
as an objective or a quantizer, sees the whole batch on every rank. So all ranks have
the same losses and make the same decisions.

Outside of :func:`joined`, and without other processes, nothing here does anything.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = [
    "agree",
    "average_gradients",
    "copy_first",
    "from_first",
    "gather",
    "is_first",
    "joined",
    "mean_of_ranks",
    "n_ranks",
    "note_interrupt",
    "own_draws",
    "share",
    "stop_together",
    "total",
]

Rows = TypeVar("Rows", Tensor, Tensor | None)


class _Group:
    """What the running training knows of its ranks; one process outside of it."""

    rank = 0
    size = 1
    device = torch.device("cpu")
    is_interrupted = False


_GROUP = _Group()


def n_ranks() -> int:
    """Count the processes that take part in the running training."""
    return _GROUP.size


def is_first() -> bool:
    """Whether this is the one process that prints and writes."""
    return _GROUP.rank == 0


# ------------------------------------------------------------------------- the group


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Train with the other ranks, if there are any, for a block of code.

    Ctrl-C waits for :func:`stop_together`, because the other ranks would wait for ever
    for one that left between two exchanges.
    """
    if _GROUP.size > 1 or not _open_group():  # blocks may be nested
        yield
        return
    on_device = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    with on_device, _noted_interrupts():
        _GROUP.rank, _GROUP.size = dist.get_rank(), dist.get_world_size()
        _GROUP.device = device
        try:
            yield
        finally:
            _GROUP.rank, _GROUP.size = 0, 1


def _open_group() -> bool:
    """Whether there is a group; open the one that the environment tells of.

    It tells of one where torchrun or another launcher has started the process.
    """
    if not dist.is_available():
        return False
    # Processes that a rank starts, such as joblib's, inherit its environment.
    is_rank = "RANK" in os.environ and multiprocessing.parent_process() is None
    is_one_of_many = is_rank and int(os.environ.get("WORLD_SIZE", 1)) > 1
    if is_one_of_many and not dist.is_initialized():
        dist.init_process_group()  # gloo on the CPU, NCCL on GPUs
        atexit.register(_close_group)
    return dist.is_initialized() and dist.get_world_size() > 1


def _close_group() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _noted_interrupts() -> Iterator[None]:
    """Note Ctrl-C instead of raising it; raise it in the end where nobody did."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    _GROUP.is_interrupted = False
    if is_main:
        signal.signal(signal.SIGINT, lambda *_: note_interrupt())
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, handler or signal.default_int_handler)
    if _GROUP.is_interrupted:
        raise KeyboardInterrupt


def note_interrupt() -> None:
    """Ask all ranks to stop at the next :func:`stop_together`."""
    _GROUP.is_interrupted = True


def stop_together() -> None:
    """Raise KeyboardInterrupt on all ranks once one was asked to stop."""
    if _GROUP.size > 1:
        flag = torch.tensor([float(_GROUP.is_interrupted)], device=_GROUP.device)
        _raise_if_any(total(flag))


def _raise_if_any(n_interrupted: Tensor) -> None:
    if n_interrupted.item() > 0:
        _GROUP.is_interrupted = False
        raise KeyboardInterrupt


# ---------------------------------------------------------------------------- batches


def _sizes(n_rows: int) -> list[int]:
    """Rows of every rank: equal, or one more for the first ones."""
    least, n_more = divmod(n_rows, _GROUP.size)
    return [least + (rank < n_more) for rank in range(_GROUP.size)]


def share(rows: Rows) -> Rows:
    """Select the rows of a batch that this rank computes; None stays None."""
    if _GROUP.size == 1 or rows is None:
        return rows
    return rows.tensor_split(_GROUP.size)[_GROUP.rank]


def gather(rows: Tensor, n_rows: int) -> Tensor:
    """Undo :func:`share`: all ranks' rows of a batch of ``n_rows``, with gradient."""
    if _GROUP.size == 1:
        return rows
    whole: Tensor = _Gather.apply(rows.float(), n_rows)
    return whole.to(rows.dtype)


class _Gather(torch.autograd.Function):
    """The gradient of a rank's rows is the sum of the gradients on all ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, n_rows: int) -> Tensor:
        sizes = _sizes(n_rows)
        even = rows.new_zeros(sizes[0], *rows.shape[1:])
        even[: len(rows)] = rows
        parts = [torch.empty_like(even) for _ in sizes]
        dist.all_gather(parts, even)
        return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return share(total(gradient)), None


def total(x: Tensor) -> Tensor:
    """Sum a tensor over the ranks, without gradient."""
    if _GROUP.size == 1:
        return x
    x = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(x)
    return x


def mean_of_ranks(terms: dict[str, Tensor], weight: int | Tensor) -> dict[str, Tensor]:
    """Average loss terms over the ranks.

    Parameters
    ----------
    terms : dict of str to scalar Tensor
        Means over what this rank has computed.
    weight : int or scalar Tensor
        Over how many they are the means.

    Returns
    -------
    dict of str to scalar Tensor
        Means over what all ranks have computed, with gradient.
    """
    if _GROUP.size == 1 or not terms:
        return terms
    means = torch.stack([*terms.values()]).float()
    own = torch.cat([means * weight, means.new_ones(1) * weight])
    *sums, count = gather(own.unsqueeze(0), _GROUP.size).sum(dim=0).unbind()
    return {name: value / count for name, value in zip(terms, sums, strict=True)}


@contextmanager
def own_draws() -> Iterator[None]:
    """Let ranks draw different numbers, such as masks of dropout, for a block of code.

    After it, they draw the same numbers again.
    """
    if _GROUP.size == 1:
        yield
        return
    seed = int(torch.randint(2**62, ())) + _GROUP.rank
    on_gpu = _GROUP.device.type == "cuda"
    with torch.random.fork_rng(devices=[_GROUP.device] if on_gpu else []):
        torch.random.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield


# --------------------------------------------------------------------------- networks


@torch.no_grad()
def average_gradients(network: nn.Module) -> None:
    """Average gradients over the ranks; take all other tensors from the first rank.

    Those are equal up to rounding, which must not grow. Ctrl-C on any rank raises
    KeyboardInterrupt on all.
    """
    if _GROUP.size == 1:
        return
    tensors = network.state_dict(keep_vars=True).values()
    gradients = [x.grad for x in tensors if x.grad is not None]
    others = [x for x in tensors if x.grad is None and x.is_floating_point()]
    # One exchange for everything: ranks but the first add zeros to the others.
    sent = [
        *(gradient / _GROUP.size for gradient in gradients),
        *(x if is_first() else torch.zeros_like(x) for x in others),
        gradients[0].new_tensor(float(_GROUP.is_interrupted)),
    ]
    flat = torch.cat([x.flatten() for x in sent])
    dist.all_reduce(flat)
    *parts, n_interrupted = flat.split([x.numel() for x in sent])
    _raise_if_any(n_interrupted)
    for x, part in zip([*gradients, *others], parts, strict=True):
        x.copy_(part.view_as(x))


@torch.no_grad()
def copy_first(network: nn.Module) -> None:
    """Give the network of every rank the tensors of the first one's."""
    if _GROUP.size > 1:
        for x in network.state_dict().values():
            whole = x.contiguous()
            dist.broadcast(whole, src=0)
            x.copy_(whole)


# ------------------------------------------------------------------------ plain values


def from_first(value: Any) -> Any:
    """Give every rank what the first one has, anything that can be pickled."""
    if _GROUP.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def agree(value: Any) -> bool:
    """Whether a value is the same on all ranks."""
    if _GROUP.size == 1:
        return True
    values = [None] * _GROUP.size
    dist.all_gather_object(values, value)
    return all(other == values[0] for other in values)
