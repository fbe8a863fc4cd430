"""Vector quantizer."""

import torch
import torch.nn.functional as F
from torch import nn

from sktsrep.functional import (
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    orthogonal_loss,
    perplexity,
)

__all__ = ["VectorQuantizer"]


class VectorQuantizer(nn.Module):
    r"""Replace latent vectors by their nearest codes, with a straight-through gradient.

    ``z + sg(z_q - z)``: the encoder gets the decoder's gradient unchanged, and the
    codebook learns from the codebook loss or from moving averages, never from the
    reconstruction.

    Parameters
    ----------
    n_codes, dim : int
        Size of the codebook.
    update : {"ema", "gradient"}
        Exponential moving averages of the vectors assigned to each code, with Laplace
        smoothing, or the codebook loss.
    decay : float
        Of the moving averages of counts (both updates) and sums. It is grown into, at
        most ``n / (n + 10)`` at step ``n``: with a long memory from the start, the
        codes lose an encoder that moves fast.
    commitment_weight, orthogonal_weight : float
        Weights of the loss terms.
    revival_threshold : float
        A code is dead once its moving average of counts is below this share of the
        mean; it restarts at a random vector of the batch. 0 turns it off.

    References
    ----------
    van den Oord et al. 2017, "VQ-VAE", arXiv 1711.00937, section 3 and appendix A.

    Examples
    --------
    >>> import torch
    >>> quantizer = VectorQuantizer(n_codes=4, dim=2)
    >>> z_q, tokens, losses = quantizer(torch.randn(3, 2, 5))
    >>> z_q.shape, tokens.shape, sorted(losses)
    (torch.Size([3, 2, 5]), torch.Size([3, 5]), ['commitment_loss'])
    """

    def __init__(
        self,
        n_codes,
        dim,
        update="ema",
        decay=0.99,
        commitment_weight=0.25,
        orthogonal_weight=0.0,
        revival_threshold=0.05,
    ):
        super().__init__()
        self.update = update
        self.decay = decay
        self.commitment_weight = commitment_weight
        self.orthogonal_weight = orthogonal_weight
        self.revival_threshold = revival_threshold
        self.n_steps = 0
        codebook = torch.randn(n_codes, dim)
        if update == "ema":
            self.register_buffer("codebook", codebook)
            self.register_buffer("sums", codebook.clone())
        else:
            self.codebook = nn.Parameter(codebook)
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("epoch_counts", torch.zeros(n_codes), persistent=False)

    @torch.no_grad()
    def start(self, codes):
        """Begin at the given codes (n_codes, dim), each as if in equal use."""
        self.codebook.copy_(codes)
        self.counts.fill_(1)
        if self.update == "ema":
            self.sums.copy_(codes)

    def lookup(self, tokens):
        """(batch, tokens) -> (batch, dim, tokens)."""
        return F.embedding(tokens, self.codebook).movedim(-1, 1)

    def encode(self, z):
        """(batch, dim, tokens) -> nearest codes (batch, tokens)."""
        return codebook_lookup(z.movedim(1, -1), self.codebook)

    def forward(self, z):
        """Quantize (batch, dim, tokens); also the tokens and the loss terms."""
        # Distances and averages need the precision, and predicting has it.
        with torch.autocast(z.device.type, enabled=False):
            return self._quantize(z.float())

    def _quantize(self, z):
        tokens = self.encode(z.detach())
        z_q = self.lookup(tokens)
        losses = {"commitment_loss": self.commitment_weight * commitment_loss(z, z_q)}
        if self.update == "gradient":
            losses["codebook_loss"] = codebook_loss(z, z_q)
            if self.orthogonal_weight:
                # Of a copy: reviving codes below must not touch what backward needs.
                orthogonal = orthogonal_loss(self.codebook.clone())
                losses["orthogonal_loss"] = self.orthogonal_weight * orthogonal
        straight_through = z + (z_q - z).detach()
        if self.training:
            self._follow(z.detach().movedim(1, -1).flatten(end_dim=1), tokens.flatten())
        return straight_through, tokens, losses

    @torch.no_grad()
    def _follow(self, vectors, tokens):
        """Move averages (and, with ``ema``, codes) towards a batch's vectors."""
        # Averages over few steps at first: codes must follow a fast encoder.
        self.n_steps += 1
        decay = min(self.decay, self.n_steps / (self.n_steps + 10))
        ones = torch.ones_like(vectors[:, 0])
        batch_counts = torch.zeros_like(self.counts).index_add_(0, tokens, ones)
        self.epoch_counts += batch_counts
        # As shares of a uniform use: 1 means the code has its fair part.
        share = batch_counts * (len(self.counts) / len(tokens))
        self.counts.lerp_(share, 1 - decay)
        if self.update == "ema":
            sums = torch.zeros_like(self.sums).index_add_(0, tokens, vectors)
            self.sums.lerp_(sums * (len(self.counts) / len(tokens)), 1 - decay)
            self.codebook.copy_(self.sums / self._smoothed_counts().unsqueeze(1))
        if self.revival_threshold:
            self._revive(vectors)

    def _smoothed_counts(self, eps=1e-5):
        total = self.counts.sum()
        return (self.counts + eps) / (total + len(self.counts) * eps) * total

    def _revive(self, vectors):
        # Masks instead of indices: no waiting for the device.
        dead = self.counts < self.revival_threshold
        choice = torch.randint(len(vectors), (len(dead),), device=vectors.device)
        fresh = vectors[choice]
        self.codebook.copy_(torch.where(dead.unsqueeze(1), fresh, self.codebook))
        self.counts.masked_fill_(dead, 1)
        if self.update == "ema":
            self.sums.copy_(torch.where(dead.unsqueeze(1), fresh, self.sums))

    def epoch_metrics(self):
        """Perplexity and the share of codes in use since the last call."""
        metrics = {
            "perplexity": perplexity(self.epoch_counts),
            "codebook_usage": (self.epoch_counts > 0).float().mean(),
        }
        self.epoch_counts = torch.zeros_like(self.epoch_counts)
        return metrics
