"""Offset and scale of series by channel."""

import torch
from torch import Tensor

__all__ = [
    "channel_scale",
    "fallback_scale",
    "guarded_scale",
    "limited_shape",
    "outlying",
    "shared_shape",
]


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
    variance = (x - mean).square().mean(dim=(0, 2)).unsqueeze(1)  # (n_channels, 1)
    return limited_shape(mean, variance, limit)


def limited_shape(mean: Tensor, variance: Tensor, limit: float = 10.0) -> Tensor:
    """Compute :func:`shared_shape` from the moments of the series.

    Parameters
    ----------
    mean : Tensor of shape (n_channels, n_timepoints)
        Mean series.
    variance : Tensor of shape (n_channels, 1)
        Variance around the mean series.
    limit : float, default=10.0
        See :func:`shared_shape`.

    Returns
    -------
    Tensor of shape (n_channels, n_timepoints)

    Examples
    --------
    >>> import torch
    >>> limited_shape(torch.tensor([[-100.0, 100.0]]), torch.tensor([[1.0]]))
    tensor([[-96.8377,  96.8377]])
    """
    level = mean.mean(dim=-1, keepdim=True)  # (n_channels, 1)
    shape = mean - level
    power = shape.square().mean(dim=-1, keepdim=True)  # (n_channels, 1)
    allowed = limit * variance
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
        In the units of ``x``, positive. A channel that equals its center except for
        rounding has the scale of :func:`fallback_scale`.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[1.0, 5.0], [300.0, 300.0]]])
    >>> channel_scale(x, center=torch.tensor([[3.0], [300.0]]))
    tensor([[2.0000],
            [0.3000]])
    """
    mean_square = (x - center).square().mean(dim=(0, 2))  # (n_channels,)
    return guarded_scale(mean_square.sqrt().unsqueeze(1), center, x.dtype)


def guarded_scale(scale: Tensor, center: Tensor, dtype: torch.dtype) -> Tensor:
    """Replace the scale of constant channels by :func:`fallback_scale`.

    Parameters
    ----------
    scale : Tensor of shape (n_channels, 1)
        Standard deviations.
    center : Tensor of shape (n_channels, 1) or (n_channels, n_timepoints)
        What they are around.
    dtype : torch.dtype
        Precision of the data. Rounding leaves a constant channel with a scale of a few
        units in the last place.

    Returns
    -------
    Tensor of shape (n_channels, 1)

    Examples
    --------
    >>> import torch
    >>> guarded_scale(torch.tensor([[1e-9]]), torch.tensor([[5.0]]), torch.float32)
    tensor([[0.0050]])
    """
    rounding = 10 * torch.finfo(dtype).eps * center.abs().amax(1, keepdim=True)
    varies = scale > rounding
    return torch.where(varies, scale, fallback_scale(scale, center))


def fallback_scale(scale: Tensor, center: Tensor, share: float = 1e-3) -> Tensor:
    """Choose a scale for channels that do not vary around their center.

    It is what the center itself varies by over time; for a constant center a share of
    its absolute value; for a center of zero that share of the largest scale or center
    of all channels. The scale is thus relative: a constant channel is reproduced as
    precisely as its unit allows, and a fault in it shows.

    Parameters
    ----------
    scale : Tensor of shape (n_channels, 1)
        Standard deviations around the center.
    center : Tensor of shape (n_channels, 1) or (n_channels, n_timepoints)
        Centers.
    share : float, default=1e-3
        Share of an absolute value that counts as its scale.

    Returns
    -------
    Tensor of shape (n_channels, 1)
        Positive; 1 where all is zero.

    Examples
    --------
    >>> import torch
    >>> center = torch.tensor([[1.0, -1.0], [5.0, 5.0], [0.0, 0.0]])
    >>> fallback_scale(torch.zeros(3, 1), center)
    tensor([[1.0000],
            [0.0050],
            [0.0050]])
    """
    size = center.abs().amax(dim=1, keepdim=True)  # (n_channels, 1)
    largest = torch.maximum(size, scale).amax()
    shape = center.std(dim=1, correction=0, keepdim=True)
    # The deviation of equal numbers is rounding.
    shape = torch.where(shape > share * size, shape, share * size)
    everything = torch.where(largest > 0, share * largest, 1.0)
    return torch.where(shape > 0, shape, everything)


def outlying(reach: Tensor, limit: float = 100.0) -> Tensor:
    """Find series with a value far outside what the other series reach.

    Among some hundred public data sets, all but one of heavy-tailed light curves stay
    below 20 times the median series.

    Parameters
    ----------
    reach : Tensor of shape (n_samples, n_channels)
        Largest deviation of every series from the median of the channel.
    limit : float, default=100.0
        How many times the reach of the median series is outlying.

    Returns
    -------
    Tensor of shape (n_samples, n_channels), bool

    Examples
    --------
    >>> import torch
    >>> outlying(torch.tensor([[1.0], [2.0], [1e6]]))[:, 0]
    tensor([False, False,  True])
    """
    usual = reach.median(dim=0).values  # (n_channels,)
    # Where most series are constant, those that vary are compared with each other.
    varying = reach.masked_fill(reach == 0, torch.nan).nanmedian(dim=0).values
    return reach > limit * torch.where(usual > 0, usual, varying.nan_to_num())
