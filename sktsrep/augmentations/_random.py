"""Random numbers and masks that augmentations draw, like a tensor ``x`` of series."""

import torch


def uniform(x, *shape, low=0.0, high=1.0, generator=None):
    """Uniform numbers of the dtype and on the device of ``x``."""
    draws = torch.empty(shape, dtype=x.dtype, device=x.device)
    return draws.uniform_(low, high, generator=generator)


def normal(x, *shape, generator=None):
    """Standard normal numbers of the dtype and on the device of ``x``."""
    return torch.randn(shape, dtype=x.dtype, device=x.device, generator=generator)


def random_order(batch, size, device, generator):
    """A random permutation in every row, (batch, size)."""
    return torch.rand(batch, size, device=device, generator=generator).argsort(dim=1)


def span_mask(batch, size, width, device, generator):
    """True inside one random span of ``width * size`` places of every row."""
    length = max(round(width * size), 0)
    start = torch.randint(
        size - length + 1, (batch, 1), device=device, generator=generator
    )
    place = torch.arange(size, device=device)
    return (place >= start) & (place < start + length)  # (batch, size)
