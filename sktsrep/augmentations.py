"""Random views of a batch of series, vectorised, on the data's device.

An augmentation is a callable ``series -> series`` of tensors of shape
``(batch, channels, timepoints)``; length, dtype and device are kept exactly and every
row draws its own numbers. They compose as a plain list; a preset's name stands for such
a list, and any callable of a user's own may stand among them.

Strengths are in units of the series' standard deviation: estimators standardise
their data first.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F

from sktsrep.functional import istft, stft

__all__ = [
    "PRESETS",
    "amplitude_resize",
    "augment",
    "band_mask",
    "block_mask",
    "crop_and_resize",
    "flip",
    "gaussian_noise",
    "magnitude_warp",
    "phase_rotation",
    "resolve_augmentations",
    "slice_and_shuffle",
    "slope",
    "spectral_scale",
    "time_mask",
    "time_shift",
    "window_warp",
]


def _uniform(x, *shape, low=0.0, high=1.0, generator=None):
    draws = torch.empty(shape, dtype=x.dtype, device=x.device)
    return draws.uniform_(low, high, generator=generator)


def _normal(x, *shape, generator=None):
    return torch.randn(shape, dtype=x.dtype, device=x.device, generator=generator)


def _random_order(batch, size, device, generator):
    """A random permutation in every row, (batch, size)."""
    return torch.rand(batch, size, device=device, generator=generator).argsort(dim=1)


def _resample(x, positions):
    """Linear interpolation of every row at its own positions, (batch, timepoints)."""
    last = x.shape[-1] - 1
    positions = positions.clamp(0, last).unsqueeze(1)  # (batch, 1, timepoints)
    left = positions.floor().clamp(max=max(last - 1, 0))
    weight = positions - left
    index = left.long().expand_as(x)
    right = (index + 1).clamp(max=last)
    return torch.lerp(x.gather(-1, index), x.gather(-1, right), weight)


def _smooth_curve(x, n_knots, scale, generator):
    """A random curve around 1 through equally spaced knots, (batch, channels, time)."""
    batch, channels, n_timepoints = x.shape
    knots = 1 + scale * _normal(x, batch, channels, n_knots, generator=generator)
    return F.interpolate(knots, size=n_timepoints, mode="linear", align_corners=True)


# ------------------------------------------------------------------- time domain


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
    return x + scale * _normal(x, *x.shape, generator=generator)


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
    factor = _normal(x, batch, channels, 1, generator=generator)
    return x * (1 + scale * factor)


def magnitude_warp(x, scale=0.2, n_knots=4, generator=None):
    """Multiply by a smooth random curve around one.

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
    return x * _smooth_curve(x, n_knots, scale, generator)


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
    start = _uniform(x, batch, 1, high=1 - window, generator=generator)
    low, high = (math.log(factor) for factor in factors)
    factor = _uniform(x, batch, 1, low=low, high=high, generator=generator).exp()
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
    new_place = _random_order(batch, n_slices, x.device, generator)
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
    width = _uniform(x, batch, 1, low=low, generator=generator)
    start = _uniform(x, batch, 1, generator=generator) * (1 - width)
    u = torch.linspace(0, 1, n_timepoints, dtype=x.dtype, device=x.device)
    return _resample(x, (start + width * u) * (n_timepoints - 1))


def time_shift(x, width=0.5, generator=None):
    """Move every series in time; what leaves at one end is mirrored at the other.

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
    offset = _uniform(x, batch, 1, low=-width, high=width, generator=generator)
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
    turned = _uniform(x, len(x), 1, 1, generator=generator) < probability
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
    steepness = _normal(x, batch, channels, 1, generator=generator)
    ramp = torch.linspace(-1, 1, n_timepoints, dtype=x.dtype, device=x.device)
    if n_timepoints == 1:
        return x.clone()
    return x + scale * steepness * ramp


def _span_mask(batch, size, width, device, generator):
    """True inside one random span of ``width * size`` places of every row."""
    length = max(round(width * size), 0)
    start = torch.randint(
        size - length + 1, (batch, 1), device=device, generator=generator
    )
    place = torch.arange(size, device=device)
    return (place >= start) & (place < start + length)  # (batch, size)


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
    hidden = _span_mask(batch, n_timepoints, width, x.device, generator)
    return x.masked_fill(hidden.unsqueeze(1), 0)


# ---------------------------------------------------------- time-frequency domain


def _in_time_frequency(x, change, n_fft=16, hop_length=4):
    """Apply ``change`` to the spectrogram (batch, channels, bins, frames)."""
    window = torch.hann_window(n_fft, dtype=x.dtype, device=x.device)
    spectrogram = change(stft(x, n_fft, hop_length, window))
    return istft(spectrogram, n_fft, hop_length, window, n_timepoints=x.shape[-1])


def band_mask(x, width=0.2, generator=None):
    """Remove a random band of frequencies from every series.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    width : float
        Width of the band as a share of the frequency bins, between 0 and 1.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> band_mask(torch.ones(2, 1, 7), width=1.0).abs().max()
    tensor(0.)
    """

    def change(spectrogram):
        batch, _, n_bins, _ = spectrogram.shape
        hidden = _span_mask(batch, n_bins, width, x.device, generator)
        return spectrogram.masked_fill(hidden[:, None, :, None], 0)

    return _in_time_frequency(x, change)


def block_mask(x, time_width=0.3, band_width=0.3, generator=None):
    """Remove a random block of frequencies and frames from every series.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    time_width, band_width : float
        Size of the block as shares of the frames and of the frequency bins.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> block_mask(torch.ones(2, 1, 7)).shape
    torch.Size([2, 1, 7])
    """

    def change(spectrogram):
        batch, _, n_bins, n_frames = spectrogram.shape
        bins = _span_mask(batch, n_bins, band_width, x.device, generator)
        frames = _span_mask(batch, n_frames, time_width, x.device, generator)
        hidden = bins[:, None, :, None] & frames[:, None, None, :]
        return spectrogram.masked_fill(hidden, 0)

    return _in_time_frequency(x, change)


def phase_rotation(x, max_angle=0.5, generator=None):
    """Turn the phase of every frequency bin of a series by its own random angle.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    max_angle : float
        Largest angle in radians.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(2, 1, 9)
    >>> torch.allclose(phase_rotation(x, max_angle=0.0), x, atol=1e-5)
    True
    """

    def change(spectrogram):
        batch, _, n_bins, _ = spectrogram.shape
        angle = _uniform(
            x, batch, 1, n_bins, 1, low=-max_angle, high=max_angle, generator=generator
        )
        return spectrogram * torch.polar(torch.ones_like(angle), angle)

    return _in_time_frequency(x, change)


def spectral_scale(x, scale=0.2, generator=None):
    """Multiply every frequency bin of a series by its own factor around one.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the factors.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(2, 1, 9)
    >>> torch.allclose(spectral_scale(x, scale=0.0), x, atol=1e-5)
    True
    """

    def change(spectrogram):
        batch, channels, n_bins, _ = spectrogram.shape
        factor = _normal(x, batch, channels, n_bins, 1, generator=generator)
        return spectrogram * (1 + scale * factor)

    return _in_time_frequency(x, change)


# ------------------------------------------------------------------- composition

PRESETS = {
    "gauss": [gaussian_noise],
    "slice": [slice_and_shuffle],
    "warp": [window_warp, amplitude_resize],
    "crop": [crop_and_resize],
    # Noise hides what has next to no power: objectives that tell series apart would
    # know smooth ones by it, through the logarithms in the encoder's input.
    "shift": [time_shift, partial(gaussian_noise, scale=0.02)],
}


def resolve_augmentations(augmentations):
    """The list of callables that a preset's name, a callable or a list stands for.

    Parameters
    ----------
    augmentations : str, callable or list of those
        As an estimator takes it.

    Returns
    -------
    list of callables

    Raises
    ------
    ValueError
        For an unknown preset.
    TypeError
        For anything that is neither a name nor a callable.

    Examples
    --------
    >>> [f.__name__ for f in resolve_augmentations(["warp", flip])]
    ['window_warp', 'amplitude_resize', 'flip']
    """
    if isinstance(augmentations, str):
        if augmentations not in PRESETS:
            raise ValueError(
                f"augmentations must name one of {sorted(PRESETS)}, got "
                f"{augmentations!r} instead."
            )
        return list(PRESETS[augmentations])
    if callable(augmentations):
        return [augmentations]
    if not isinstance(augmentations, (list, tuple)):
        raise TypeError(
            "augmentations must be a preset's name, a callable or a list of those, got "
            f"{augmentations!r} instead."
        )
    return [f for item in augmentations for f in resolve_augmentations(item)]


def augment(x, augmentations):
    """Apply augmentations in turn.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    augmentations : list of callables
        Each takes and returns such a tensor.

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    ValueError
        When an augmentation changes the shape.

    Examples
    --------
    >>> import torch
    >>> augment(torch.ones(1, 1, 2), [lambda x: 2 * x, lambda x: x + 1])
    tensor([[[3., 3.]]])
    """
    for function in augmentations:
        changed = function(x)
        if changed.shape != x.shape:
            raise ValueError(
                f"Augmentation {function!r} must keep the shape {tuple(x.shape)}, got "
                f"{tuple(changed.shape)} instead."
            )
        x = changed
    return x
