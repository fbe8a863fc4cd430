"""Displays of series: reconstructions, spectrograms, samples and augmented views."""

import numpy as np
import torch
from scipy.signal import get_window
from sklearn.utils.validation import (
    check_consistent_length,
    check_random_state,
    column_or_1d,
)

from sktsrep._net import isolated_random_state
from sktsrep._plot_utils import (
    BLACK,
    BLUE,
    SMALL_TITLE,
    VERMILION,
    as_collection,
    legend_beside,
    line_styles,
    panels,
    time_axis,
)
from sktsrep.augmentations import augment, resolve_augmentations
from sktsrep.functional import stft

__all__ = [
    "AugmentationDisplay",
    "ReconstructionDisplay",
    "SamplesDisplay",
    "SpectrogramDisplay",
]


class ReconstructionDisplay:
    """Series and what is left of them after encoding and decoding.

    Titles give the root mean squared error (RMSE).

    Parameters
    ----------
    X, X_reconstructed : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series and reconstructions.
    sampling_rate : float, default=None
        Timepoints a second, for an axis in seconds.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (n_series, n_channels)
        The panels.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import ReconstructionDisplay
    >>> display = ReconstructionDisplay.from_arrays([[0.0, 1.0]], [[0.0, 0.0]]).plot()
    >>> display.ax_[0, 0].get_title(loc="left")
    'series 0, RMSE 0.707'
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(self, X, X_reconstructed, *, sampling_rate=None):
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.sampling_rate = sampling_rate

    @classmethod
    def from_estimator(cls, estimator, X, *, sampling_rate=None):
        """Display of what a fitted estimator makes of series.

        Parameters
        ----------
        estimator : estimator
            Has ``reconstruct``, or ``transform`` and ``inverse_transform``.
        X : array-like
            Series.
        sampling_rate : float, default=None
            Timepoints a second.

        Returns
        -------
        ReconstructionDisplay
        """
        if hasattr(estimator, "reconstruct"):
            reconstructed = estimator.reconstruct(X)
        else:
            reconstructed = estimator.inverse_transform(estimator.transform(X))
        return cls.from_arrays(X, reconstructed, sampling_rate=sampling_rate)

    @classmethod
    def from_arrays(cls, X, X_reconstructed, *, sampling_rate=None):
        """Display of series and reconstructions.

        Parameters
        ----------
        X, X_reconstructed : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series and reconstructions.
        sampling_rate : float, default=None
            Timepoints a second.

        Returns
        -------
        ReconstructionDisplay
        """
        X = as_collection(X)
        X_reconstructed = as_collection(X_reconstructed, "X_reconstructed")
        if X.shape != X_reconstructed.shape:
            raise ValueError(
                f"X_reconstructed must have the shape {X.shape} of X, got "
                f"{X_reconstructed.shape} instead."
            )
        return cls(X, X_reconstructed, sampling_rate=sampling_rate)

    def plot(self, ax=None, *, n_series=3):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Where; None makes a figure, one Axes is divided.
        n_series : int, default=3
            How many series; the first ones are drawn.

        Returns
        -------
        self
        """
        n_series, n_channels = min(n_series, len(self.X)), self.X.shape[1]
        time, unit = time_axis(np.arange(self.X.shape[-1]), self.sampling_rate)
        self.ax_ = panels(ax, n_series, n_channels, size=(6.4, 1.9), sharex=True)
        self.figure_ = self.ax_[0, 0].figure
        for (i, channel), panel in np.ndenumerate(self.ax_):
            x, decoded = self.X[i, channel], self.X_reconstructed[i, channel]
            panel.plot(time, x, color=BLACK, linewidth=1, label="series")
            panel.plot(time, decoded, "--", color=VERMILION, label="reconstruction")
            error = np.sqrt(np.mean((x - decoded) ** 2))
            name = f"series {i}" + (f", channel {channel}" if n_channels > 1 else "")
            panel.set_title(f"{name}, RMSE {error:.3g}", **SMALL_TITLE)
        for panel in self.ax_[-1]:
            panel.set_xlabel(unit)
        legend_beside(self.ax_[0, -1])
        return self


class SpectrogramDisplay:
    """A spectrogram with axes in the user's units.

    Parameters
    ----------
    magnitude : ndarray of shape (n_freqs, n_frames)
        What is drawn.
    n_fft, hop_length : int
        Length of the window and timepoints between frames.
    sampling_rate : float, default=None
        Timepoints a second, for axes in seconds and hertz; None for timepoints and
        cycles a timepoint.
    name : str, default="magnitude"
        What the values are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.

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
        """Display of one series, transformed.

        Parameters
        ----------
        transformer : STFTTransformer
            Fitted; its ``output`` decides what is drawn, magnitudes for real and
            imaginary parts.
        X : array-like of the shape that ``fit`` saw
            Series.
        sample, channel : int, default=0
            Which one.
        sampling_rate : float, default=None
            Timepoints a second.

        Returns
        -------
        SpectrogramDisplay
        """
        parts = np.asarray(transformer.transform(X))[sample]
        parts = parts.reshape(transformer.spectrogram_shape_)
        name = transformer.output
        if name == "real_imag":
            name, parts = "magnitude", np.hypot(*np.split(parts, 2))
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
        """Display of a series.

        Parameters
        ----------
        x : array-like of shape (n_timepoints,)
            Series.
        n_fft : int, default=8
            Length of the window in timepoints.
        hop_length : int, default=None
            Timepoints between frames; None is a quarter of ``n_fft``.
        window : str, default="hann"
            A window's name for :func:`scipy.signal.get_window`.
        sampling_rate : float, default=None
            Timepoints a second.

        Returns
        -------
        SpectrogramDisplay
        """
        x = torch.tensor(column_or_1d(x, dtype=np.float64))
        hop_length = max(n_fft // 4, 1) if hop_length is None else hop_length
        window = torch.as_tensor(get_window(window, n_fft))
        spectrogram = stft(x[None, None], n_fft, hop_length, window)[0, 0]
        return cls(
            spectrogram.abs().numpy(),
            n_fft=n_fft,
            hop_length=hop_length,
            sampling_rate=sampling_rate,
        )

    def plot(self, ax=None, *, cmap="cividis"):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where; None makes a figure.
        cmap : str or matplotlib Colormap, default="cividis"
            Colours of the values.

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
        hertz = "frequency (Hz)"
        per_timepoint = "frequency (cycles a timepoint)"
        self.ax_.set_ylabel(per_timepoint if self.sampling_rate is None else hertz)
        return self


class SamplesDisplay:
    """Real series against sampled ones, class by class.

    A panel shows the median, two bands of quantiles and a few single series.

    Parameters
    ----------
    groups : dict of str to tuple of two ndarrays
        Real and sampled series, both of shape (n_samples, n_channels, n_timepoints), by
        the name of the class.
    sampling_rate : float, default=None
        Timepoints a second, for an axis in seconds.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (n_classes, 2)
        The panels.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib, numpy as np
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import SamplesDisplay
    >>> rng = np.random.default_rng(0)
    >>> real, sampled = rng.normal(size=(2, 20, 30))
    >>> display = SamplesDisplay.from_arrays(real, sampled).plot()
    >>> [ax.get_title(loc="left") for ax in display.ax_.flat]
    ['real (n = 20)', 'sampled (n = 20)']
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(self, groups, *, sampling_rate=None):
        self.groups = groups
        self.sampling_rate = sampling_rate

    @classmethod
    def from_estimator(
        cls, sampler, X, y=None, *, random_state=None, sampling_rate=None
    ):
        """Display of real series and as many new ones.

        Parameters
        ----------
        sampler : estimator
            Fitted on series; has ``sample(n_samples, random_state=...)``, which takes
            the classes as ``y`` when they are given.
        X : array-like
            Real series.
        y : array-like of shape (n_samples,), default=None
            Their classes.
        random_state : int, RandomState instance or None, default=None
            Decides the samples.
        sampling_rate : float, default=None
            Timepoints a second.

        Returns
        -------
        SamplesDisplay
        """
        classes = {} if y is None else {"y": y}
        sampled = sampler.sample(len(X), **classes, random_state=random_state)
        return cls.from_arrays(
            X, sampled, y=y, y_sampled=y, sampling_rate=sampling_rate
        )

    @classmethod
    def from_arrays(cls, X, X_sampled, *, y=None, y_sampled=None, sampling_rate=None):
        """Display of real and sampled series.

        Parameters
        ----------
        X, X_sampled : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Real and sampled series; their numbers may differ.
        y, y_sampled : array-like of shape (n_samples,), default=None
            Their classes.
        sampling_rate : float, default=None
            Timepoints a second.

        Returns
        -------
        SamplesDisplay
        """
        X, X_sampled = as_collection(X), as_collection(X_sampled, "X_sampled")
        if X.shape[1:] != X_sampled.shape[1:]:
            raise ValueError(
                f"X_sampled must have series of the shape {X.shape[1:]} of X, got "
                f"{X_sampled.shape[1:]} instead."
            )
        if (y is None) != (y_sampled is None):
            raise ValueError("y and y_sampled must both be given, or neither.")
        if y is None:
            return cls({"": (X, X_sampled)}, sampling_rate=sampling_rate)
        y, y_sampled = column_or_1d(y), column_or_1d(y_sampled)
        check_consistent_length(X, y)
        check_consistent_length(X_sampled, y_sampled)
        missing = set(y.tolist()) ^ set(y_sampled.tolist())
        if missing:
            raise ValueError(
                f"y and y_sampled must have the same classes; {sorted(missing)} are in "
                "one only."
            )
        groups = {
            f"class {label}": (X[y == label], X_sampled[y_sampled == label])
            for label in np.unique(y)
        }
        return cls(groups, sampling_rate=sampling_rate)

    def plot(
        self, ax=None, *, n_series=3, bands=((0.05, 0.95), (0.25, 0.75)), channel=0
    ):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Where; None makes a figure, one Axes is divided.
        n_series : int, default=3
            Single series a panel; the first ones are drawn.
        bands : tuple of tuple of float, default=((0.05, 0.95), (0.25, 0.75))
            Quantiles between which bands lie, from the widest.
        channel : int, default=0
            Channel of the series.

        Returns
        -------
        self
        """
        self.ax_ = panels(
            ax, len(self.groups), 2, size=(4.0, 2.5), sharex=True, sharey=True
        )
        self.figure_ = self.ax_[0, 0].figure
        kinds = (("real", BLUE), ("sampled", VERMILION))
        for row, (name, pair) in zip(self.ax_, self.groups.items(), strict=True):
            for panel, X, (kind, color) in zip(row, pair, kinds, strict=True):
                self._plot_panel(panel, X[:, channel], n_series, bands, color)
                title = f"{kind} (n = {len(X)})"
                panel.set_title(f"{name}, {title}" if name else title, **SMALL_TITLE)
        unit = time_axis(np.zeros(1), self.sampling_rate)[1]
        for panel in self.ax_[-1]:
            panel.set_xlabel(unit)
        legend_beside(self.ax_[0, -1])
        return self

    def _plot_panel(self, ax, x, n_series, bands, color):
        """One kind of series of one class, (n_samples, n_timepoints)."""
        time, _ = time_axis(np.arange(x.shape[1]), self.sampling_rate)
        for i, (low, high) in enumerate(bands):
            ax.fill_between(
                time,
                *np.quantile(x, [low, high], axis=0),
                color=color,
                alpha=1 - 0.75 ** (i + 1),
                linewidth=0,
                label=f"{low:.0%} to {high:.0%}",
            )
        ax.plot(time, np.median(x, axis=0), color=color, linewidth=2, label="median")
        for i, series in enumerate(x[:n_series]):
            label = "single series" if i == 0 else None
            ax.plot(time, series, color=BLACK, linewidth=0.6, label=label)


class AugmentationDisplay:
    """A series and random views of it.

    Parameters
    ----------
    x : ndarray of shape (n_channels, n_timepoints)
        The series.
    views : dict of str to ndarray of shape (n_views, n_channels, n_timepoints)
        Views by the augmentation's name.
    sampling_rate : float, default=None
        Timepoints a second, for an axis in seconds.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (n_augmentations, 1)
        The panels.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib, numpy as np
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import AugmentationDisplay
    >>> X = np.sin(np.arange(100).reshape(2, 50))
    >>> display = AugmentationDisplay.from_augmentations(["warp", "gauss"], X).plot()
    >>> {name: views.shape for name, views in display.views.items()}
    {'warp': (3, 1, 50), 'gauss': (3, 1, 50)}
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(self, x, views, *, sampling_rate=None):
        self.x = x
        self.views = views
        self.sampling_rate = sampling_rate

    @classmethod
    def from_estimator(cls, estimator, X, **params):
        """Display of a fitted estimator's augmentations, at the strength it uses.

        Parameters
        ----------
        estimator : estimator
            Has ``augmentations``, ``mean_`` and ``scale_``.
        X : array-like
            Series.
        **params
            ``sample``, ``n_views``, ``sampling_rate`` and ``random_state`` of
            :meth:`from_augmentations`.

        Returns
        -------
        AugmentationDisplay
        """
        chosen = resolve_augmentations(estimator.augmentations)
        name = ", ".join(_name_of(function) for function in chosen)
        mean = estimator.mean_[:, : np.shape(X)[-1]]
        return cls.from_augmentations(
            {name: chosen}, X, mean=mean, scale=estimator.scale_, **params
        )

    @classmethod
    def from_augmentations(
        cls,
        augmentations,
        X,
        *,
        sample=0,
        n_views=3,
        mean=None,
        scale=None,
        sampling_rate=None,
        random_state=None,
    ):
        """Display of augmentations of one series.

        Parameters
        ----------
        augmentations : list or dict of str
            What to compare, a panel each: names of presets, callables or lists of
            them, or a dict of those by the name to show.
        X : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series.
        sample : int, default=0
            Which one is drawn.
        n_views : int, default=3
            Views an augmentation.
        mean : array-like of shape (n_channels, 1) or (n_channels, n_timepoints), \
                default=None
            Subtracted before; None for the mean of ``X`` by channel.
        scale : array-like of shape (n_channels, 1), default=None
            Strengths are in its units; None for the standard deviation of ``X`` by
            channel.
        sampling_rate : float, default=None
            Timepoints a second.
        random_state : int, RandomState instance or None, default=None
            Decides the views.

        Returns
        -------
        AugmentationDisplay
        """
        X = as_collection(X)
        mean = X.mean(axis=(0, 2))[:, None] if mean is None else np.asarray(mean)
        scale = X.std(axis=(0, 2))[:, None] if scale is None else np.asarray(scale)
        scale = np.where(scale > 0, scale, 1)
        if not isinstance(augmentations, dict):
            augmentations = {_name_of(item): item for item in augmentations}
        x = torch.tensor((X[sample] - mean) / scale).expand(n_views, *X.shape[1:])
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        with isolated_random_state(seed, x.device):
            views = {
                name: augment(x, resolve_augmentations(item)).numpy() * scale + mean
                for name, item in augmentations.items()
            }
        return cls(X[sample], views, sampling_rate=sampling_rate)

    def plot(self, ax=None, *, channel=0):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Where; None makes a figure, one Axes is divided.
        channel : int, default=0
            Channel of the series.

        Returns
        -------
        self
        """
        n_panels = len(self.views)
        time, unit = time_axis(np.arange(self.x.shape[-1]), self.sampling_rate)
        self.ax_ = panels(ax, n_panels, size=(5.6, 1.8), sharex=True, sharey=True)
        self.figure_ = self.ax_[0, 0].figure
        for panel, (name, views) in zip(
            self.ax_[:, 0], self.views.items(), strict=True
        ):
            for i, view in enumerate(views):
                style = line_styles(i)
                panel.plot(time, view[channel], label=f"view {i + 1}", **style)
            x = self.x[channel]
            panel.plot(time, x, color=BLACK, linewidth=2, zorder=1.5, label="series")
            panel.set_title(name, **SMALL_TITLE)
        self.ax_[-1, 0].set_xlabel(unit)
        legend_beside(self.ax_[0, 0])
        return self


def _name_of(item):
    """What to call a preset's name, a callable or a list of those."""
    if isinstance(item, (list, tuple)):
        return ", ".join(_name_of(part) for part in item)
    item = getattr(item, "func", item)  # what a functools.partial calls
    name = item if isinstance(item, str) else getattr(item, "__name__", repr(item))
    return name.replace("_", " ")
