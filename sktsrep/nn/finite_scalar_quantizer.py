"""Finite scalar quantization: a codebook that is not learned."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sktsrep.functional import (
    finite_scalar_round,
    finite_scalar_tokens,
    finite_scalar_values,
)
from sktsrep.nn.quantizer import QuantizerModule

__all__ = ["FiniteScalarQuantizer"]


class FiniteScalarQuantizer(QuantizerModule):
    """Round a few bounded directions of the latent vectors to fixed levels.

    Linear maps lead from the latent vector to one number per entry of ``levels`` and
    back. There is no codebook to learn, no commitment loss, and no code that dies.

    Parameters
    ----------
    levels : sequence of int
        Levels of every direction, each at least 2; a token tells all of them.
    dim : int
        Dimension of the latent vectors.

    References
    ----------
    Mentzer et al. 2023, "Finite scalar quantization", arXiv 2309.15505.

    Examples
    --------
    >>> import torch
    >>> quantizer = FiniteScalarQuantizer([3, 2], dim=4)
    >>> z_q, tokens, terms = quantizer(torch.randn(3, 4, 5))
    >>> z_q.shape, quantizer.n_codes, terms
    (torch.Size([3, 4, 5]), 6, {})
    """

    def __init__(self, levels: Sequence[int], dim: int) -> None:
        super().__init__(math.prod(levels), dim)
        self.levels = tuple(levels)
        self.project_in = nn.Linear(dim, len(self.levels))
        self.project_out = nn.Linear(len(self.levels), dim)

    @property
    def codebook(self) -> Tensor:  # type: ignore[override]
        """The code of every token, (n_codes, dim)."""
        tokens = torch.arange(self.n_codes, device=self.project_out.weight.device)
        return self.project_out(finite_scalar_values(tokens, self.levels))

    @torch.no_grad()
    def start(self, vectors: Tensor) -> None:
        """Begin with the principal components of latent vectors (n_vectors, dim)."""
        mean = vectors.mean(dim=0)
        _, spread, components = torch.linalg.svd(
            (vectors - mean) / len(vectors) ** 0.5, full_matrices=False
        )
        n = min(len(self.levels), len(components))
        # Directions without spread would only amplify rounding.
        spread = spread[:n].clamp(min=1e-3 * spread[0].item() + 1e-12)
        directions = components[:n] / spread.unsqueeze(1)  # (n, dim)
        self.project_in.weight[:n] = directions
        self.project_in.bias[:n] = -directions @ mean
        self.project_out.weight[:, :n] = (components[:n] * spread.unsqueeze(1)).T
        self.project_out.bias.copy_(mean)

    def _values(self, z: Tensor) -> Tensor:
        return finite_scalar_round(self.project_in(z.movedim(1, -1)), self.levels)

    def encode(self, z: Tensor) -> Tensor:
        """Map (batch, dim, places) to tokens (batch, places)."""
        return finite_scalar_tokens(self._values(z), self.levels)

    def lookup(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, places) to (batch, dim, places)."""
        values = finite_scalar_values(tokens, self.levels)
        return self.project_out(values).movedim(-1, 1)

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Quantize; the rounding alone passes the gradient straight through."""
        values = self._values(z)  # (batch, places, levels)
        tokens = finite_scalar_tokens(values.detach(), self.levels)
        return self.project_out(values).movedim(-1, 1), tokens, {}
