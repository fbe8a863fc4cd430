"""Short-time Fourier transform and its inverse."""

import torch
import torch.nn.functional as F

__all__ = ["istft", "stft"]


def stft(x, n_fft, hop_length, window):
    """Short-time Fourier transform that can be inverted at every length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series. Their last value is repeated up to a whole number of hops, so that no
        sample sits in the tail of the last window; outside they count as zero.
    n_fft : int
        Length of the window in timepoints.
    hop_length : int
        Timepoints between frames, less than ``n_fft``.
    window : Tensor of shape (n_fft,)
        The window.

    Returns
    -------
    Tensor of shape (batch, channels, n_fft // 2 + 1, frames), complex
        With ``frames = 1 + ceil(timepoints / hop_length)``; frame ``i`` is centered on
        timepoint ``i * hop_length``.

    Examples
    --------
    >>> import torch
    >>> stft(torch.ones(2, 1, 7), 8, 2, torch.hann_window(8)).shape
    torch.Size([2, 1, 5, 5])
    """
    batch, channels, n_timepoints = x.shape
    padding = -n_timepoints % hop_length
    padded = torch.cat([x, x[..., -1:].expand(-1, -1, padding)], dim=-1)
    spectrogram = torch.stft(
        # An odd window reaches one timepoint less far.
        F.pad(padded.flatten(end_dim=1), (0, n_fft % 2)),
        n_fft,
        hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrogram.unflatten(0, (batch, channels))


def istft(spectrogram, n_fft, hop_length, window, n_timepoints):
    """Inverse of :func:`stft`.

    Parameters
    ----------
    spectrogram : Tensor of shape (batch, channels, bins, frames), complex
        As :func:`stft` gives it.
    n_fft, hop_length, window
        As given to :func:`stft`.
    n_timepoints : int
        Length of the series.

    Returns
    -------
    Tensor of shape (batch, channels, timepoints)

    Examples
    --------
    >>> import torch
    >>> x, window = torch.arange(7.).reshape(1, 1, 7), torch.hann_window(8)
    >>> y = istft(stft(x, 8, 2, window), 8, 2, window, n_timepoints=7)
    >>> torch.allclose(x, y, atol=1e-5)
    True
    """
    series = torch.istft(
        spectrogram.flatten(end_dim=1),
        n_fft,
        hop_length,
        window=window,
        length=n_timepoints,
    )
    return series.unflatten(0, spectrogram.shape[:2])
