"""TimeVQVAE's modules in a training loop of our own, for ``generation.py``.

The package has no loop. Modules are those of its README. Optimizer and batches are
AdamW with learning rates of 0.005 and 0.001, and 32 series; the rates fall on a cosine.
Half of the time goes to each stage.
"""

import math
import time

import numpy as np
import torch

try:
    from timevqvae.maskgit import MaskGIT, PriorModelConfig
    from timevqvae.vqvae import VQVAE
except ImportError:
    VQVAE = None

BATCH_SIZE = 32
N_FIRST = 256  # series from which k-means makes the codebooks
N_CODES = 1024


class Peer:
    """TimeVQVAE with ``fit`` and ``sample``, on standardized channels."""

    def __init__(self, cpu_seconds, seed):
        self.cpu_seconds = cpu_seconds
        self.seed = seed

    def fit(self, X, y=None):
        """Train both stages, each for half of the CPU seconds."""
        torch.manual_seed(self.seed)
        X = X.reshape(len(X), -1, X.shape[-1])
        self.mean = X.mean(axis=(0, 2), keepdims=True)
        self.scale = X.std(axis=(0, 2), keepdims=True)
        x = torch.tensor((X - self.mean) / self.scale, dtype=torch.float32)
        self.classes, labels = np.unique(
            np.zeros(len(X)) if y is None else y, return_inverse=True
        )
        budget = self.cpu_seconds / 2
        vqvae = fit_tokenizer(x, budget)
        labels = torch.tensor(labels).unsqueeze(1)  # (n_samples, 1)
        self.maskgit = fit_prior(vqvae, x, labels, len(self.classes), budget)
        return self

    @torch.no_grad()
    def sample(self, n_samples, y=None):
        """Draw series (n_samples, n_channels, n_timepoints)."""
        y = np.zeros(n_samples) if y is None else y
        labels = torch.tensor(np.searchsorted(self.classes, y)).unsqueeze(1)
        self.maskgit.eval()
        # Chunks of nearly equal size: the package squeezes away a batch of one series.
        chunks = labels.tensor_split(math.ceil(n_samples / 256))
        x = torch.cat([self._sample_chunk(chunk) for chunk in chunks])
        return x.double().numpy() * self.scale + self.mean

    def _sample_chunk(self, labels):
        tokens = self.maskgit.iterative_decoding(len(labels), "cosine", labels)
        bands = zip(tokens, ("lf", "hf"), strict=True)
        return sum(self.maskgit.decode_token_ind_to_timeseries(*band) for band in bands)


def fit_tokenizer(x, cpu_seconds):
    """Train the first stage."""
    vqvae = VQVAE(in_channels=x.shape[1], input_length=x.shape[2]).train()

    def loss(series):
        output = vqvae(series)
        codebook = sum(losses["loss"] for losses in output.vq_losses.values())
        return sum(output.recons_loss.values()) + codebook

    start = time.process_time()
    with torch.no_grad():
        vqvae(x[torch.randperm(len(x))[:N_FIRST]])
    train(vqvae, loss, [x], 5e-3, start, cpu_seconds)
    return vqvae


def fit_prior(vqvae, x, labels, n_classes, cpu_seconds):
    """Train the second stage."""
    shared = dict(ff_mult=1, use_rmsnorm=True, p_unconditional=0.2)
    maskgit = MaskGIT(
        vqvae=vqvae,
        lf_choice_temperature=10.0,
        hf_choice_temperature=0.0,
        lf_num_sampling_steps=10,
        hf_num_sampling_steps=10,
        lf_codebook_size=N_CODES,
        hf_codebook_size=N_CODES,
        transformer_embedding_dim=128,
        lf_prior_model_config=PriorModelConfig(128, n_layers=4, heads=2, **shared),
        hf_prior_model_config=PriorModelConfig(32, n_layers=1, heads=1, **shared),
        classifier_free_guidance_scale=1.0,
        n_classes=n_classes,
    ).train()

    def loss(*batch):
        return maskgit(*batch).total_mask_prediction_loss

    train(maskgit, loss, [x, labels], 1e-3, time.process_time(), cpu_seconds)
    return maskgit


def train(module, loss, tensors, lr, start, cpu_seconds):
    """Make optimizer steps until ``cpu_seconds`` have gone by since ``start``."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=lr)
    while True:
        for rows in torch.randperm(len(tensors[0])).split(BATCH_SIZE):
            share = (time.process_time() - start) / cpu_seconds
            if share >= 1:
                return
            optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * share)) / 2
            optimizer.zero_grad()
            loss(*(tensor[rows] for tensor in tensors)).backward()
            optimizer.step()
