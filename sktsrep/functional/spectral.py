"""Short-time Fourier transform and its inverse."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep.functional._checks import check_count, check_same, check_tensor

__all__ = ["istft", "resolve_frames", "stft"]

# Windows that "auto" chooses from: hops enough to tell where, few enough to be fast.
_SHORTEST_WINDOW = 8
_MOST_HOPS = 64

# Squares of the window that reach a timepoint sum up to at least this.
_LEAST_WEIGHT = 1e-11


def _check_frames(n_fft: int, hop_length: int, window: Tensor) -> None:
    check_count(n_fft, "n_fft", 2)
    check_count(hop_length, "hop_length")
    check_tensor(window, "window", "n_fft", "single")
    if len(window) != n_fft:
        raise ValueError(f"window must have n_fft={n_fft} values, got {len(window)}.")
    _check_overlap(n_fft, hop_length)


def _check_overlap(n_fft: int, hop_length: int) -> None:
    if hop_length >= n_fft:
        raise ValueError(
            f"hop_length must be less than n_fft={n_fft}, so that frames overlap, got "
            f"{hop_length} instead."
        )


def stft(x: Tensor, n_fft: int, hop_length: int, window: Tensor) -> Tensor:
    """Compute a short-time Fourier transform that is invertible at every length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series. The last value is repeated up to a whole number of hops, so that no
        sample sits in the tail of the last window. Outside, the series count as zero.
    n_fft : int
        Length of the window in timepoints.
    hop_length : int
        Timepoints between frames, less than ``n_fft``.
    window : Tensor of shape (n_fft,)
        Window function.

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
    check_tensor(x, "x", "batch, channels, time", "single")
    _check_frames(n_fft, hop_length, window)
    check_same(x, window, "x and window", shape=False)
    batch, channels, n_timepoints = x.shape
    padding = -n_timepoints % hop_length
    padded = torch.cat([x, x[..., -1:].expand(-1, -1, padding)], dim=-1)
    # torch pads by n_fft // 2 at both ends: one timepoint too few for an odd window.
    spectrogram = torch.stft(
        F.pad(padded.flatten(end_dim=1), (0, n_fft % 2)),
        n_fft,
        hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    return torch.unflatten(spectrogram, 0, (batch, channels))


def istft(
    spectrogram: Tensor,
    n_fft: int,
    hop_length: int,
    window: Tensor,
    n_timepoints: int,
) -> Tensor:
    """Invert :func:`stft`.

    Parameters
    ----------
    spectrogram : Tensor of shape (batch, channels, bins, frames), complex
        Result of :func:`stft`.
    n_fft, hop_length, window
        Arguments of :func:`stft`.
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
    check_tensor(spectrogram, "spectrogram", "batch, channels, bins, frames", "complex")
    _check_frames(n_fft, hop_length, window)
    check_count(n_timepoints, "n_timepoints")
    check_same(spectrogram.real, window, "spectrogram and window", shape=False)
    _, _, n_bins, n_frames = spectrogram.shape
    if n_bins != n_fft // 2 + 1:
        raise ValueError(
            f"spectrogram must have {n_fft // 2 + 1} bins for n_fft={n_fft}, got "
            f"{n_bins} instead."
        )
    most = max((n_frames - 1) * hop_length, 1)
    if n_timepoints > most:
        raise ValueError(
            f"n_timepoints must be at most {most} for {n_frames} frames and "
            f"hop_length={hop_length}, got {n_timepoints} instead."
        )
    # torch.istft would look at the window, and wait for the device.
    frames = torch.fft.irfft(spectrogram, n_fft, dim=2) * window.unsqueeze(1)
    envelope = window.square().unsqueeze(1).expand(1, 1, -1, n_frames)
    kept = slice(n_fft // 2, n_fft // 2 + n_timepoints)
    weight = _overlap_add(envelope, hop_length)[..., kept]
    _check_invertible(weight, hop_length)
    return _overlap_add(frames, hop_length)[..., kept] / weight


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Add frames (batch, channels, n_fft, frames) up: (batch, channels, time)."""
    # Frames in pieces of one hop: the piece i of frame j lies at hop i + j.
    padding = -frames.shape[2] % hop_length
    pieces = F.pad(frames, (0, 0, 0, padding)).unflatten(2, (-1, hop_length)).unbind(2)
    most = len(pieces) - 1
    shifted = [F.pad(piece, (i, most - i)) for i, piece in enumerate(pieces)]
    hops = torch.stack(shifted).sum(dim=0)  # (batch, channels, hop, hops)
    return hops.transpose(2, 3).flatten(start_dim=2)  # (batch, channels, hops * hop)


def _check_invertible(weight: Tensor, hop_length: int) -> None:
    """Refuse frames that leave gaps, as far as this can be seen without waiting."""
    if weight.device.type == "cpu" and weight.min() < _LEAST_WEIGHT:
        raise ValueError(
            f"window and hop_length={hop_length} leave gaps: they cannot be inverted."
        )


def resolve_frames(
    n_fft: int | str, hop_length: int | None, n_timepoints: int
) -> tuple[int, int]:
    """Find the window and the hop of an STFT in timepoints.

    Parameters
    ----------
    n_fft : int or "auto"
        Length of the window; "auto" is the smallest power of two, from 8 up, that
        makes no more than 64 hops.
    hop_length : int or None
        Timepoints between frames; None is a quarter of the window.
    n_timepoints : int
        Length of the series.

    Returns
    -------
    n_fft, hop_length : int

    Raises
    ------
    ValueError
        When frames would not overlap, and for sizes out of range.

    Examples
    --------
    >>> resolve_frames("auto", None, 500)
    (32, 8)
    """
    check_count(n_timepoints, "n_timepoints")
    if isinstance(n_fft, str):
        if n_fft != "auto":
            raise ValueError(f"n_fft must be an int or 'auto', got {n_fft!r} instead.")
        n_fft = _SHORTEST_WINDOW
        while n_timepoints > _MOST_HOPS * (n_fft // 4):
            n_fft *= 2
    if hop_length is None:
        hop_length = max(n_fft // 4, 1)
    check_count(n_fft, "n_fft", 2)
    check_count(hop_length, "hop_length")
    _check_overlap(n_fft, hop_length)
    return n_fft, hop_length
