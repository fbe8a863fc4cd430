"""Augmentations of the series themselves."""

import math

import torch
import torch.nn.functional as F

from sktsrep.augmentations._random import normal, random_order, span_mask, uniform

__all__ = [
    "amplitude_resize",
    "crop_and_resize",
    "flip",
    "gaussian_noise",
    "magnitude_warp",
    "slice_and_shuffle",
    "slope",
    "time_mask",
    "time_shift",
    "window_warp",
]


def _resample(x, positions):
    """Linear interpolation of every row at its own positions, (batch, timepoints)."""
    last = x.shape[-1] - 1
    positions = positions.clamp(0, last).unsqueeze(1)  # (batch, 1, timepoints)
    left = positions.floor().clamp(max=max(last - 1, 0))
    weight = positions - left
    index = left.long().expand_as(x)
    right = (index + 1).clamp(max=last)
    return torch.lerp(x.gather(-1, index), x.gather(-1, right), weight)


def _random_curve(x, n_knots, scale, generator):
    """A random curve around 1 through equally spaced knots, (batch, channels, time)."""
    batch, channels, n_timepoints = x.shape
    knots = 1 + scale * normal(x, batch, channels, n_knots, generator=generator)
    return F.interpolate(knots, size=n_timepoints, mode="linear", align_corners=True)


def gaussian_noise(x, scale=0.05, generator=None):
    """Add independent Gaussian noise.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the noise.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> gaussian_noise(torch.zeros(2, 1, 5)).shape
    torch.Size([2, 1, 5])
    """
    return x + scale * normal(x, *x.shape, generator=generator)


def amplitude_resize(x, scale=0.2, generator=None):
    """Multiply every channel of every series by a factor around one.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the factor.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> amplitude_resize(torch.zeros(2, 1, 5)).abs().max()
    tensor(0.)
    """
    batch, channels, _ = x.shape
    factor = normal(x, batch, channels, 1, generator=generator)
    return x * (1 + scale * factor)


def magnitude_warp(x, scale=0.2, n_knots=4, generator=None):
    """Multiply by a random curve around one: straight lines between few knots.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the curve at its knots.
    n_knots : int
        Knots, equally spaced, at least 2.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> magnitude_warp(torch.ones(2, 1, 50)).shape
    torch.Size([2, 1, 50])
    """
    return x * _random_curve(x, n_knots, scale, generator)


def window_warp(x, window=0.3, factors=(0.5, 2.0), generator=None):
    """Speed up or slow down a window of every series; the whole keeps its length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    window : float
        Length of the window as a share of the series, between 0 and 1.
    factors : tuple of float
        Smallest and largest factor by which the window is stretched; drawn
        uniformly on a logarithmic scale.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    References
    ----------
    Le Guennec, Malinowski, Tavenard 2016, "Data augmentation for time series
    classification using convolutional neural networks".

    Examples
    --------
    >>> import torch
    >>> window_warp(torch.arange(9.).expand(2, 1, 9)).shape
    torch.Size([2, 1, 9])
    """
    batch, _, n_timepoints = x.shape
    start = uniform(x, batch, 1, high=1 - window, generator=generator)
    low, high = (math.log(factor) for factor in factors)
    factor = uniform(x, batch, 1, low=low, high=high, generator=generator).exp()
    # Output time u in [0, 1] runs over the stretched series, of length `total`; its
    # inverse is linear before, inside and after the window.
    u = torch.linspace(0, 1, n_timepoints, dtype=x.dtype, device=x.device)
    total = 1 + window * (factor - 1)
    stretched = u * total  # (batch, timepoints)
    inside = (stretched - start).clamp(min=0).minimum(window * factor)
    source = stretched - inside + inside / factor
    return _resample(x, source * (n_timepoints - 1))


def slice_and_shuffle(x, n_slices=4, generator=None):
    """Cut every series at random places and put the pieces in random order.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    n_slices : int
        Number of pieces, at least 1.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape
        Holds the same values as ``x``.

    Examples
    --------
    >>> import torch
    >>> y = slice_and_shuffle(torch.arange(6.).expand(1, 1, 6))
    >>> y.sort().values
    tensor([[[0., 1., 2., 3., 4., 5.]]])
    """
    batch, _, n_timepoints = x.shape
    cuts = torch.randint(
        n_timepoints + 1,
        (batch, n_slices - 1, 1),
        device=x.device,
        generator=generator,
    )
    time = torch.arange(n_timepoints, device=x.device)
    piece = (time >= cuts).sum(dim=1)  # (batch, timepoints)
    new_place = random_order(batch, n_slices, x.device, generator)
    order = new_place.gather(1, piece).argsort(dim=1, stable=True)
    return x.gather(-1, order.unsqueeze(1).expand_as(x))


def crop_and_resize(x, low=0.6, generator=None):
    """Cut a random window and stretch it to the full length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    low : float
        Smallest window as a share of the series, between 0 and 1.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> crop_and_resize(torch.arange(9.).expand(2, 1, 9)).shape
    torch.Size([2, 1, 9])
    """
    batch, _, n_timepoints = x.shape
    width = uniform(x, batch, 1, low=low, generator=generator)
    start = uniform(x, batch, 1, generator=generator) * (1 - width)
    u = torch.linspace(0, 1, n_timepoints, dtype=x.dtype, device=x.device)
    return _resample(x, (start + width * u) * (n_timepoints - 1))


def time_shift(x, width=0.5, generator=None):
    """Move every series in time; what is left free at an end mirrors what is there.

    Unlike :func:`crop_and_resize` it keeps every frequency, to which an encoder should
    not become blind.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    width : float
        Furthest move to either side as a share of the series, between 0 and 1.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> time_shift(torch.arange(5.).expand(1, 1, 5), width=0.0)
    tensor([[[0., 1., 2., 3., 4.]]])
    """
    batch, _, n_timepoints = x.shape
    last = n_timepoints - 1
    offset = uniform(x, batch, 1, low=-width, high=width, generator=generator)
    time = torch.arange(n_timepoints, device=x.device) + (offset * last).round().long()
    mirrored = last - (last - time.abs()).abs()
    return x.gather(-1, mirrored.unsqueeze(1).expand_as(x))


def flip(x, probability=0.5, generator=None):
    """Turn the sign of a series with a given probability.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    probability : float
        Between 0 and 1.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> flip(torch.ones(1, 1, 3), probability=1.0)
    tensor([[[-1., -1., -1.]]])
    """
    turned = uniform(x, len(x), 1, 1, generator=generator) < probability
    return torch.where(turned, -x, x)


def slope(x, scale=0.5, generator=None):
    """Add a random linear trend that is zero in the middle.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the trend at the ends.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> bool(slope(torch.zeros(2, 1, 5))[:, :, 2].abs().max() == 0)
    True
    """
    batch, channels, n_timepoints = x.shape
    steepness = normal(x, batch, channels, 1, generator=generator)
    ramp = torch.linspace(-1, 1, n_timepoints, dtype=x.dtype, device=x.device)
    if n_timepoints == 1:
        return x.clone()
    return x + scale * steepness * ramp


def time_mask(x, width=0.2, generator=None):
    """Set a random window of every series to zero.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    width : float
        Length of the window as a share of the series, between 0 and 1.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> time_mask(torch.ones(2, 1, 10), width=0.3).sum(dim=-1)
    tensor([[7.],
            [7.]])
    """
    batch, _, n_timepoints = x.shape
    hidden = span_mask(batch, n_timepoints, width, x.device, generator)
    return x.masked_fill(hidden.unsqueeze(1), 0)
