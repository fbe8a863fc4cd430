"""Feature maps to features: summaries over time."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Pool", "pool", "summarize", "summarize_latent"]


def pool(x):
    """Mean and maximum over time, side by side: what losses compare.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Feature map. ``amax`` shares the gradient among ties, which a quantized map is
        full of; otherwise rounding would decide where it goes.

    Returns
    -------
    Tensor of shape (batch, 2 * channels)

    Examples
    --------
    >>> import torch
    >>> pool(torch.tensor([[[0., 1., 2.]]]))
    tensor([[1., 2.]])
    """
    return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1)


def summarize(x):
    """Mean, maximum, minimum and share of positive values over time: what there is.

    The share has no gradient; it tells how often a pattern occurs, where the extremes
    tell how well it and its opposite matched at best.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Feature map.

    Returns
    -------
    Tensor of shape (batch, 4 * channels)

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


def summarize_latent(x):
    """:func:`summarize`, and the maximum in every quarter of the time: what, and where.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Latent or quantized map. Quarters of fewer than four positions, or of a number
        that four does not divide, overlap.

    Returns
    -------
    Tensor of shape (batch, 8 * channels)

    Examples
    --------
    >>> import torch
    >>> summarize_latent(torch.tensor([[[-1., 0., 0., 5.]]]))
    tensor([[ 1.0000,  5.0000, -1.0000,  0.2500, -1.0000,  0.0000,  0.0000,  5.0000]])
    """
    quarters = F.adaptive_max_pool1d(x, 4)
    return torch.cat([summarize(x), quarters.flatten(start_dim=1)], dim=1)


class Pool(nn.Module):
    """:func:`pool` as a module.

    Examples
    --------
    >>> import torch
    >>> Pool()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 6])
    """

    def forward(self, x):
        """(batch, channels, time) -> (batch, 2 * channels)."""
        return pool(x)
