"""What the priors over tokens share."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep.functional import drop_classes, guide, sample_categorical
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import CausalTransformer, MaskedTransformer

__all__ = ["TokenPrior"]


class TokenPrior(TrainingModule):
    """Base of the networks that model the tokens of series.

    Outside, the tokens of a series are a row (batch, n_tokens) in which those of a
    place stand side by side and each level counts from its own offset; those after the
    end of a shorter series are -1. Inside, they are (batch, n_places, depth), and every
    level counts from 0.

    Parameters
    ----------
    make_transformer : class
        What gives the hidden states of the places.
    n_codes : int
        Rows of the codebook, shared equally by the levels.
    n_tokens, depth : int
        Tokens of a series, and of each of its places.
    n_classes : int
        Number of classes, 0 without.
    class_dropout : float
        Probability of hiding the class in training.
    unequal : bool
        Whether series may have fewer places than others.
    **sizes
        The transformer's ``dim``, ``n_layers``, ``n_heads``, ``dropout``,
        ``code_dim`` and ``tied``.
    """

    shaped_by = {
        "n_codes": "n_codes",
        "dim": "hidden_dim",
        "n_layers": "n_layers",
        "n_heads": "n_heads",
    }

    transformer: MaskedTransformer | CausalTransformer

    def __init__(
        self,
        make_transformer: type[MaskedTransformer] | type[CausalTransformer],
        *,
        n_codes: int,
        n_tokens: int,
        depth: int,
        n_classes: int,
        class_dropout: float,
        unequal: bool,
        **sizes: Any,
    ) -> None:
        super().__init__()
        self.class_dropout = class_dropout
        self.unequal = unequal
        self.transformer = make_transformer(
            n_codes // depth, n_tokens // depth, n_classes, depth, **sizes
        )

    def set_codes(self, codebook: Tensor) -> None:
        """Take the vectors of all codes, (n_codes, code_dim)."""
        self.transformer.set_codes(codebook)

    def _places(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, n_tokens) by place and level."""
        levels = tokens.unflatten(1, (-1, self.transformer.depth))
        return levels % self.transformer.n_codes  # of -1, too, a code

    def _absent(self, tokens: Tensor) -> Tensor | None:
        """Which places (batch, n_places) come after the end; None for none."""
        return tokens[:, :: self.transformer.depth] < 0 if self.unequal else None

    def _row(self, tokens: Tensor, absent: Tensor | None) -> Tensor:
        """Undo :meth:`_places`."""
        row = self.transformer.symbols(tokens)
        if absent is not None:
            row = row.masked_fill(absent.unsqueeze(-1), -1)
        return row.flatten(start_dim=1)

    def _no_class(self, tokens: Tensor) -> Tensor:
        return tokens.new_full((len(tokens),), self.transformer.n_classes)

    def _drop_some_classes(self, classes: Tensor) -> Tensor:
        if not self.training:
            return classes
        no_class = self.transformer.n_classes
        return drop_classes(classes, self.class_dropout, no_class)

    def _nats(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Cross-entropy of tokens (..., depth) given hidden states (..., dim)."""
        scores = self.transformer.head(hidden, tokens).float()
        # Flat, because the codes' axis is best the last but must be the second.
        nats = F.cross_entropy(
            scores.flatten(end_dim=-2), tokens.flatten(), reduction="none"
        )
        return nats.view(tokens.shape)

    @staticmethod
    def _of_present(nats: Tensor, absent: Tensor | None) -> Tensor:
        """Nats by place (batch, n_places), 0 after the end of a series."""
        return nats if absent is None else nats.masked_fill(absent, 0)

    def _kinds(self, classes: Tensor, guidance_scale: float) -> list[Tensor]:
        """Classes to draw with: those given and, for guidance, none."""
        if guidance_scale == 1 or not self.transformer.n_classes:
            return [classes]
        return [classes, torch.full_like(classes, self.transformer.n_classes)]

    @staticmethod
    def _chooser(
        guidance_scale: float,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Make what draws tokens from scores (kinds, n_draws, n_codes)."""

        def choose(scores: Tensor) -> tuple[Tensor, Tensor]:
            guided = scores[0]
            if len(scores) == 2:
                guided = guide(scores[0], scores[1], guidance_scale)
            if temperature == 0:
                tokens = guided.argmax(dim=-1)
                return tokens, torch.zeros_like(tokens, dtype=torch.float64)
            return sample_categorical(
                guided.double() / temperature, generator=generator
            )

        return choose
