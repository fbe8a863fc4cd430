"""From series to spectrograms and latent maps."""

import math

import torch
from scipy.signal import get_window
from torch import nn

from sktsrep.functional import istft, stft
from sktsrep.nn.convolutions import Encoder
from sktsrep.nn.pooling import summarize, summarize_latent

__all__ = ["STFT", "SeriesEncoder"]


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
        Of the series.

    Examples
    --------
    >>> import torch
    >>> STFT(8, 4)(torch.zeros(1, 3, 20)).shape
    torch.Size([1, 6, 5, 6])
    """

    def __init__(self, n_fft, hop_length, window="hann", dtype=torch.float32):
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        values = torch.as_tensor(get_window(window, n_fft), dtype=dtype)
        self.register_buffer("window", values, persistent=False)

    def forward(self, x):
        """(batch, channels, time) -> (batch, 2 * channels, bins, frames)."""
        spectrogram = stft(x, self.n_fft, self.hop_length, self.window)
        return torch.cat([spectrogram.real, spectrogram.imag], dim=1)

    def inverse(self, spectrogram, n_timepoints):
        """(batch, 2 * channels, bins, frames) -> (batch, channels, n_timepoints)."""
        real, imaginary = spectrogram.chunk(2, dim=1)
        values = torch.complex(real, imaginary)
        return istft(values, self.n_fft, self.hop_length, self.window, n_timepoints)


class SeriesEncoder(nn.Module):
    """From standardized series to a latent map: STFT, then :class:`Encoder`.

    Every frequency bin's real and imaginary parts and its log amplitude are channels of
    a convolution over the frames. Linear in the series, the parts are blind to what has
    little power; logarithms are not, but know no sign.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of a series; whole hops.
    out_dim : int
        Channels of the latent map.
    n_fft, hop_length : int
        Of the STFT, with a Hann window.
    max_tokens : int
        Stages halve the frames until there are no more than this many.
    hidden_dim, n_blocks : int
        See :class:`Encoder`.

    Attributes
    ----------
    sizes : list of int
        Frames of every stage, from fine to coarse; the last is the number of tokens.
    in_channels : int
        Real and imaginary parts of every channel and frequency bin.
    log_mean : Tensor of shape (in_channels / 2, 1)
        Mean log amplitudes of the training data, set by :meth:`start`.
    n_latent_features : int
        Features that summarize a map of ``out_dim`` channels.
    n_features : int
        Features of :meth:`embed`.

    Examples
    --------
    >>> import torch
    >>> encoder = SeriesEncoder(1, 40, out_dim=4, max_tokens=8, hidden_dim=16)
    >>> encoder(torch.zeros(2, 1, 40)).shape, encoder.sizes
    (torch.Size([2, 4, 5]), [21, 10, 5])
    """

    # Noise fills the logarithms of empty bins: at full weight it would drown the rest.
    log_weight = 0.3

    def __init__(
        self,
        n_channels,
        n_timepoints,
        *,
        out_dim,
        n_fft=8,
        hop_length=2,
        max_tokens=32,
        hidden_dim=64,
        n_blocks=2,
    ):
        super().__init__()
        self.stft = STFT(n_fft, hop_length)
        # White noise of unit variance has entries of variance one half: the loss in the
        # time-frequency domain means the same for every window.
        self.scale = self.stft.window.square().sum().rsqrt().item()
        self.sizes = [1 + math.ceil(n_timepoints / hop_length)]
        while self.sizes[-1] > max_tokens:
            self.sizes.append(self.sizes[-1] // 2)
        self.in_channels = 2 * n_channels * (n_fft // 2 + 1)
        n_maps = len(self.sizes) * (1 + n_blocks)
        n_bins = self.in_channels // 2
        self.n_latent_features = 8 * out_dim
        self.n_features = 4 * (n_bins + n_maps * hidden_dim) + self.n_latent_features
        self.register_buffer("log_mean", torch.zeros(n_bins, 1))
        self.encoder = Encoder(
            self.in_channels + n_bins, hidden_dim, out_dim, len(self.sizes), n_blocks
        )

    @torch.no_grad()
    def start(self, x):
        """Learn the mean log amplitudes of standardized series (rows, channels, time).

        Left in, they would be the same large number in every frame of every series.
        """
        total = sum(
            self.log_amplitudes(self.spectrogram(rows)).mean(dim=-1).sum(dim=0)
            for rows in x.split(256)
        )  # (bins,)
        self.log_mean += total.unsqueeze(1) / len(x)

    def spectrogram(self, x):
        """(batch, channels, time) -> (batch, in_channels, frames)."""
        return self.scale * self.stft(x).flatten(start_dim=1, end_dim=2)

    def log_amplitudes(self, spectrogram):
        """(batch, in_channels, frames) -> (batch, bins, frames), centered.

        Common logarithms, with a floor at 1e-4 of white noise of variance 1.
        """
        real, imaginary = spectrogram.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        return (power + 1e-8).log10() / 2 - self.log_mean

    def _inputs(self, spectrogram, log_amplitudes):
        return torch.cat([spectrogram, self.log_weight * log_amplitudes], dim=1)

    def activations(self, x):
        """Log amplitudes, and :meth:`Encoder.activations` with the latent map last."""
        spectrogram = self.spectrogram(x)
        log_amplitudes = self.log_amplitudes(spectrogram)
        inputs = self._inputs(spectrogram, log_amplitudes)
        return [log_amplitudes, *self.encoder.activations(inputs)]

    def embed(self, x):
        """All activations, summarized over time: (batch, n_features)."""
        return self.summarize(self.activations(x))

    @staticmethod
    def summarize(activations):
        """The part of :meth:`embed` that follows :meth:`activations`."""
        *blocks, z = activations
        summaries = [summarize(block) for block in blocks]
        return torch.cat([*summaries, summarize_latent(z)], dim=1)

    def latent(self, spectrogram):
        """(batch, in_channels, frames) -> (batch, out_dim, tokens)."""
        log_amplitudes = self.log_amplitudes(spectrogram)
        return self.encoder(self._inputs(spectrogram, log_amplitudes))

    def forward(self, x):
        """(batch, channels, time) -> (batch, out_dim, tokens)."""
        return self.latent(self.spectrogram(x))

    def series(self, spectrogram, n_timepoints):
        """Inverse of :meth:`spectrogram`."""
        n_bins = self.stft.n_fft // 2 + 1
        unscaled = spectrogram.unflatten(1, (-1, n_bins)) / self.scale
        return self.stft.inverse(unscaled, n_timepoints)
