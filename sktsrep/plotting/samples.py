"""Display of generated series beside real ones."""

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sktsrep.metrics._checks import check_labels, check_padded, draw_samples
from sktsrep.plotting._utils import (
    BLACK,
    BLUE,
    SMALL_TITLE,
    VERMILION,
    SeriesDisplay,
    check_channel,
    legend_beside,
    panels,
    require,
    shorten,
)

__all__ = ["SamplesDisplay"]


class SamplesDisplay(SeriesDisplay):
    """Show real and generated series side by side, class by class.

    Each panel shows the median, two quantile bands and a few individual series. Where
    values are missing or series are over, median and bands are those of the others.

    Parameters
    ----------
    groups : dict of str to tuple of two ndarrays
        Real and generated series by the name of the class, both of shape
        (n_samples, n_channels, n_timepoints), with NaN in gaps and after ends.
    sampling_rate : float, default=None
        Timepoints per second, for an axis in seconds.
    time : array-like of shape (n_timepoints,), default=None
        Increasing numbers or dates of the timepoints, in place of ``sampling_rate``.
    channel_names : sequence of str, default=None
        Names of the channels; None numbers them.
    unit : str, default=None
        Unit of the values.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (n_classes, 2)
        Panels.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib, numpy as np
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import SamplesDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, X_generated = rng.normal(size=(2, 20, 30))
    >>> display = SamplesDisplay.from_arrays(X, X_generated).plot()
    >>> [ax.get_title(loc="left") for ax in display.ax_.flat]
    ['real (n = 20)', 'generated (n = 20)']
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(
        self,
        groups,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        self.groups = groups
        super().__init__(
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_estimator(
        cls,
        sampler,
        X,
        y=None,
        *,
        random_state=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of real series and equally many generated ones.

        Parameters
        ----------
        sampler : estimator
            Fitted sampler with ``sample(n_samples, random_state=...)`` and, if it knows
            classes, ``y``. Otherwise its series are shown beside all of ``X``.
        X : array-like
            Real series.
        y : array-like of shape (n_samples,), default=None
            Their classes.
        random_state : int, RandomState instance or None, default=None
            Draws the series.
        sampling_rate : float, default=None
            Timepoints per second, for an axis in seconds.
        time : array-like of shape (n_timepoints,), default=None
            Increasing numbers or dates of the timepoints, in place of
            ``sampling_rate``.
        channel_names : sequence of str, default=None
            Names of the channels; None numbers them.
        unit : str, default=None
            Unit of the values.

        Returns
        -------
        SamplesDisplay
        """
        require(sampler, "sample")
        X_generated, y_generated = draw_samples(sampler, len(X), y, random_state)
        return cls.from_arrays(
            X,
            X_generated,
            y=None if y_generated is None else y,
            y_generated=y_generated,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_arrays(
        cls,
        X,
        X_generated,
        *,
        y=None,
        y_generated=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of real and generated series.

        Parameters
        ----------
        X, X_generated : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Real and generated series; their numbers may differ. Lists may hold series
            of unequal length. NaN means missing or, after the end of a series, not
            there.
        y, y_generated : array-like of shape (n_samples,), default=None
            Their classes.
        sampling_rate : float, default=None
            Timepoints per second, for an axis in seconds.
        time : array-like of shape (n_timepoints,), default=None
            Increasing numbers or dates of the timepoints, in place of
            ``sampling_rate``.
        channel_names : sequence of str, default=None
            Names of the channels; None numbers them.
        unit : str, default=None
            Unit of the values.

        Returns
        -------
        SamplesDisplay
        """
        X, X_generated = check_padded(X=X, X_generated=X_generated)
        if (y is None) != (y_generated is None):
            raise ValueError("y and y_generated must be given both, or neither.")
        groups = {"": (X, X_generated)}
        if y is not None:
            groups = _by_class(X, X_generated, y, y_generated)
        display = cls(
            groups,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )
        return display._check_axes(*X.shape[1:])

    def plot(
        self, ax=None, *, n_series=3, bands=((0.05, 0.95), (0.25, 0.75)), channel=0
    ):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.
        n_series : int, default=3
            Individual series per panel; the first ones are drawn.
        bands : tuple of tuple of float, default=((0.05, 0.95), (0.25, 0.75))
            Lower and upper quantile of each band, the widest first.
        channel : int, default=0
            Channel of the series.

        Returns
        -------
        self
        """
        n_channels = next(iter(self.groups.values()))[0].shape[1]
        check_channel(channel, n_channels)
        self.ax_ = panels(
            ax, len(self.groups), 2, size=(4.0, 2.5), sharex=True, sharey=True
        )
        self.figure_ = self.ax_[0, 0].figure
        kinds = (("real", BLUE), ("generated", VERMILION))
        for row, (name, pair) in zip(self.ax_, self.groups.items(), strict=True):
            for panel, X, (kind, color) in zip(row, pair, kinds, strict=True):
                self._plot_panel(panel, X[:, channel], n_series, bands, color)
                title = f"{kind} (n = {len(X)})"
                title = f"{shorten(name)}, {title}" if name else title
                panel.set_title(title, **SMALL_TITLE)
        for panel in self.ax_[:, 0]:
            self._label_channel(panel, channel, n_channels)
        self._label_time(*self.ax_[-1])
        legend_beside(self.ax_[0, -1])
        return self

    def _plot_panel(self, ax, x, n_series, bands, color):
        """Draw one kind of series (n_samples, n_timepoints) of one class."""
        time = self._time_values(np.arange(x.shape[1]))
        for i, (low, high) in enumerate(bands):
            ax.fill_between(
                time,
                *_quantiles(x, [low, high]),
                color=color,
                alpha=1 - 0.75 ** (i + 1),  # each band covers the one before
                linewidth=0,
                label=f"{low:.0%} to {high:.0%}",
            )
        (median,) = _quantiles(x, [0.5])
        ax.plot(time, median, color=color, linewidth=2, label="median")
        for i, series in enumerate(x[:n_series]):
            label = "individual series" if i == 0 else None
            ax.plot(time, series, color=BLACK, linewidth=0.6, label=label)


def _quantiles(x, shares):
    """Compute quantiles (n_shares, n_timepoints) of the known values."""
    if not np.isnan(x).any():
        return np.quantile(x, shares, axis=0)
    quantiles = np.full((len(shares), x.shape[1]), np.nan)
    has_value = ~np.isnan(x).all(axis=0)
    quantiles[:, has_value] = np.nanquantile(x[:, has_value], shares, axis=0)
    return quantiles


def _by_class(X, X_generated, y, y_generated):
    """Make pairs of real and generated series by the name of their class."""
    y, y_generated = check_labels(y, "y"), check_labels(y_generated, "y_generated")
    check_consistent_length(X, y)
    check_consistent_length(X_generated, y_generated)
    missing = set(y.tolist()) ^ set(y_generated.tolist())
    if missing:
        raise ValueError(
            "y and y_generated must have the same classes, but only one of them has "
            f"{sorted(missing, key=lambda label: (str(type(label)), label))}."
        )
    return {
        f"class {label}": (X[y == label], X_generated[y_generated == label])
        for label in np.unique(y)
    }
