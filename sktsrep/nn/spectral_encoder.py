"""From series to spectrograms and latent maps."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sktsrep.functional import istft, stft
from sktsrep.nn.convolutions import Decoder, Encoder
from sktsrep.nn.pooling import (
    LATENT_SUMMARY_SIZE,
    SUMMARY_SIZE,
    summarize,
    summarize_latent,
)
from sktsrep.nn.remade import Remade

__all__ = ["STFT", "SpectralEncoder", "stage_sizes"]

# Power of a frequency bin, beside that of the strongest, below which it is rounding.
_LEAST_POWER = 1e-4

# Rows that go through the network at once before training, to bound its memory.
ROWS_AT_ONCE = 256


class STFT(nn.Module):
    """Short-time Fourier transform with real and imaginary parts as channels.

    Parameters
    ----------
    n_fft : int
        Length of the window in timepoints.
    hop_length : int
        Timepoints between frames.
    window : str
        A window's name for :func:`scipy.signal.get_window`.
    dtype : torch.dtype
        Floating-point type of the series.

    Examples
    --------
    >>> import torch
    >>> STFT(8, 4)(torch.zeros(1, 3, 20)).shape
    torch.Size([1, 6, 5, 6])
    """

    window: Tensor

    def __init__(
        self,
        n_fft: int,
        hop_length: int,
        window: str = "hann",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        # Here, because it would slow down the import of sktsrep.
        from scipy.signal import get_window

        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        values = torch.as_tensor(get_window(window, n_fft), dtype=dtype)
        self.register_buffer("window", values, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, 2 * channels, bins, frames)."""
        spectrogram = stft(x, self.n_fft, self.hop_length, self.window)
        return torch.cat([spectrogram.real, spectrogram.imag], dim=1)

    def inverse(self, spectrogram: Tensor, n_timepoints: int) -> Tensor:
        """Map (batch, 2 * channels, bins, frames) to (batch, channels, time)."""
        real, imaginary = spectrogram.chunk(2, dim=1)
        values = torch.complex(real, imaginary)
        return istft(values, self.n_fft, self.hop_length, self.window, n_timepoints)


def stage_sizes(n_timepoints: int, hop_length: int, max_tokens: int) -> list[int]:
    """Count the frames of every stage of a :class:`SpectralEncoder`.

    Parameters
    ----------
    n_timepoints : int
        Length of the series.
    hop_length : int
        Timepoints between frames.
    max_tokens : int
        Stages halve the frames until there are no more than this many.

    Returns
    -------
    list of int
        From fine to coarse.

    Examples
    --------
    >>> stage_sizes(40, hop_length=2, max_tokens=8)
    [21, 10, 5]
    """
    sizes = [1 + math.ceil(n_timepoints / hop_length)]
    while sizes[-1] > max_tokens:
        sizes.append(sizes[-1] // 2)
    return sizes


class SpectralEncoder(Remade):
    """From standardized series to a latent map: STFT, then :class:`Encoder`.

    The channels of the convolutions over frames are, for every frequency bin, the real
    and imaginary parts and the log amplitude. The parts are linear in the series, so
    what has little power hardly shows in them. It shows in the logarithms, which know
    no sign.

    This is the one backbone of the package. A network asks of it :attr:`sizes`,
    :attr:`n_features`, :meth:`start`, :meth:`spectrogram`, :meth:`latent`,
    :meth:`activations`, :meth:`series` and :meth:`mirror`.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of a series, which lasts whole hops.
    out_dim : int
        Channels of the latent map.
    n_fft, hop_length : int
        Window (Hann) and hop of the STFT in timepoints.
    max_tokens : int
        Stages halve the frames until there are no more than this many.
    hidden_dim, n_blocks : int
        See :class:`Encoder`.
    log_weight : float
        Weight of the log amplitudes. Noise fills those of empty bins: at full weight it
        would drown the rest.

    Attributes
    ----------
    sizes : list of int
        Frames of every stage, from fine to coarse; the last is the number of places.
    in_channels : int
        Real and imaginary parts of every channel and frequency bin.
    log_mean : Tensor of shape (in_channels / 2, 1)
        Mean log amplitudes of the training data, set by :meth:`start`.
    bin_scale : Tensor of shape (in_channels, 1)
        Root mean square of the spectrogram's entries in the training data, by bin; at
        least a hundredth of the largest. Set by :meth:`start`.
    n_latent_features : int
        Features that summarize a map of ``out_dim`` channels.
    n_features : int
        Features of :meth:`embed`.

    Examples
    --------
    >>> import torch
    >>> encoder = SpectralEncoder(1, 40, out_dim=4, max_tokens=8, hidden_dim=16)
    >>> encoder(torch.zeros(2, 1, 40)).shape, encoder.sizes
    (torch.Size([2, 4, 5]), [21, 10, 5])
    """

    log_mean: Tensor
    bin_scale: Tensor

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        *,
        out_dim: int,
        n_fft: int = 8,
        hop_length: int = 2,
        max_tokens: int = 32,
        hidden_dim: int = 64,
        n_blocks: int = 2,
        log_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.n_timepoints = n_timepoints
        self.out_dim = out_dim
        self.hidden_dim = hidden_dim
        self.n_blocks = n_blocks
        self.log_weight = log_weight
        self.stft = STFT(n_fft, hop_length)
        # White noise of unit variance has entries of variance one half: the loss in the
        # time-frequency domain means the same for every window.
        self.scale = self.stft.window.square().sum().rsqrt().item()
        self.sizes = stage_sizes(n_timepoints, hop_length, max_tokens)
        n_bins = n_channels * (n_fft // 2 + 1)
        self.in_channels = 2 * n_bins
        n_maps = len(self.sizes) * (1 + n_blocks)
        self.n_latent_features = LATENT_SUMMARY_SIZE * out_dim
        n_summaries = SUMMARY_SIZE * (n_bins + n_maps * hidden_dim)
        self.n_features = n_summaries + self.n_latent_features
        self.register_buffer("log_mean", torch.zeros(n_bins, 1))
        self.register_buffer("bin_scale", torch.ones(self.in_channels, 1))
        self.encoder = Encoder(
            self.in_channels + n_bins, hidden_dim, out_dim, len(self.sizes), n_blocks
        )

    def mirror(self, in_dim: int, *, transposed: bool = True) -> Decoder:
        """Make the decoder from ``in_dim`` channels back to the spectrogram."""
        return Decoder(
            in_dim,
            self.hidden_dim,
            self.in_channels,
            self.sizes[::-1],
            self.n_blocks,
            transposed=transposed,
        )

    def linear_path(self, out_dim: int) -> nn.Conv1d:
        """Make one convolution from the frames of a spectrogram to places."""
        stride = 2 ** (len(self.sizes) - 1)
        width, padding = (3, 1) if stride == 1 else (2 * stride, stride // 2)
        return nn.Conv1d(self.in_channels, out_dim, width, stride, padding)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Learn from standardized series (rows, channels, time).

        The mean log amplitudes are subtracted, because left in, they would be the same
        large number in every frame of every series. The power of the bins is what
        errors of a spectrogram are relative to.
        """
        log_amplitude, power = (torch.zeros_like(self.log_mean) for _ in range(2))
        for rows in x.split(ROWS_AT_ONCE):
            spectrogram = self.spectrogram(rows)
            logs = self.log_amplitudes(spectrogram)
            log_amplitude += logs.mean(dim=-1).sum(dim=0).unsqueeze(1)
            real, imaginary = spectrogram.chunk(2, dim=1)
            squares = (real.square() + imaginary.square()).mean(dim=-1) / 2
            power += squares.sum(dim=0).unsqueeze(1)
        self.log_mean += log_amplitude / len(x)
        power = power / len(x)
        power = torch.where(power.max() > 0, power, 1.0)
        scale = power.clamp(min=_LEAST_POWER * power.max()).sqrt()
        self.bin_scale.copy_(torch.cat([scale, scale]))

    def spectrogram(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, in_channels, frames)."""
        return self.scale * self.stft(x).flatten(start_dim=1, end_dim=2)

    def relative(self, spectrogram: Tensor) -> Tensor:
        """Divide (batch, in_channels, frames) by the scale of the bins."""
        return spectrogram / self.bin_scale

    def log_amplitudes(self, spectrogram: Tensor) -> Tensor:
        """Map (batch, in_channels, frames) to (batch, bins, frames), centered.

        The logarithms are common ones with a floor at 1e-4 of white noise of variance
        1, below which single precision rounds.
        """
        real, imaginary = spectrogram.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        return (power + 1e-8).log10() / 2 - self.log_mean

    def _inputs(self, spectrogram: Tensor, log_amplitudes: Tensor) -> Tensor:
        return torch.cat([spectrogram, self.log_weight * log_amplitudes], dim=1)

    def activations(self, spectrogram: Tensor) -> list[Tensor]:
        """Log amplitudes, then :meth:`Encoder.activations`; the latent map is last."""
        log_amplitudes = self.log_amplitudes(spectrogram)
        inputs = self._inputs(spectrogram, log_amplitudes)
        return [log_amplitudes, *self.encoder.activations(inputs)]

    def embed(self, x: Tensor) -> Tensor:
        """Summarize all activations over time: (batch, n_features)."""
        return self.summarize(self.activations(self.spectrogram(x)))

    @staticmethod
    def summarize(activations: Sequence[Tensor]) -> Tensor:
        """Do the part of :meth:`embed` that follows :meth:`activations`."""
        *blocks, z = activations
        summaries = [summarize(block) for block in blocks]
        return torch.cat([*summaries, summarize_latent(z)], dim=1)

    def latent(self, spectrogram: Tensor) -> Tensor:
        """Map (batch, in_channels, frames) to (batch, out_dim, places)."""
        log_amplitudes = self.log_amplitudes(spectrogram)
        return self.encoder(self._inputs(spectrogram, log_amplitudes))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, out_dim, places)."""
        return self.latent(self.spectrogram(x))

    def sizes_of(self, n_timepoints: int) -> list[int]:
        """Count the frames of every stage, from fine to coarse, at another length."""
        n_frames = 1 + math.ceil(n_timepoints / self.stft.hop_length)
        return [n_frames >> stage for stage in range(len(self.sizes))]

    def series(self, spectrogram: Tensor, n_timepoints: int | None = None) -> Tensor:
        """Invert :meth:`spectrogram`, for series of this length or that of ``fit``."""
        n_bins = self.stft.n_fft // 2 + 1
        unscaled = spectrogram.unflatten(1, (-1, n_bins)) / self.scale
        return self.stft.inverse(unscaled, n_timepoints or self.n_timepoints)
