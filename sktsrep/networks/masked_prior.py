"""The masked prior of MaskGIT, and how it draws."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep._ranks import mean_of_ranks, own_draws, share
from sktsrep.functional import n_masked_tokens, random_token_mask, remask
from sktsrep.networks.token_prior import TokenPrior
from sktsrep.nn import MaskedTransformer

__all__ = ["MaskedPrior"]


class MaskedPrior(TokenPrior):
    """Bidirectional transformer; ``forward`` gives the loss of a batch of tokens.

    Places are masked and drawn whole. Their tokens are drawn from coarse to fine.

    Parameters
    ----------
    schedule : str
        Schedule of the share of masked places.
    **sizes
        As of :class:`TokenPrior`, with ``n_factors`` and ``n_level_places``.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200.
    """

    transformer: MaskedTransformer

    def __init__(self, *, schedule: str, **sizes: Any) -> None:
        super().__init__(MaskedTransformer, **sizes)
        self.schedule = schedule

    def set_level_codes(self, codebook: Tensor) -> None:
        """Take the vectors of the codes of levels, (n_codes, level_dim)."""
        self.transformer.set_level_codes(codebook)

    def start(self, x: Tensor) -> None:
        """Learn from tokens (n_series, n_tokens) how places go together linearly."""
        self.transformer.start(self._places(x), self._absent(x))

    def forward(self, tokens: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Compute the cross-entropy at random masked places of (batch, n_tokens)."""
        places = self._places(tokens)
        batch, n_places, _ = places.shape
        mask = random_token_mask(batch, n_places, self.schedule, device=tokens.device)
        absent = self._absent(tokens)
        if absent is not None:
            mask = _some_present(mask, absent)
        classes = self._drop_some_classes(classes)
        places, mask = share(places), share(mask)
        classes, absent = share(classes), share(absent)
        with own_draws():
            hidden = self.transformer(places, mask, classes, absent)
        # On a GPU, to wait for the number of masked places takes longer than to score
        # all places.
        is_sparse = mask.device.type == "cpu"
        mean, count = self._masked_nats(hidden, places, mask, is_sparse=is_sparse)
        return mean_of_ranks({"token_loss": mean}, count)

    def _masked_nats(
        self, hidden: Tensor, places: Tensor, mask: Tensor, *, is_sparse: bool
    ) -> tuple[Tensor, int | Tensor]:
        """Mean cross-entropy of the tokens of masked places, and their number."""
        if is_sparse:
            nats = self._nats(hidden[mask], places[mask])
            return nats.mean(), nats.numel()
        weight = mask.unsqueeze(-1).expand_as(places)
        count = weight.sum()
        return (self._nats(hidden, places) * weight).sum() / count, count

    def decoding_path(
        self,
        tokens: Tensor,
        unknown: Tensor,
        classes: Tensor,
        *,
        n_steps: int,
        schedule: str,
        order: str,
        temperature: float,
        guidance_scale: float,
        generator: torch.Generator | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Fill unknown places in parallel steps.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_tokens), int64
            Tokens; ignored where unknown, but for -1 after the end of a series.
        unknown : Tensor of shape (batch, n_tokens), bool
            True where a token is to be drawn; all of a place or none.
        classes : Tensor of shape (batch,), int64
            Class indices.
        n_steps : int
            Number of steps; more than unknown places are left out.
        schedule : str
            How the share of unknown places falls.
        order : {"confidence", "random"}
            Which places are kept first.
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
        places = self._places(tokens)
        unknown = self._places(unknown.long()).amax(dim=-1).bool()  # (batch, places)
        absent = self._absent(tokens)
        if absent is not None:
            unknown = unknown & ~absent
        kinds = self._kinds(classes, guidance_scale)
        choose = self._chooser(guidance_scale, generator=generator)
        n_start = unknown.sum(dim=1)  # (batch,)
        for step in range(1, n_steps + 1):
            n_unknown = unknown.sum(dim=1)
            n_masked = n_masked_tokens(step, n_steps, n_start, n_unknown, schedule)
            if unknown.any():
                hidden = self._hidden(places, unknown, kinds, absent)
                again = partial(remask, unknown=unknown, n_masked=n_masked)
                guessed = unknown
                if order == "random":  # guesses are needed where they are kept
                    even = torch.zeros_like(unknown, dtype=torch.float64)
                    later = again(even, temperature=1.0, generator=generator)
                    guessed = unknown & ~later
                coarsest, log_p = self._guess(hidden, guessed, choose)
                if order == "confidence":
                    randomness = temperature * (1 - step / n_steps)
                    later = again(log_p, temperature=randomness, generator=generator)
                # Finer tokens only where they are kept.
                kept = unknown & ~later
                drawn = self.transformer.head.draw(
                    hidden[:, kept], choose, coarsest[kept]
                )
                places = places.clone()
                places[..., 0] = torch.where(guessed, coarsest, places[..., 0])
                places[kept] = drawn
                unknown = later
            masked = unknown.repeat_interleave(places.shape[-1], dim=1)
            yield self._row(places, absent), masked

    def _hidden(
        self,
        places: Tensor,
        unknown: Tensor,
        kinds: list[Tensor],
        absent: Tensor | None,
    ) -> Tensor:
        """Hidden states for every kind of class, (kinds, batch, places, dim)."""
        n_kinds = len(kinds)
        hidden = self.transformer(
            places.repeat(n_kinds, 1, 1),
            unknown.repeat(n_kinds, 1),
            torch.cat(kinds),
            None if absent is None else absent.repeat(n_kinds, 1),
        )
        return hidden.unflatten(0, (n_kinds, -1))

    def _guess(
        self,
        hidden: Tensor,
        guessed: Tensor,
        choose: Callable[[Tensor], tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, Tensor]:
        """Draw the coarsest token of some places.

        Returns
        -------
        tokens : Tensor of shape (batch, n_places), int64
        log_probability : Tensor of shape (batch, n_places), float64
        """
        tokens = torch.zeros_like(guessed, dtype=torch.int64)
        log_probability = torch.zeros_like(guessed, dtype=torch.float64)
        scores = self.transformer.head.score(hidden[:, guessed], level=0)
        tokens[guessed], log_probability[guessed] = choose(scores)
        return tokens, log_probability

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Pseudo-log-likelihood: every place given all others, summed, (batch,).

        References
        ----------
        Salazar et al. 2020, "Masked language model scoring", arXiv 1910.14659.
        """
        return self.place_log_likelihoods(tokens).sum(dim=1)

    def place_log_likelihoods(self, tokens: Tensor) -> Tensor:
        """Log probability of every place given all others: (batch, n_places)."""
        places = self._places(tokens)
        no_class = self._no_class(tokens)
        absent = self._absent(tokens)
        result = []
        for place in range(places.shape[1]):
            mask = torch.zeros(places.shape[:2], dtype=torch.bool, device=tokens.device)
            mask[:, place] = True
            hidden = self.transformer(places, mask, no_class, absent)[:, place]
            result.append(-self._nats(hidden, places[:, place]).double().sum(dim=-1))
        return self._of_present(torch.stack(result, dim=1), absent)


def _some_present(mask: Tensor, absent: Tensor) -> Tensor:
    """Mask no absent place, and at least one of those that are there."""
    mask = mask & ~absent
    chance = torch.rand(mask.shape, device=mask.device).masked_fill(absent, -1)
    one = F.one_hot(chance.argmax(dim=1), mask.shape[1]).bool()
    return torch.where(mask.any(dim=1, keepdim=True), mask, one)
