"""The causal prior, which draws place by place."""

from typing import Any

import torch
from torch import Tensor

from sktsrep._ranks import mean_of_ranks, own_draws, share
from sktsrep.networks.token_prior import TokenPrior
from sktsrep.nn import CausalTransformer

__all__ = ["CausalPrior"]


class CausalPrior(TokenPrior):
    """Causal transformer; ``forward`` gives the loss of a batch of tokens.

    Parameters
    ----------
    **sizes
        As of :class:`TokenPrior`.

    References
    ----------
    Lee et al. 2022, "Autoregressive image generation using residual quantization",
    arXiv 2203.01941.
    """

    transformer: CausalTransformer

    def __init__(self, **sizes: Any) -> None:
        super().__init__(CausalTransformer, **sizes)

    def forward(self, tokens: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Compute the cross-entropy of the tokens (batch, n_tokens), in nats each."""
        classes = share(self._drop_some_classes(classes))
        tokens = share(tokens)
        places = self._places(tokens)
        with own_draws():
            hidden = self.transformer(places, classes)
        absent, nats = self._absent(tokens), self._nats(hidden, places)
        if absent is not None:  # no place looks at those after it
            nats = nats[~absent]
        return mean_of_ranks({"token_loss": nats.mean()}, nats.numel())

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
            Tokens; ignored from ``n_known`` on, but for -1 after the end of a series.
        n_known : int
            Length of the prefix that is kept, in tokens of whole places.
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
        kinds = self._kinds(classes, guidance_scale)
        choose = self._chooser(guidance_scale, temperature, generator)
        cache = transformer.make_cache()
        first = n_known // transformer.depth
        drawn = self._places(tokens)[:, :first]  # (batch, places so far, depth)
        known = drawn.repeat(len(kinds), 1, 1)
        new, n_seen = transformer.embed(known, torch.cat(kinds)), 0
        for _ in range(first, transformer.n_places):
            hidden = transformer.next_hidden(new, n_seen, cache)
            hidden = hidden.unflatten(0, (len(kinds), -1))  # (kinds, batch, dim)
            place = transformer.head.draw(hidden, choose).unsqueeze(1)
            drawn = torch.cat([drawn, place], dim=1)
            n_seen += new.shape[1]
            new = transformer.embed_next(place.repeat(len(kinds), 1, 1))
        return self._row(drawn, self._absent(tokens))

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Log probability of the tokens without a class, exact, in nats: (batch,)."""
        return self.place_log_likelihoods(tokens).sum(dim=1)

    def place_log_likelihoods(self, tokens: Tensor) -> Tensor:
        """Log probability of every place given those before: (batch, n_places)."""
        places = self._places(tokens)
        hidden = self.transformer(places, self._no_class(tokens))
        nats = self._nats(hidden, places).double().sum(dim=2)
        return self._of_present(-nats, self._absent(tokens))
