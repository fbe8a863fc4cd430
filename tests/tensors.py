"""Random tensors, and strategies that draw their seeds and sizes."""

import torch
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)
small = st.integers(1, 9)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=generator(seed))
