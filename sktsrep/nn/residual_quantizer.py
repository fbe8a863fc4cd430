"""Residual quantization: several codebooks in turn."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sktsrep.nn.quantizer import QuantizerModule, straight_through
from sktsrep.nn.vector_quantizer import VectorQuantizer

__all__ = ["ResidualQuantizer"]


class ResidualQuantizer(QuantizerModule):
    """Several vector quantizers, each on what the ones before have left over.

    A place has ``depth`` tokens side by side, from coarse to fine. Those of quantizer
    ``i`` are counted from ``i * n_codes`` of one, so that a token tells its quantizer.

    Parameters
    ----------
    make_quantizer : callable
        Makes a :class:`VectorQuantizer`, without arguments.
    depth : int
        How many there are.
    dropout : float
        Probability that a series is quantized, in training, by a random number of
        the first quantizers: it then can be told from coarse tokens, too.

    References
    ----------
    Zeghidour et al. 2021, "SoundStream", arXiv 2107.03312, section III-C.

    Examples
    --------
    >>> import torch
    >>> from sktsrep.nn import EMAQuantizer
    >>> quantizer = ResidualQuantizer(lambda: EMAQuantizer(4, dim=2), depth=3)
    >>> z_q, tokens, terms = quantizer(torch.randn(3, 2, 5))
    >>> z_q.shape, tokens.shape, quantizer.codebook.shape
    (torch.Size([3, 2, 5]), torch.Size([3, 15]), torch.Size([12, 2]))
    """

    quantizers: Sequence[VectorQuantizer]

    def __init__(
        self,
        make_quantizer: Callable[[], VectorQuantizer],
        depth: int,
        dropout: float = 0.0,
    ) -> None:
        quantizers = [make_quantizer() for _ in range(depth)]
        super().__init__(depth * quantizers[0].n_codes, quantizers[0].dim)
        self.depth = depth
        self.dropout = dropout
        self.quantizers = nn.ModuleList(quantizers)  # type: ignore[assignment]

    @property
    def codebook(self) -> Tensor:  # type: ignore[override]
        """All codes, those of the first quantizer first, (n_codes, dim)."""
        return torch.cat([quantizer.codebook for quantizer in self.quantizers])

    @torch.no_grad()
    def start(self, vectors: Tensor) -> None:
        """Start every quantizer from what those before leave of latent vectors."""
        rest = vectors.T.unsqueeze(0)  # (1, dim, n_vectors)
        for quantizer in self.quantizers:
            quantizer.start(rest[0].T)
            rest = rest - quantizer.lookup(quantizer.encode(rest))

    def go_on(self) -> None:
        """Begin another training of every quantizer."""
        for quantizer in self.quantizers:
            quantizer.go_on()

    def _tokens(self, levels: list[Tensor]) -> Tensor:
        """Tokens of every quantizer (batch, places), side by side at each place."""
        step = self.n_codes // self.depth
        tokens = [level + i * step for i, level in enumerate(levels)]
        return torch.stack(tokens, dim=-1).flatten(start_dim=1)

    def encode(self, z: Tensor) -> Tensor:
        """Map (batch, dim, places) to tokens (batch, places * depth)."""
        rest, levels = z, []
        for quantizer in self.quantizers:
            levels.append(quantizer.encode(rest))
            rest = rest - quantizer.lookup(levels[-1])
        return self._tokens(levels)

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Quantize in turn; loss terms are means over the quantizers."""
        used = self._n_used(z)
        rest, z_q, levels = z, torch.zeros_like(z), []
        terms: dict[str, Tensor] = {}
        for i, quantizer in enumerate(self.quantizers):
            code, tokens, losses = quantizer.quantize(rest)
            code = code.detach()
            z_q = z_q + torch.where(i < used, code, 0)
            rest = rest - code
            levels.append(tokens)
            for name, loss in losses.items():
                terms[name] = terms.get(name, 0) + loss / self.depth
        return straight_through(z, z_q), self._tokens(levels), terms

    def _n_used(self, z: Tensor) -> Tensor:
        """How many quantizers make up every series, (batch, 1, 1)."""
        shape = (len(z), 1, 1)
        everything = torch.full(shape, self.depth, device=z.device)
        if not self.training or not self.dropout:
            return everything
        some = torch.randint(1, self.depth + 1, shape, device=z.device)
        dropped = torch.rand(shape, device=z.device) < self.dropout
        return torch.where(dropped, some, everything)
