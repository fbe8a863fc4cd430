"""Reproducible property tests, and one thread per worker."""

import os

# Workers share the cores, so none may take more than one. Libraries read this when they
# are imported; numba, which is umap's, otherwise gives torch its own number of threads.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile(
    "deterministic", derandomize=True, deadline=None, max_examples=25, database=None
)
settings.load_profile("deterministic")
