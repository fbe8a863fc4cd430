"""Augmentations of the series themselves."""

import math
import sys

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep.augmentations._random import (
    check_series,
    check_share,
    normal,
    random_order,
    span_mask,
    uniform,
)
from sktsrep.functional._checks import check_count, check_number

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


def _resample(x: Tensor, positions: Tensor) -> Tensor:
    """Interpolate every row linearly at its own positions, (batch, timepoints)."""
    last = x.shape[-1] - 1
    positions = positions.clamp(0, last).unsqueeze(1)  # (batch, 1, timepoints)
    left = positions.floor().clamp(max=max(last - 1, 0))
    weight = positions - left
    index = left.long().expand_as(x)  # (batch, channels, timepoints)
    right = (index + 1).clamp(max=last)
    return torch.lerp(x.gather(-1, index), x.gather(-1, right), weight)


def _random_curve(
    x: Tensor, n_knots: int, scale: float, generator: torch.Generator | None
) -> Tensor:
    """Draw curves around 1 that are linear between equally spaced knots."""
    batch, channels, n_timepoints = x.shape
    knots = 1 + scale * normal(x, batch, channels, n_knots, generator=generator)
    # (batch, channels, timepoints)
    return F.interpolate(knots, size=n_timepoints, mode="linear", align_corners=True)


def gaussian_noise(
    x: Tensor, scale: float = 0.05, generator: torch.Generator | None = None
) -> Tensor:
    """Add independent Gaussian noise.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the noise.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> gaussian_noise(torch.zeros(2, 1, 5)).shape
    torch.Size([2, 1, 5])
    """
    check_series(x, generator)
    check_number(scale, "scale", 0)
    return x + scale * normal(x, *x.shape, generator=generator)


def amplitude_resize(
    x: Tensor, scale: float = 0.2, generator: torch.Generator | None = None
) -> Tensor:
    """Multiply every channel of every series by a random factor around 1.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the factor.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> amplitude_resize(torch.zeros(2, 1, 5)).abs().max()
    tensor(0.)
    """
    check_series(x, generator)
    check_number(scale, "scale", 0)
    batch, channels, _ = x.shape
    factor = normal(x, batch, channels, 1, generator=generator)
    return x * (1 + scale * factor)


def magnitude_warp(
    x: Tensor,
    scale: float = 0.2,
    n_knots: int = 4,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Multiply every channel by a random piecewise linear curve around 1.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the curve at its knots.
    n_knots : int
        Number of equally spaced knots, at least 2.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> magnitude_warp(torch.ones(2, 1, 50)).shape
    torch.Size([2, 1, 50])
    """
    check_series(x, generator)
    check_number(scale, "scale", 0)
    check_count(n_knots, "n_knots", 2)
    return x * _random_curve(x, n_knots, scale, generator)


def _check_factors(factors: tuple[float, float]) -> None:
    try:
        low, high = factors
    except (TypeError, ValueError) as error:
        raise ValueError(f"factors must be two numbers, got {factors!r}.") from error
    check_number(low, "factors[0]", sys.float_info.min)
    check_number(high, "factors[1]", low)


def window_warp(
    x: Tensor,
    window: float = 0.3,
    factors: tuple[float, float] = (0.5, 2.0),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Speed up or slow down a window of every series; the series keeps its length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    window : float
        Length of the window as a share of the series, between 0 and 1.
    factors : tuple of float
        Smallest and largest factor that stretches the window. It is drawn uniformly on
        a logarithmic scale.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

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
    check_series(x, generator)
    check_share(window, "window")
    _check_factors(factors)
    batch, _, n_timepoints = x.shape
    start = uniform(x, batch, 1, high=1 - window, generator=generator)
    low, high = (math.log(factor) for factor in factors)
    factor = uniform(x, batch, 1, low=low, high=high, generator=generator).exp()
    # Output time u in [0, 1] covers the stretched series of length `total`. The inverse
    # of the stretch is linear before, inside and after the window.
    u = torch.linspace(0, 1, n_timepoints, dtype=x.dtype, device=x.device)
    total = 1 + window * (factor - 1)  # (batch, 1)
    stretched = u * total  # (batch, timepoints)
    inside = (stretched - start).clamp(min=0).minimum(window * factor)
    source = stretched - inside + inside / factor
    return _resample(x, source * (n_timepoints - 1))


def slice_and_shuffle(
    x: Tensor, n_slices: int = 4, generator: torch.Generator | None = None
) -> Tensor:
    """Cut every series at random places and put the pieces in random order.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    n_slices : int
        Number of pieces, at least 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape
        Contains the same values as ``x``.

    Examples
    --------
    >>> import torch
    >>> y = slice_and_shuffle(torch.arange(6.).expand(1, 1, 6))
    >>> y.sort().values
    tensor([[[0., 1., 2., 3., 4., 5.]]])
    """
    check_series(x, generator, "real")
    check_count(n_slices, "n_slices")
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
    # A stable sort preserves the order inside each piece.
    order = new_place.gather(1, piece).argsort(dim=1, stable=True)
    return x.gather(-1, order.unsqueeze(1).expand_as(x))


def crop_and_resize(
    x: Tensor, low: float = 0.6, generator: torch.Generator | None = None
) -> Tensor:
    """Cut a random window and stretch it to the full length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    low : float
        Smallest length of the window as a share of the series, between 0 and 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> crop_and_resize(torch.arange(9.).expand(2, 1, 9)).shape
    torch.Size([2, 1, 9])
    """
    check_series(x, generator)
    check_share(low, "low")
    batch, _, n_timepoints = x.shape
    width = uniform(x, batch, 1, low=low, generator=generator)
    start = uniform(x, batch, 1, generator=generator) * (1 - width)
    u = torch.linspace(0, 1, n_timepoints, dtype=x.dtype, device=x.device)
    return _resample(x, (start + width * u) * (n_timepoints - 1))


def time_shift(
    x: Tensor, width: float = 0.5, generator: torch.Generator | None = None
) -> Tensor:
    """Shift every series in time and fill the gap at its end by reflection.

    Unlike :func:`crop_and_resize`, this preserves every frequency, so that encoders
    remain sensitive to frequency.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    width : float
        Largest shift in either direction as a share of the series, between 0 and 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> time_shift(torch.arange(5.).expand(1, 1, 5), width=0.0)
    tensor([[[0., 1., 2., 3., 4.]]])
    """
    check_series(x, generator)
    check_share(width, "width")
    batch, _, n_timepoints = x.shape
    last = n_timepoints - 1
    offset = uniform(x, batch, 1, low=-width, high=width, generator=generator)
    time = torch.arange(n_timepoints, device=x.device) + (offset * last).round().long()
    # Reflect at both ends, without repeating the outermost value: (batch, timepoints).
    mirrored = last - (last - time.abs()).abs()
    return x.gather(-1, mirrored.unsqueeze(1).expand_as(x))


def flip(
    x: Tensor, probability: float = 0.5, generator: torch.Generator | None = None
) -> Tensor:
    """Flip the sign of every series with a given probability.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    probability : float
        Probability of a flip, between 0 and 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> flip(torch.ones(1, 1, 3), probability=1.0)
    tensor([[[-1., -1., -1.]]])
    """
    check_series(x, generator)
    check_share(probability, "probability")
    flipped = uniform(x, len(x), 1, 1, generator=generator) < probability
    return torch.where(flipped, -x, x)


def slope(
    x: Tensor, scale: float = 0.5, generator: torch.Generator | None = None
) -> Tensor:
    """Add a random linear trend that is zero in the middle.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the trend at both ends.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> bool(slope(torch.zeros(2, 1, 5))[:, :, 2].abs().max() == 0)
    True
    """
    check_series(x, generator)
    check_number(scale, "scale", 0)
    batch, channels, n_timepoints = x.shape
    steepness = normal(x, batch, channels, 1, generator=generator)
    ramp = torch.linspace(-1, 1, n_timepoints, dtype=x.dtype, device=x.device)
    if n_timepoints == 1:  # the only timepoint is the middle, but the ramp has -1 there
        return x.clone()
    return x + scale * steepness * ramp


def time_mask(
    x: Tensor, width: float = 0.2, generator: torch.Generator | None = None
) -> Tensor:
    """Set a random window of every series to zero.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    width : float
        Length of the window as a share of the series, between 0 and 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

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
    check_series(x, generator, "real")
    check_share(width, "width")
    batch, _, n_timepoints = x.shape
    hidden = span_mask(batch, n_timepoints, width, x.device, generator)
    return x.masked_fill(hidden.unsqueeze(1), 0)
