"""Colors, panels and axes that the displays share."""

import math
from numbers import Integral

import numpy as np
import pandas as pd

from sktsrep.metrics._checks import unwrap_tensor

__all__ = [
    "BLACK",
    "BLUE",
    "MOST_ENTRIES",
    "SMALL_TITLE",
    "VERMILION",
    "SeriesDisplay",
    "check_channel",
    "legend_beside",
    "legend_columns",
    "line_styles",
    "marker_styles",
    "panels",
    "require",
    "shorten",
    "time_axis",
]

# Okabe and Ito's palette, which color-blind readers can tell apart; yellow is left out,
# because it is faint on white. Black is for the data. The numbers of colors, markers
# and dashes have no common divisor, so their combinations repeat late.
BLACK, BLUE, VERMILION = "#000000", "#0072B2", "#D55E00"
_COLORS = [BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", VERMILION]
_MARKERS = ["o", "^", "s", "D", "v", "P", "X"]
_DASHES = ["-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1))]

SMALL_TITLE = {"loc": "left", "fontsize": "medium"}

_LEGEND_ROWS = 18  # that fit beside the axes of an EmbeddingDisplay
_MOST_COLUMNS = 3
MOST_ENTRIES = _LEGEND_ROWS * _MOST_COLUMNS
_LABEL_LENGTH = 20  # characters of a class in a legend


def _cycle(values, i):
    return values[i % len(values)]


def marker_styles(i):
    """Choose color and marker of the i-th class."""
    return {"color": _cycle(_COLORS, i), "marker": _cycle(_MARKERS, i)}


def line_styles(i):
    """Choose color and dashes of the i-th line."""
    return {"color": _cycle(_COLORS, i), "linestyle": _cycle(_DASHES, i)}


def _import_pyplot():
    """Import ``matplotlib.pyplot``, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib: install it, or sktsrep with the extra 'plot'."
        ) from error
    return plt


def legend_columns(n_entries):
    """Count the columns of a legend that is no taller than its axes."""
    return min(max(1, math.ceil(n_entries / _LEGEND_ROWS)), _MOST_COLUMNS)


def shorten(label):
    """Cut the middle of a long label, which would leave no room for the axes."""
    label = str(label)
    half = _LABEL_LENGTH // 2
    return label if len(label) <= _LABEL_LENGTH else f"{label[:half]}…{label[-half:]}"


def require(estimator, *names):
    """Raise TypeError if an estimator lacks what a display needs."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"estimator must have {' and '.join(names)}, but "
            f"{type(estimator).__name__} has no {missing[0]}, or is not fitted."
        )


def legend_beside(ax):
    """Draw a legend to the right of the axes, where it hides nothing."""
    n_columns = legend_columns(len(ax.get_legend_handles_labels()[0]))
    return ax.legend(
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
        ncols=n_columns,
        fontsize="medium" if n_columns == 1 else "small",
    )


def panels(ax, n_rows=1, n_cols=1, *, size=(3.2, 2.2), height_ratios=None, **sharing):
    """Make the axes of a grid of panels.

    Parameters
    ----------
    ax : matplotlib Axes, array of them or None
        None makes a new figure. A single Axes must be a subplot, which the grid
        replaces; an array must have one Axes per panel.
    n_rows, n_cols : int
        Shape of the grid.
    size : tuple of float
        Width and height in inches of a panel in a new figure.
    height_ratios : list of float, default=None
        Heights of the rows in units of ``size[1]``; None for equal heights.
    **sharing
        ``sharex`` and ``sharey`` of :func:`matplotlib.pyplot.subplots`.

    Returns
    -------
    ndarray of matplotlib Axes, of shape (n_rows, n_cols)
    """
    plt = _import_pyplot()
    shape = (n_rows, n_cols)
    heights = [1.0] * n_rows if height_ratios is None else height_ratios
    if ax is None:
        figsize = (size[0] * n_cols, size[1] * sum(heights))
        figure = plt.figure(figsize=figsize, layout="constrained")
        grid = figure.add_gridspec(*shape, height_ratios=heights)
    elif np.size(ax) == n_rows * n_cols:
        return np.array(ax, dtype=object).reshape(shape)
    elif np.size(ax) == 1 and np.ravel(ax)[0].get_subplotspec() is not None:
        ax = np.ravel(ax)[0]
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(*shape, height_ratios=heights)
    else:
        raise ValueError(
            f"ax must be one subplot or {n_rows * n_cols} Axes, got {np.size(ax)} Axes."
        )
    return grid.subplots(squeeze=False, **sharing)


def time_axis(timepoints, sampling_rate):
    """Convert timepoints to the user's unit and name the axis.

    Parameters
    ----------
    timepoints : ndarray
        Indices, which may lie between timepoints.
    sampling_rate : float or None
        Timepoints per second; None keeps indices.

    Returns
    -------
    values : ndarray
    label : str

    Examples
    --------
    >>> time_axis(np.arange(3), sampling_rate=2)
    (array([0. , 0.5, 1. ]), 'time (s)')
    """
    if sampling_rate is None:
        return timepoints, "timepoint"
    if not sampling_rate > 0:
        raise ValueError(f"sampling_rate must be positive, got {sampling_rate!r}.")
    return timepoints / sampling_rate, "time (s)"


class SeriesDisplay:
    """Draw series on an axis of time, and name their channels.

    Parameters
    ----------
    sampling_rate : float, default=None
        Timepoints per second, for an axis in seconds.
    time : array-like of shape (n_timepoints,), default=None
        Increasing numbers or dates of the timepoints, in place of ``sampling_rate``;
        dates with a time zone are shown in UTC.
    channel_names : sequence of str, default=None
        Names of the channels; None numbers them.
    unit : str, default=None
        Unit of the values.
    """

    def __init__(self, *, sampling_rate=None, time=None, channel_names=None, unit=None):
        self.sampling_rate = sampling_rate
        self.time = time
        self.channel_names = channel_names
        self.unit = unit

    def _check_axes(self, n_channels, n_timepoints):
        """Check the time and the names of channels; return the display."""
        if self.time is not None:
            if self.sampling_rate is not None:
                raise ValueError("Give time or sampling_rate, not both.")
            _check_time(self.time, n_timepoints)
        names = self.channel_names
        if names is not None and (isinstance(names, str) or len(names) != n_channels):
            raise ValueError(
                f"channel_names must be a sequence of {n_channels} names, got "
                f"{names!r} instead."
            )
        if self.unit is not None and not isinstance(self.unit, str):
            raise ValueError(f"unit must be a str or None, got {self.unit!r} instead.")
        return self

    def _time_values(self, timepoints):
        """Convert timepoints, which may lie between whole ones, to the axis."""
        if self.time is None:
            return time_axis(timepoints, self.sampling_rate)[0]
        values = _check_time(self.time, len(self.time))
        if values.dtype.kind == "M":
            from matplotlib.dates import date2num

            values = date2num(values)
        return np.interp(timepoints, np.arange(len(values)), values)

    def _label_time(self, *axes):
        """Name the axis of time, and show dates as such."""
        if self.time is None:
            label = time_axis(np.zeros(1), self.sampling_rate)[1]
        else:
            label = _time_label(self.time)
        for ax in axes:
            ax.set_xlabel(label)
            if self.time is not None and _check_time(self.time).dtype.kind == "M":
                _show_dates(ax)

    def _channel_name(self, channel, n_channels):
        """Name a channel; empty for a single one without a name."""
        if self.channel_names is not None:
            return str(self.channel_names[channel])
        return f"channel {channel}" if n_channels > 1 else ""

    def _label_channel(self, ax, channel, n_channels):
        """Label the axis of values with the channel and the unit."""
        name = self._channel_name(channel, n_channels)
        unit = self.unit or ""
        ax.set_ylabel(f"{name} ({unit})" if name and unit else name or unit)


def check_channel(channel, n_channels):
    """Raise ValueError unless a channel exists."""
    if not isinstance(channel, Integral) or not 0 <= channel < n_channels:
        raise ValueError(
            f"channel must be an int from 0 to {n_channels - 1}, got {channel!r}."
        )


def _check_time(time, n_timepoints=None):
    """Check timepoints: numbers or dates that increase; return them as an array."""
    index = _time_index(time)
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        index = index.tz_convert(None)
    elif isinstance(index, pd.TimedeltaIndex):
        index = index.total_seconds()
    values = index.to_numpy()
    if values.ndim != 1 or values.dtype.kind not in "Miuf":
        raise ValueError(
            "time must hold numbers or dates of the timepoints, got an array of "
            f"{values.dtype} instead."
        )
    if n_timepoints is not None and len(values) != n_timepoints:
        raise ValueError(
            f"time must have one value for each of the {n_timepoints} timepoints, got "
            f"{len(values)}."
        )
    missing = ~np.isfinite(values)
    if missing.any() or not (values[1:] > values[:-1]).all():
        raise ValueError("time must increase, without missing values.")
    return values


def _time_index(time):
    try:
        return pd.Index(unwrap_tensor(time))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"time must be a sequence of numbers or dates, got {time!r} instead."
        ) from error


def _time_label(time):
    index = _time_index(time)
    if isinstance(index, pd.TimedeltaIndex):
        return "time (s)"
    return "time" if getattr(index, "tz", None) is None else "time (UTC)"


def _show_dates(ax):
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    ax.xaxis_date()
    locator = AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
