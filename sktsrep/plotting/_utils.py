"""Colors, panels and axes that the displays share."""

import math

import numpy as np

__all__ = [
    "BLACK",
    "BLUE",
    "SMALL_TITLE",
    "VERMILION",
    "label_channel",
    "legend_beside",
    "legend_columns",
    "line_styles",
    "marker_styles",
    "panels",
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
    return max(1, math.ceil(n_entries / _LEGEND_ROWS))


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


def label_channel(ax, channel, n_channels):
    """Label the axes with the channel if there are several."""
    if n_channels > 1:
        ax.set_ylabel(f"channel {channel}")


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
