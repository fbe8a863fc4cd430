"""The masked prior of MaskGIT, and how it draws."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sktsrep.functional import (
    drop_classes,
    guide,
    masked_cross_entropy,
    n_masked_tokens,
    random_token_mask,
    remask,
    sample_categorical,
)
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import MaskedTransformer

__all__ = ["MaskedPrior"]


class MaskedPrior(TrainingModule):
    """Bidirectional transformer; ``forward`` gives the loss of a batch of tokens.

    Parameters
    ----------
    class_dropout : float
        Probability of hiding the class in training.
    schedule : str
        Schedule of the share of masked tokens.
    **transformer
        Parameters of :class:`~sktsrep.nn.MaskedTransformer`.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200.
    """

    def __init__(
        self,
        *,
        n_codes: int,
        n_tokens: int,
        n_classes: int,
        dim: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
        class_dropout: float,
        schedule: str,
    ) -> None:
        super().__init__()
        self.class_dropout = class_dropout
        self.schedule = schedule
        self.transformer = MaskedTransformer(
            n_codes, n_tokens, n_classes, dim, n_layers, n_heads, dropout
        )

    def forward(self, tokens: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Compute the cross-entropy at random masked places of (batch, n_tokens)."""
        batch, n_tokens = tokens.shape
        mask = random_token_mask(batch, n_tokens, self.schedule, device=tokens.device)
        if self.training:
            no_class = self.transformer.n_classes
            classes = drop_classes(classes, self.class_dropout, no_class)
        logits = self.transformer(tokens, mask, classes).float()
        return {"token_loss": masked_cross_entropy(logits, tokens, mask)}

    def decoding_path(
        self,
        tokens: Tensor,
        unknown: Tensor,
        classes: Tensor,
        *,
        n_steps: int,
        schedule: str,
        temperature: float,
        guidance_scale: float,
        generator: torch.Generator | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Fill unknown tokens in parallel steps.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_tokens), int64
            Tokens; ignored where unknown.
        unknown : Tensor of shape (batch, n_tokens), bool
            True where a token is to be drawn.
        classes : Tensor of shape (batch,), int64
            Class indices.
        n_steps : int
            Number of steps.
        schedule : str
            How the share of unknown tokens falls.
        temperature : float
            Scale of the Gumbel noise on the confidence; it falls to zero.
        guidance_scale : float
            Scale of classifier-free guidance.
        generator : torch.Generator, default=None
            Source of random numbers; None uses torch's global generator.

        Yields
        ------
        tokens, unknown : Tensor of shape (batch, n_tokens)
            After every step; no token is unknown after the last.
        """
        n_start = unknown.sum(dim=1)  # (batch,)
        for step in range(1, n_steps + 1):
            sampled, log_probability = sample_categorical(
                self._guided_logits(tokens, unknown, classes, guidance_scale),
                generator=generator,
            )
            tokens = torch.where(unknown, sampled, tokens)
            n_masked = n_masked_tokens(
                step, n_steps, n_start, unknown.sum(dim=1), schedule
            )
            randomness = temperature * (1 - step / n_steps)
            unknown = remask(
                log_probability, unknown, n_masked, randomness, generator=generator
            )
            yield tokens, unknown

    def _guided_logits(
        self, tokens: Tensor, mask: Tensor, classes: Tensor, guidance_scale: float
    ) -> Tensor:
        if guidance_scale == 1 or not self.transformer.n_classes:
            return self.transformer(tokens, mask, classes)
        # Both kinds of scores in one batch of double size.
        no_class = torch.full_like(classes, self.transformer.n_classes)
        logits = self.transformer(
            tokens.repeat(2, 1), mask.repeat(2, 1), torch.cat([classes, no_class])
        )
        with_class, without = logits.chunk(2)
        return guide(with_class, without, guidance_scale)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Pseudo-log-likelihood: every token given all others, summed, (batch,).

        References
        ----------
        Salazar et al. 2020, "Masked language model scoring", arXiv 1910.14659.
        """
        transformer = self.transformer
        no_class = tokens.new_full((len(tokens),), transformer.n_classes)
        total = torch.zeros(len(tokens), dtype=torch.float64, device=tokens.device)
        for place in range(tokens.shape[1]):
            mask = torch.zeros_like(tokens, dtype=torch.bool)
            mask[:, place] = True
            hidden = transformer.hidden(tokens, mask, no_class)[:, place]
            log_p = transformer.head(hidden).double().log_softmax(dim=-1)
            total += log_p.gather(1, tokens[:, place, None])[:, 0]
        return total
