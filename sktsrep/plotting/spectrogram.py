"""Display of a spectrogram."""

import numpy as np
import torch
from scipy.signal import get_window

from sktsrep._gaps import bridge, observed_lengths
from sktsrep._validation import check_positive_int
from sktsrep.functional import stft
from sktsrep.metrics._checks import check_numbers, check_size
from sktsrep.plotting._utils import check_channel, panels, require, time_axis

__all__ = ["SpectrogramDisplay"]


class SpectrogramDisplay:
    """Show a spectrogram.

    Parameters
    ----------
    magnitude : ndarray of shape (n_freqs, n_frames)
        Values to draw; frames of NaN, after the end of a series, stay empty.
    n_fft, hop_length : int
        Length of the window, and step between frames, in timepoints.
    sampling_rate : float, default=None
        Timepoints per second, for axes in seconds and hertz; None for timepoints and
        cycles per timepoint.
    name : str, default="magnitude"
        Label of the color bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib, numpy as np
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import SpectrogramDisplay
    >>> x = np.sin(np.arange(100))
    >>> display = SpectrogramDisplay.from_arrays(x, n_fft=16, sampling_rate=50).plot()
    >>> display.magnitude.shape, display.ax_.get_ylabel()
    ((9, 26), 'frequency (Hz)')
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(
        self, magnitude, *, n_fft, hop_length, sampling_rate=None, name="magnitude"
    ):
        self.magnitude = magnitude
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.sampling_rate = sampling_rate
        self.name = name

    @classmethod
    def from_estimator(cls, transformer, X, *, sample=0, channel=0, sampling_rate=None):
        """Create a display of one series, transformed by a fitted transformer.

        Parameters
        ----------
        transformer : STFTTransformer
            Fitted transformer. Its ``output`` is drawn; the magnitude, if the output is
            real and imaginary parts.
        X : array-like of the shape that ``fit`` saw
            Series.
        sample, channel : int, default=0
            Index of the series and of its channel.
        sampling_rate : float, default=None
            Timepoints per second.

        Returns
        -------
        SpectrogramDisplay
        """
        require(transformer, "transform", "output", "spectrogram_shape_")
        parts = np.asarray(transformer.transform(X))
        if not -len(parts) <= sample < len(parts):
            raise ValueError(f"sample must be below {len(parts)}, got {sample!r}.")
        parts = parts[sample]
        parts = parts.reshape(transformer.spectrogram_shape_)
        name = transformer.output
        if name == "real_imag":
            name, parts = "magnitude", np.hypot(*np.split(parts, 2))
        check_channel(channel, len(parts))
        return cls(
            parts[channel],
            n_fft=transformer.n_fft_,
            hop_length=transformer.hop_length_,
            sampling_rate=sampling_rate,
            name={"log_magnitude": "log(1 + magnitude)"}.get(name, name),
        )

    @classmethod
    def from_arrays(
        cls, x, *, n_fft=8, hop_length=None, window="hann", sampling_rate=None
    ):
        """Create a display of one series.

        Parameters
        ----------
        x : array-like of shape (n_timepoints,)
            Series. NaN that runs to the end is cut off, other NaN bridged by lines.
        n_fft : int, default=8
            Length of the window in timepoints.
        hop_length : int, default=None
            Timepoints between frames; None is a quarter of ``n_fft``.
        window : str, default="hann"
            Name of a window for :func:`scipy.signal.get_window`.
        sampling_rate : float, default=None
            Timepoints per second.

        Returns
        -------
        SpectrogramDisplay
        """
        x = check_numbers(x, "x", allow_nan=True)
        if x.ndim != 1:
            raise ValueError(f"x must have shape (n_timepoints,), got {x.shape}.")
        x = bridge(x[None])[0, : observed_lengths(x[None], "x")[0]]
        check_size(x, "x")
        check_positive_int(n_fft, "n_fft")
        hop_length = max(n_fft // 4, 1) if hop_length is None else hop_length
        check_positive_int(hop_length, "hop_length")
        x = torch.tensor(x)
        window = torch.as_tensor(get_window(window, n_fft))
        spectrogram = stft(x[None, None], n_fft, hop_length, window)[0, 0]
        return cls(
            spectrogram.abs().numpy(),
            n_fft=n_fft,
            hop_length=hop_length,
            sampling_rate=sampling_rate,
        )

    def plot(self, ax=None, *, cmap="cividis"):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on; None makes a figure.
        cmap : str or matplotlib Colormap, default="cividis"
            Color map of the values.

        Returns
        -------
        self
        """
        n_freqs, n_frames = self.magnitude.shape
        frames = np.arange(n_frames) * self.hop_length
        time, unit = time_axis(frames, self.sampling_rate)
        frequency = np.arange(n_freqs) / self.n_fft * (self.sampling_rate or 1)
        self.ax_ = panels(ax, size=(5.6, 3.2))[0, 0]
        self.figure_ = self.ax_.figure
        mesh = self.ax_.pcolormesh(
            time, frequency, self.magnitude, shading="nearest", cmap=cmap
        )
        self.figure_.colorbar(mesh, ax=self.ax_, label=self.name)
        self.ax_.set_xlabel(unit)
        unit = "cycles per timepoint" if self.sampling_rate is None else "Hz"
        self.ax_.set_ylabel(f"frequency ({unit})")
        return self
