"""Augmentations that change the spectrogram and return series."""

from collections.abc import Callable

import torch
from torch import Tensor

from sktsrep.augmentations._random import (
    check_series,
    check_share,
    normal,
    span_mask,
    uniform,
)
from sktsrep.functional import istft, stft
from sktsrep.functional._checks import check_number

__all__ = ["band_mask", "block_mask", "phase_rotation", "spectral_scale"]


def _in_time_frequency(
    x: Tensor,
    change: Callable[[Tensor], Tensor],
    n_fft: int = 16,
    hop_length: int = 4,
) -> Tensor:
    """Apply ``change`` to the spectrogram (batch, channels, bins, frames)."""
    # Short windows keep every change local in time; 3/4 is the usual overlap for Hann.
    window = torch.hann_window(n_fft, dtype=x.dtype, device=x.device)
    spectrogram = change(stft(x, n_fft, hop_length, window))
    return istft(spectrogram, n_fft, hop_length, window, n_timepoints=x.shape[-1])


def band_mask(
    x: Tensor, width: float = 0.2, generator: torch.Generator | None = None
) -> Tensor:
    """Remove a random band of frequencies from every series.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    width : float
        Width of the band as a share of the frequency bins, between 0 and 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> band_mask(torch.ones(2, 1, 7), width=1.0).abs().max()
    tensor(0.)
    """
    check_series(x, generator, "single")
    check_share(width, "width")

    def change(spectrogram: Tensor) -> Tensor:
        batch, _, n_bins, _ = spectrogram.shape
        hidden = span_mask(batch, n_bins, width, x.device, generator)
        return spectrogram.masked_fill(hidden[:, None, :, None], 0)

    return _in_time_frequency(x, change)


def block_mask(
    x: Tensor,
    time_width: float = 0.3,
    band_width: float = 0.3,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Remove a random block of frequencies and frames from every series.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    time_width, band_width : float
        Size of the block as shares of the frames and of the frequency bins, between 0
        and 1.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> block_mask(torch.ones(2, 1, 7)).shape
    torch.Size([2, 1, 7])
    """
    check_series(x, generator, "single")
    check_share(time_width, "time_width")
    check_share(band_width, "band_width")

    def change(spectrogram: Tensor) -> Tensor:
        batch, _, n_bins, n_frames = spectrogram.shape
        bins = span_mask(batch, n_bins, band_width, x.device, generator)
        frames = span_mask(batch, n_frames, time_width, x.device, generator)
        hidden = bins[:, None, :, None] & frames[:, None, None, :]
        return spectrogram.masked_fill(hidden, 0)

    return _in_time_frequency(x, change)


def phase_rotation(
    x: Tensor, max_angle: float = 0.5, generator: torch.Generator | None = None
) -> Tensor:
    """Rotate the phase of every frequency bin of a series by its own random angle.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    max_angle : float
        Largest angle in radians.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

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
    check_series(x, generator, "single")
    check_number(max_angle, "max_angle", 0)

    def change(spectrogram: Tensor) -> Tensor:
        batch, _, n_bins, _ = spectrogram.shape
        angle = uniform(
            x, batch, 1, n_bins, 1, low=-max_angle, high=max_angle, generator=generator
        )
        return spectrogram * torch.polar(torch.ones_like(angle), angle)

    return _in_time_frequency(x, change)


def spectral_scale(
    x: Tensor, scale: float = 0.2, generator: torch.Generator | None = None
) -> Tensor:
    """Multiply every frequency bin of every channel by its own factor around 1.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    scale : float
        Standard deviation of the factors.
    generator : torch.Generator, default=None
        Source of random numbers; None uses torch's global generator.

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
    check_series(x, generator, "single")
    check_number(scale, "scale", 0)

    def change(spectrogram: Tensor) -> Tensor:
        batch, channels, n_bins, _ = spectrogram.shape
        factor = normal(x, batch, channels, n_bins, 1, generator=generator)
        return spectrogram * (1 + scale * factor)

    return _in_time_frequency(x, change)
