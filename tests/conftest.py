"""Reproducible property tests, one torch thread."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile(
    "deterministic", derandomize=True, deadline=None, max_examples=25, database=None
)
settings.load_profile("deterministic")
