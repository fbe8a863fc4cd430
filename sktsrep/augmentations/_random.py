"""Random numbers and masks for the augmentations."""

import torch
from torch import Tensor

from sktsrep.functional._checks import check_generator, check_number, check_tensor


def check_series(
    x: Tensor, generator: torch.Generator | None, kind: str = "float"
) -> None:
    """Refuse what is no batch of series, or no generator for its device."""
    check_tensor(x, "x", "batch, channels, timepoints", kind)
    check_generator(generator, x.device)


def check_share(value: float, name: str) -> None:
    """Refuse what is no share between 0 and 1."""
    check_number(value, name, 0, 1)


def uniform(
    x: Tensor,
    *shape: int,
    low: float = 0.0,
    high: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw uniform numbers with the dtype and device of ``x``."""
    draws = torch.empty(shape, dtype=x.dtype, device=x.device)
    return draws.uniform_(low, high, generator=generator)


def normal(x: Tensor, *shape: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw standard normal numbers with the dtype and device of ``x``."""
    return torch.randn(shape, dtype=x.dtype, device=x.device, generator=generator)


def random_order(
    batch: int, size: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Draw a permutation per row, (batch, size)."""
    return torch.rand(batch, size, device=device, generator=generator).argsort(dim=1)


def span_mask(
    batch: int,
    size: int,
    width: float,
    device: torch.device,
    generator: torch.Generator | None,
) -> Tensor:
    """Draw a mask with one span of ``width * size`` True places per row."""
    length = max(round(width * size), 0)
    start = torch.randint(
        size - length + 1, (batch, 1), device=device, generator=generator
    )
    place = torch.arange(size, device=device)
    return (place >= start) & (place < start + length)  # (batch, size)
