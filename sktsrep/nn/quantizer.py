"""What every quantizer is: latent vectors to tokens and back."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sktsrep.functional import perplexity

__all__ = ["QuantizerModule", "straight_through", "token_counts"]


class QuantizerModule(nn.Module):
    """Base of the quantizers; a new one defines the methods that raise here.

    A place is a position of the latent map. Its ``depth`` tokens stand side by side.

    Parameters
    ----------
    n_codes : int
        Values of a token.
    dim : int
        Dimension of latent vectors and codes.

    Attributes
    ----------
    depth : int
        Tokens per place.
    no_decay : tuple of str
        Names of parameters that weight decay must not shrink.
    codebook : Tensor of shape (n_codes, dim)
        The code of every token. A place's codes add up to its quantized vector.
    """

    depth = 1
    no_decay: tuple[str, ...] = ()
    codebook: Tensor
    epoch_counts: Tensor

    def __init__(self, n_codes: int, dim: int) -> None:
        super().__init__()
        self.n_codes = n_codes
        self.dim = dim
        self.register_buffer("epoch_counts", torch.zeros(n_codes), persistent=False)

    def start(self, vectors: Tensor) -> None:
        """Learn what depends on data, from latent vectors (n_vectors, dim)."""

    def go_on(self) -> None:
        """Begin another training of tensors that are trained already."""

    def encode(self, z: Tensor) -> Tensor:
        """Map (batch, dim, places) to tokens (batch, places * depth)."""
        raise NotImplementedError(f"{type(self).__name__} defines no encode.")

    def lookup(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, places * depth) to (batch, dim, places)."""
        codes = F.embedding(tokens, self.codebook)  # (batch, places * depth, dim)
        places = codes.unflatten(1, (-1, self.depth))  # (batch, places, depth, dim)
        return places.sum(dim=2).movedim(-1, 1)

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Do what :meth:`forward` does, in single precision."""
        raise NotImplementedError(f"{type(self).__name__} defines no quantize.")

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Quantize (batch, dim, places) for training.

        Returns
        -------
        z_q : Tensor of shape (batch, dim, places)
            Quantized vectors, which pass the gradient on to ``z``.
        tokens : Tensor of shape (batch, places * depth), int64
        terms : dict of str to scalar Tensor
            Loss terms, whose names end in ``_loss``.
        """
        # Distances and averages need the precision that prediction has.
        with torch.autocast(z.device.type, enabled=False):
            z_q, tokens, terms = self.quantize(z.float())
        if self.training:
            self.epoch_counts += token_counts(tokens, self.n_codes)
        return z_q, tokens, terms

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute perplexity and the share of codes in use since the last call."""
        metrics = {
            "perplexity": perplexity(self.epoch_counts),
            "codebook_usage": (self.epoch_counts > 0).float().mean(),
        }
        self.epoch_counts.zero_()
        return metrics


def token_counts(tokens: Tensor, n_codes: int) -> Tensor:
    """How often every token occurs, without waiting for the device."""
    flat = tokens.flatten()
    counts = torch.zeros(n_codes, device=flat.device)
    return counts.index_add_(0, flat, torch.ones_like(flat, dtype=counts.dtype))


def straight_through(z: Tensor, z_q: Tensor) -> Tensor:
    """The value of ``z_q`` with the gradient of ``z``."""
    return z + (z_q - z).detach()
