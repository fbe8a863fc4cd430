"""Picture of samples beside real series."""

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from sktsrep.metrics.features import check_series, draw_samples
from sktsrep.plotting._utils import (
    BLACK,
    BLUE,
    SMALL_TITLE,
    VERMILION,
    label_channel,
    legend_beside,
    panels,
    time_axis,
)

__all__ = ["SamplesDisplay"]


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
            the classes as ``y`` when they are given. One that knows no classes is drawn
            against all of ``X``.
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
        sampled, y_sampled = draw_samples(sampler, len(X), y, random_state)
        y = None if y_sampled is None else y
        return cls.from_arrays(
            X, sampled, y=y, y_sampled=y_sampled, sampling_rate=sampling_rate
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
        X, X_sampled = check_series(X, "X"), check_series(X_sampled, "X_sampled")
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
        n_channels = next(iter(self.groups.values()))[0].shape[1]
        for panel in self.ax_[:, 0]:
            label_channel(panel, channel, n_channels)
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
