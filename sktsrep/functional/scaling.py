"""Offset and scale of series by channel."""

import torch
from torch import Tensor

__all__ = ["channel_scale", "shared_shape"]


def shared_shape(x: Tensor, limit: float = 10.0) -> Tensor:
    """Compute the part of the mean series that would hide how series differ.

    This is the mean of each channel. A channel whose mean series varies over time by
    more than ``limit`` times the variance around it also contributes part of that
    shape: subtracting the result leaves a shape with exactly ``limit`` times the
    variance around it.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    limit : float, default=10.0
        Upper limit of var(mean series) / var(residual). Above it, networks learn only
        the shape that all series share.

    Returns
    -------
    Tensor of shape (n_channels, n_timepoints)

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[-1.0, 1.0]], [[-3.0, 3.0]]])
    >>> shared_shape(x)
    tensor([[0., 0.]])
    >>> shared_shape(x + torch.tensor([-98.0, 98.0]))
    tensor([[-96.8377,  96.8377]])
    """
    mean = x.mean(dim=0)  # (n_channels, n_timepoints)
    level = mean.mean(dim=-1, keepdim=True)  # (n_channels, 1)
    shape = mean - level
    power = shape.square().mean(dim=-1, keepdim=True)  # (n_channels, 1)
    allowed = limit * (x - mean).square().mean(dim=(0, 2)).unsqueeze(1)
    kept = torch.where(power > allowed, (allowed / power).sqrt(), 1.0)
    return level + (1 - kept) * shape


def channel_scale(x: Tensor, center: Tensor) -> Tensor:
    """Compute the root mean square of every channel around its center.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    center : Tensor of shape (n_channels, 1) or (n_channels, n_timepoints)
        Center of each channel, such as its mean or its :func:`shared_shape`. It may
        have a higher precision than ``x``.

    Returns
    -------
    Tensor of shape (n_channels, 1)
        In the units of ``x``; 1 where a channel equals its center except for rounding,
        so that dividing by the scale is always safe.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[1.0, 5.0], [300.0, 300.0]]])
    >>> channel_scale(x, center=torch.tensor([[3.0], [300.0]]))
    tensor([[2.],
            [1.]])
    """
    scale = (x - center).square().mean(dim=(0, 2)).sqrt().unsqueeze(1)
    # Rounding leaves a constant channel with a scale of a few units in the last place.
    # The precision is that of the data, even where the center has a higher one.
    rounding = 10 * torch.finfo(x.dtype).eps * center.abs().amax(1, keepdim=True)
    return torch.where(scale > rounding, scale, 1.0)  # (n_channels, 1)
