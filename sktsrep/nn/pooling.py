"""Feature maps to features: summaries over time, and how wide they are."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "LATENT_SUMMARY_SIZE",
    "POOL_SIZE",
    "SUMMARY_SIZE",
    "Pool",
    "pool",
    "summarize",
    "summarize_latent",
]

# Features per channel of the three summaries.
POOL_SIZE = 2
SUMMARY_SIZE = 4
LATENT_SUMMARY_SIZE = 8


def pool(x: Tensor) -> Tensor:
    """Compute the mean and the maximum over time, which losses compare.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Feature map. A quantized one is full of ties: ``amax`` shares the gradient among
        them; otherwise rounding would decide where it goes.

    Returns
    -------
    Tensor of shape (batch, POOL_SIZE * channels)

    Examples
    --------
    >>> import torch
    >>> pool(torch.tensor([[[0., 1., 2.]]]))
    tensor([[1., 2.]])
    """
    return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1)


def summarize(x: Tensor) -> Tensor:
    """Compute mean, maximum, minimum and share of positive values over time.

    The extremes tell how well a pattern and its opposite matched at best, the share
    how often the pattern occurs. The share has no gradient.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Feature map.

    Returns
    -------
    Tensor of shape (batch, SUMMARY_SIZE * channels)

    References
    ----------
    Dempster, Petitjean, Webb 2020, "ROCKET", arXiv 1910.13051, section 3.2.

    Examples
    --------
    >>> import torch
    >>> summarize(torch.tensor([[[-1., 0., 0., 5.]]]))
    tensor([[ 1.0000,  5.0000, -1.0000,  0.2500]])
    """
    share = (x > 0).to(x.dtype).mean(dim=-1)
    return torch.cat([pool(x), x.amin(dim=-1), share], dim=1)


def summarize_latent(x: Tensor) -> Tensor:
    """Add the maximum in every quarter of the time to :func:`summarize`.

    The summary tells which patterns occur, the quarters tell where.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Latent or quantized map. Quarters overlap where four does not divide the time.

    Returns
    -------
    Tensor of shape (batch, LATENT_SUMMARY_SIZE * channels)

    Examples
    --------
    >>> import torch
    >>> summarize_latent(torch.tensor([[[-1., 0., 0., 5.]]]))
    tensor([[ 1.0000,  5.0000, -1.0000,  0.2500, -1.0000,  0.0000,  0.0000,  5.0000]])
    """
    quarters = F.adaptive_max_pool1d(x, 4)  # (batch, channels, 4)
    return torch.cat([summarize(x), quarters.flatten(start_dim=1)], dim=1)


class Pool(nn.Module):
    """:func:`pool` as a module.

    Examples
    --------
    >>> import torch
    >>> Pool()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 6])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, 2 * channels)."""
        return pool(x)
