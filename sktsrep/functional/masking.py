"""Masked modeling of tokens, and iterative decoding."""

import math

import torch
from torch import Tensor

from sktsrep.functional._checks import (
    check_count,
    check_generator,
    check_number,
    check_same,
    check_tensor,
)

__all__ = [
    "MASK_SCHEDULES",
    "mask_fraction",
    "n_masked_tokens",
    "random_token_mask",
    "remask",
    "sample_categorical",
]


MASK_SCHEDULES = ("cosine", "linear", "square", "cubic", "sqrt")


def _check_schedule(schedule: str) -> None:
    if schedule not in MASK_SCHEDULES:
        raise ValueError(
            f"schedule must be one of {MASK_SCHEDULES}, got {schedule!r} instead."
        )


def mask_fraction(progress: Tensor, schedule: str = "cosine") -> Tensor:
    r"""Compute the share of masked tokens :math:`\gamma(r)`, which falls from 1 to 0.

    Parameters
    ----------
    progress : Tensor
        :math:`r`, between 0 and 1.
    schedule : {"cosine", "linear", "square", "cubic", "sqrt"}
        ``cos(pi r / 2)``, ``1 - r``, ``1 - r**2``, ``1 - r**3``, ``1 - sqrt(r)``.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If the schedule is unknown.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200, section 3.3.

    Examples
    --------
    >>> import torch
    >>> mask_fraction(torch.tensor([0., 0.5, 1.]), "linear")
    tensor([1.0000, 0.5000, 0.0000])
    """
    check_tensor(progress, "progress", "...", "real")
    if schedule == "cosine":
        # In floating point, cos(pi / 2) is not exactly zero and may be negative.
        return torch.cos(progress * (math.pi / 2)).clamp(min=0)
    _check_schedule(schedule)
    exponents = {"linear": 1.0, "square": 2.0, "cubic": 3.0, "sqrt": 0.5}
    return 1 - progress ** exponents[schedule]


def n_masked_tokens(
    step: int,
    n_steps: int,
    n_start: Tensor,
    n_unknown: Tensor,
    schedule: str = "cosine",
) -> Tensor:
    """Count the tokens that stay masked after a step of iterative decoding.

    Parameters
    ----------
    step : int
        Step just completed, from 1 to ``n_steps``.
    n_steps : int
        Number of decoding steps.
    n_start : Tensor of int64
        Number of tokens masked at the start, per row.
    n_unknown : Tensor of int64
        Number of tokens masked before this step, per row.
    schedule : str
        See :func:`mask_fraction`.

    Returns
    -------
    Tensor of int64
        ``floor(gamma(step / n_steps) * n_start)``, but at least 1, and at most
        ``n_unknown - 1`` so that every step settles a token. It is 0 after the last
        step.

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, section 3.2.

    Examples
    --------
    >>> import torch
    >>> n_masked_tokens(1, 4, torch.tensor([10, 1]), torch.tensor([10, 1]))
    tensor([9, 0])
    """
    check_count(step, "step")
    check_count(n_steps, "n_steps")
    check_tensor(n_start, "n_start", "...", "int")
    check_tensor(n_unknown, "n_unknown", "...", "int")
    check_same(n_start, n_unknown, "n_start and n_unknown")
    _check_schedule(schedule)
    if step >= n_steps:
        return torch.zeros_like(n_start)
    progress = torch.tensor(step / n_steps, dtype=torch.float64)
    n_masked = mask_fraction(progress, schedule).item() * n_start.double()
    n_masked = (n_masked + 1e-9).floor().long()  # 12.999... means 13
    return n_masked.clamp(min=1).minimum(n_unknown - 1).clamp(min=0)


def random_token_mask(
    n_samples: int,
    n_tokens: int,
    schedule: str = "cosine",
    *,
    device: torch.device | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw masks for training, with a ratio per row and at least one masked token.

    Each row masks ``ceil(gamma(r) * n_tokens)`` places, with ``r`` uniform on [0, 1].

    Parameters
    ----------
    n_samples, n_tokens : int
        Shape of the mask.
    schedule : str
        See :func:`mask_fraction`.
    device : torch.device or None
        Device of the mask.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of shape (n_samples, n_tokens), bool
        True where a token should be masked.

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, section 3.1.

    Examples
    --------
    >>> mask = random_token_mask(8, 5)
    >>> mask.shape, bool(mask.any(dim=1).all())
    (torch.Size([8, 5]), True)
    """
    check_count(n_samples, "n_samples", 0)
    check_count(n_tokens, "n_tokens")
    _check_schedule(schedule)
    check_generator(generator, device)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, device=device, generator=generator)

    if not n_samples:
        return torch.zeros(0, n_tokens, dtype=torch.bool, device=device)
    ratio = mask_fraction(uniform(n_samples, 1), schedule)
    n_masked = (ratio * n_tokens).ceil().clamp(min=1)  # (n_samples, 1)
    # Sorting twice ranks the places of each row at random: (n_samples, n_tokens).
    rank = uniform(n_samples, n_tokens).argsort(dim=1).argsort(dim=1)
    return rank < n_masked


def sample_categorical(
    logits: Tensor, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw one token per row by inverting the cumulative distribution in float64.

    Parameters
    ----------
    logits : Tensor of shape (..., n_codes)
        Scores per code: unnormalized log probabilities.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    tokens : Tensor of shape (...), int64
        Drawn tokens.
    log_probability : Tensor of shape (...), float64
        Log probability of each drawn token.

    Examples
    --------
    >>> import torch
    >>> tokens, _ = sample_categorical(torch.tensor([[-torch.inf, 0.0]]))
    >>> tokens
    tensor([1])
    """
    check_tensor(logits, "logits", "..., n_codes", "real")
    check_generator(generator, logits.device)
    # One uniform number per row is much cheaper than one exponential per code.
    log_p = logits.double().log_softmax(dim=-1)
    cumulative = log_p.exp().cumsum(dim=-1)
    # Rounding may leave the total below one. Scaling by it keeps the draw from landing
    # on a code of probability zero.
    uniform = torch.rand(
        logits.shape[:-1], dtype=log_p.dtype, device=logits.device, generator=generator
    )
    threshold = uniform.unsqueeze(-1) * cumulative[..., -1:]
    tokens = torch.searchsorted(cumulative, threshold, right=True)  # (..., 1)
    tokens = tokens.clamp(max=logits.shape[-1] - 1)
    return tokens.squeeze(-1), log_p.gather(-1, tokens).squeeze(-1)


def remask(
    log_probability: Tensor,
    unknown: Tensor,
    n_masked: Tensor,
    temperature: float = 0.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose which of the tokens just sampled to mask again: the least confident.

    Parameters
    ----------
    log_probability : Tensor of shape (batch, n_tokens), float64
        Log probability of the token sampled at each place.
    unknown : Tensor of shape (batch, n_tokens), bool
        True where a token was masked before the step. Only these are masked again.
    n_masked : Tensor of shape (batch,), int64
        Number of tokens to mask per row, at most the number of unknown tokens.
    temperature : float
        Scale of the Gumbel noise added to the confidence.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of shape (batch, n_tokens), bool

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, section 3.2.

    Examples
    --------
    >>> import torch
    >>> log_p = torch.tensor([[-3., -1., -2.]], dtype=torch.float64)
    >>> remask(log_p, torch.tensor([[False, True, True]]), torch.tensor([1]))
    tensor([[False, False,  True]])
    """
    check_tensor(log_probability, "log_probability", "batch, n_tokens")
    check_tensor(unknown, "unknown", "batch, n_tokens", "bool")
    check_tensor(n_masked, "n_masked", "batch", "int")
    check_same(log_probability, unknown, "log_probability and unknown", dtype=False)
    check_same(unknown, n_masked, "unknown and n_masked", shape=False, dtype=False)
    if n_masked.shape != unknown.shape[:1]:
        raise ValueError(
            f"n_masked must have one number for each of {len(unknown)} rows, got "
            f"{len(n_masked)} instead."
        )
    check_number(temperature, "temperature", 0)
    check_generator(generator, unknown.device)
    noise = torch.empty_like(log_probability).exponential_(generator=generator)
    confidence = log_probability - temperature * noise.log()  # Gumbel noise
    confidence = confidence.masked_fill(~unknown, torch.inf)
    rank = confidence.argsort(dim=1).argsort(dim=1)  # 0 for the least confident
    return unknown & (rank < n_masked.unsqueeze(1))
