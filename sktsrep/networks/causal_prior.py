"""The causal prior, which draws token by token."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep.functional import drop_classes, guide, sample_categorical
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import CausalTransformer

__all__ = ["CausalPrior"]


class CausalPrior(TrainingModule):
    """Causal transformer; ``forward`` gives the loss of a batch of tokens.

    Parameters
    ----------
    class_dropout : float
        Probability of hiding the class in training.
    **transformer
        Parameters of :class:`~sktsrep.nn.CausalTransformer`.
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
    ) -> None:
        super().__init__()
        self.class_dropout = class_dropout
        self.transformer = CausalTransformer(
            n_codes, n_tokens, n_classes, dim, n_layers, n_heads, dropout
        )

    def forward(self, tokens: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Compute the cross-entropy of the tokens (batch, n_tokens), in nats each."""
        if self.training:
            no_class = self.transformer.n_classes
            classes = drop_classes(classes, self.class_dropout, no_class)
        logits = self.transformer(tokens, classes).float()
        nats = F.cross_entropy(logits.transpose(1, 2), tokens)
        return {"token_loss": nats}

    def generate(
        self,
        tokens: Tensor,
        n_known: int,
        classes: Tensor,
        *,
        temperature: float,
        guidance_scale: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw the tokens that follow the first ``n_known``.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_tokens), int64
            Tokens; ignored from ``n_known`` on.
        n_known : int
            Length of the prefix that is kept.
        classes : Tensor of shape (batch,), int64
            Class indices.
        temperature : float
            Divides the scores; 0 takes the most probable token.
        guidance_scale : float
            Scale of classifier-free guidance.
        generator : torch.Generator, default=None
            Source of random numbers; None uses torch's global generator.

        Returns
        -------
        Tensor of shape (batch, n_tokens), int64
        """
        transformer = self.transformer
        guided = guidance_scale != 1 and transformer.n_classes > 0
        if guided:
            # Both kinds of scores come from one batch of double size.
            no_class = torch.full_like(classes, transformer.n_classes)
            classes = torch.cat([classes, no_class])

        def twice(part: Tensor) -> Tensor:
            return part.repeat(2, 1) if guided else part

        cache = transformer.make_cache()
        drawn = tokens[:, :n_known]  # (batch, places so far)
        new, n_seen = transformer.embed(twice(drawn), classes), 0
        for _ in range(n_known, transformer.n_tokens):
            logits = transformer.score_next(new, n_seen, cache)  # (batch, n_codes)
            if guided:
                with_class, without = logits.chunk(2)
                logits = guide(with_class, without, guidance_scale)
            token = self._draw(logits, temperature, generator).unsqueeze(
                1
            )  # (batch, 1)
            drawn = torch.cat([drawn, token], dim=1)
            n_seen += new.shape[1]
            new = transformer.token_embedding(twice(token))
        return drawn

    @staticmethod
    def _draw(
        logits: Tensor, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        if temperature == 0:
            return logits.argmax(dim=-1)
        return sample_categorical(logits.double() / temperature, generator=generator)[0]

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Log probability of the tokens without a class, exact, in nats: (batch,)."""
        no_class = tokens.new_full((len(tokens),), self.transformer.n_classes)
        log_p = self.transformer(tokens, no_class).double().log_softmax(dim=-1)
        return log_p.gather(2, tokens.unsqueeze(2)).sum(dim=(1, 2))
