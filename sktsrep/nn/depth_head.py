"""Scores of the tokens of a place, from coarse to fine."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sktsrep.nn.codes import LEAST_SPREAD, CodeEmbedding, CodeScores, make_embedding

__all__ = ["DepthHead"]

# Tokens from this level on are drawn at a lower temperature: they tell detail, and
# what is not known of it is drawn as noise.
_FINE_LEVEL = 2
_FINE_TEMPERATURE = 0.8


class DepthHead(nn.Module):
    """Score the tokens of a place one after the other, given its hidden state.

    A place has ``depth`` tokens, which a residual quantizer made from coarse to fine. A
    token's scores depend on the hidden state and on the coarser tokens of the place.
    A perceptron that all levels share takes the part of the depth transformer [1]_.

    Parameters
    ----------
    n_codes : int
        Values of a token.
    depth : int
        Tokens per place.
    dim : int
        Size of a hidden state.
    code_dim : int
        Size of a code's vector; 0 where the vectors are not known.
    tied : bool
        Whether scores are products with the codes' vectors, as of
        :class:`CodeScores`; otherwise every code has weights of its own.
    tabled : bool
        Whether codes are embedded by a table, too, beside their vectors.

    References
    ----------
    .. [1] Lee et al. 2022, "Autoregressive image generation using residual
       quantization", arXiv 2203.01941, section 3.2.

    Examples
    --------
    >>> import torch
    >>> head = DepthHead(n_codes=5, depth=3, dim=8)
    >>> tokens = torch.zeros(2, 4, 3, dtype=torch.int64)
    >>> head(torch.zeros(2, 4, 8), tokens).shape
    torch.Size([2, 4, 3, 5])
    """

    coarser: Sequence[nn.Embedding]
    scores: Sequence[nn.Linear | CodeScores]

    def __init__(
        self,
        n_codes: int,
        depth: int,
        dim: int,
        code_dim: int = 0,
        tied: bool = False,
        tabled: bool = True,
    ) -> None:
        super().__init__()
        self.depth = depth
        n_rows = n_codes if tabled else 0
        self.coarser = nn.ModuleList(  # type: ignore[assignment]
            make_embedding(n_codes, dim, code_dim, n_rows) for _ in range(depth - 1)
        )
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.Linear(dim, dim),
        )
        self.norm = nn.LayerNorm(dim)
        self.scores = nn.ModuleList(  # type: ignore[assignment]
            CodeScores(dim, n_codes, code_dim) if tied else nn.Linear(dim, n_codes)
            for _ in range(depth)
        )

    @torch.no_grad()
    def set_codes(self, levels: Tensor) -> None:
        """Take the vectors of the codes of every level, (depth, n_codes, code_dim).

        Finer levels have shorter vectors, which are to count as much.
        """
        for i, codes in enumerate(levels):
            spread = codes.std(correction=0).clamp(min=LEAST_SPREAD)
            codes = (codes - codes.mean(dim=0)) / spread
            for layer in (*self.coarser[i : i + 1], self.scores[i]):
                if isinstance(layer, CodeEmbedding | CodeScores):
                    layer.codes.copy_(codes)

    def score(self, state: Tensor, level: int) -> Tensor:
        """Map states (..., dim) to the scores of a level's codes (..., n_codes)."""
        return self.scores[level](self._shared(state))

    def _shared(self, state: Tensor) -> Tensor:
        return self.norm(state + self.mlp(state))

    def refine(self, state: Tensor, tokens: Tensor, level: int) -> Tensor:
        """State for the next level, (..., dim), once the tokens (...) are known."""
        if level + 1 == self.depth:
            return state
        return state + self.coarser[level](tokens)

    def forward(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Score every level's codes, given the tokens (..., depth) of those before.

        Parameters
        ----------
        hidden : Tensor of shape (..., dim)
            Hidden states.
        tokens : Tensor of shape (..., depth), int64
            Tokens.

        Returns
        -------
        Tensor of shape (..., depth, n_codes)
        """
        states = [hidden]
        for level in range(self.depth - 1):
            states.append(self.refine(states[-1], tokens[..., level], level))
        # All levels at once, as far as they share layers.
        shared = self._shared(torch.stack(states, dim=-2)).unbind(dim=-2)
        scores = [linear(x) for linear, x in zip(self.scores, shared, strict=True)]
        return torch.stack(scores, dim=-2)

    def draw(
        self,
        hidden: Tensor,
        choose: Callable[[Tensor], tuple[Tensor, Tensor]],
        coarsest: Tensor | None = None,
    ) -> Tensor:
        """Draw the tokens of places, level by level, fine ones with less chance.

        Parameters
        ----------
        hidden : Tensor of shape (..., n_draws, dim)
            Hidden states, several of them for each draw if ``choose`` combines scores.
        choose : callable
            Maps scores (..., n_draws, n_codes) to tokens (n_draws,) and the log
            probabilities of these.
        coarsest : Tensor of shape (n_draws,), int64, default=None
            Tokens of the first level, where they are drawn already.

        Returns
        -------
        Tensor of shape (n_draws, depth), int64
        """
        tokens: list[Tensor] = []
        for level in range(self.depth):
            if level == 0 and coarsest is not None:
                drawn = coarsest
            else:
                scores = self.score(hidden, level)
                if level >= _FINE_LEVEL:
                    scores = scores / _FINE_TEMPERATURE
                drawn, _ = choose(scores)
            tokens.append(drawn)
            hidden = self.refine(hidden, drawn, level)
        return torch.stack(tokens, dim=-1)
