"""Displays of iterative decoding: schedules and steps."""

import numpy as np
import torch

from sktsrep._gaps import observed_lengths
from sktsrep._validation import check_positive_int
from sktsrep.functional import MASK_SCHEDULES, mask_fraction, n_masked_tokens
from sktsrep.metrics._checks import check_series, check_vectors
from sktsrep.plotting._utils import (
    BLUE,
    SMALL_TITLE,
    VERMILION,
    SeriesDisplay,
    check_channel,
    legend_beside,
    line_styles,
    panels,
    require,
)

__all__ = ["DecodingDisplay", "MaskScheduleDisplay"]


class MaskScheduleDisplay:
    """Show how many tokens are still masked after each step of iterative decoding.

    Parameters
    ----------
    n_masked : dict of str to ndarray of shape (n_steps + 1,), int
        Masked tokens after each step by the name of the schedule: all of them after
        step 0, none after the last.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import MaskScheduleDisplay
    >>> display = MaskScheduleDisplay.from_schedules("linear", n_steps=4, n_tokens=8)
    >>> display.plot().n_masked
    {'linear': array([8, 6, 4, 2, 0])}
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(self, n_masked):
        self.n_masked = n_masked

    @classmethod
    def from_estimator(cls, sampler):
        """Create a display of a sampler's schedule.

        Parameters
        ----------
        sampler : MaskGITSampler
            Fitted sampler.

        Returns
        -------
        MaskScheduleDisplay
        """
        require(sampler, "schedule", "n_steps", "n_tokens_")
        return cls.from_schedules(
            sampler.schedule, n_steps=sampler.n_steps, n_tokens=sampler.n_tokens_
        )

    @classmethod
    def from_schedules(cls, schedules=MASK_SCHEDULES, *, n_steps=10, n_tokens=32):
        """Create a display of schedules by name.

        Parameters
        ----------
        schedules : str or sequence of str, default=all
            Names as in :func:`sktsrep.functional.mask_fraction`.
        n_steps : int, default=10
            Decoding steps.
        n_tokens : int, default=32
            Tokens per series.

        Returns
        -------
        MaskScheduleDisplay
        """
        check_positive_int(n_steps, "n_steps")
        check_positive_int(n_tokens, "n_tokens")
        names = [schedules] if isinstance(schedules, str) else schedules
        return cls({name: _masked_after(name, n_steps, n_tokens) for name in names})

    def plot(self, ax=None):
        """Draw markers for whole tokens, and lines for the schedules they round.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        self
        """
        self.ax_ = panels(ax, size=(5.2, 3.6))[0, 0]
        self.figure_ = self.ax_.figure
        progress = torch.linspace(0, 1, 101)
        markers = "o^sDv"
        for i, (name, n_masked) in enumerate(self.n_masked.items()):
            style, marker = line_styles(i), markers[i % len(markers)]
            share = mask_fraction(progress, name).numpy()
            n_steps = len(n_masked) - 1
            self.ax_.plot(
                progress.numpy() * n_steps, share * n_masked[0], linewidth=1, **style
            )
            # An empty line puts marker and dashes into one entry of the legend.
            self.ax_.plot([], [], marker=marker, label=name, linewidth=1, **style)
            self.ax_.plot(
                np.arange(n_steps + 1),
                n_masked,
                color=style["color"],
                marker=marker,
                linestyle="none",
            )
        self.ax_.set_xlabel("decoding step")
        self.ax_.set_ylabel("masked tokens")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.legend(title="schedule", frameon=False)
        return self


def _masked_after(schedule, n_steps, n_tokens):
    """Count the masked tokens after each step, from all to none."""
    n_start = torch.tensor([n_tokens])
    left = [n_start]
    for step in range(1, n_steps + 1):
        left.append(n_masked_tokens(step, n_steps, n_start, left[-1], schedule))
    return torch.cat(left).numpy()


class DecodingDisplay(SeriesDisplay):
    """Show how a series takes shape during iterative decoding.

    The upper panel has one row per step and one column per token. A settled token has
    the color of its value; a masked one is white with a cross. The lower panels show
    the series decoded after some of the steps. Settled stretches are solid; where
    tokens are masked, the first guess is dashed on gray.

    Parameters
    ----------
    tokens : ndarray of shape (n_steps, n_tokens), int
        Tokens after each step.
    masks : ndarray of shape (n_steps, n_tokens), bool
        True where a token is still masked after the step.
    series : ndarray of shape (n_steps, n_channels, n_timepoints) or None, default=None
        Series decoded from the tokens; None if there is no tokenizer. NaN comes after
        their end.
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
    ax_ : ndarray of matplotlib Axes, of shape (1 + n_shown, 1)
        Panels.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import DecodingDisplay
    >>> tokens, masks = [[3, 0, 1], [3, 2, 1]], [[False, True, True], [False] * 3]
    >>> display = DecodingDisplay.from_arrays(tokens, masks).plot()
    >>> display.ax_[0, 0].get_ylabel()
    'step'
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(
        self,
        tokens,
        masks,
        series=None,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        self.tokens = tokens
        self.masks = masks
        self.series = series
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
        y=None,
        *,
        random_state=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of one new series.

        Parameters
        ----------
        sampler : MaskGITSampler
            Fitted sampler.
        y : label, default=None
            Class of the series.
        random_state : int, RandomState instance or None, default=None
            Draws the series, the same one as ``sampler.sample(1, y, random_state)``.
            Where lengths are unequal, it is as long as its tokens alone tell.
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
        DecodingDisplay
        """
        require(sampler, "decoding_path", "tokenizer_")
        tokens, masks = (a[:, 0] for a in sampler.decoding_path(1, y, random_state))
        tokenizer = sampler.tokenizer_
        series = None if tokenizer is None else tokenizer.decode(tokens)
        return cls.from_arrays(
            tokens,
            masks,
            series,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_arrays(
        cls,
        tokens,
        masks,
        series=None,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of a decoding path.

        Parameters
        ----------
        tokens : array-like of shape (n_steps, n_tokens), int
            Tokens after each step; -1 after the end of the series.
        masks : array-like of shape (n_steps, n_tokens), bool
            True where a token is still masked after the step.
        series : array-like of shape (n_steps, n_timepoints) or (n_steps, n_channels, \
                n_timepoints), default=None
            Series decoded from the tokens, with NaN after their end.
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
        DecodingDisplay
        """
        tokens, masks = _check_path(tokens, masks)
        if series is not None:
            series = check_series(series, "series", allow_nan=True)
            series = series[..., : observed_lengths(series, "series").max()]
            if len(series) != len(tokens):
                raise ValueError(
                    f"series must have one row for each of the {len(tokens)} steps, "
                    f"got {len(series)}."
                )
        display = cls(
            tokens,
            masks,
            series,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )
        if series is not None:
            return display._check_axes(*series.shape[1:])
        if time is not None or channel_names is not None:
            raise ValueError("time and channel_names need series.")
        return display

    def plot(self, ax=None, *, n_shown=4, channel=0):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.
        n_shown : int, default=4
            Number of steps whose series is drawn, evenly spaced up to the last one.
        channel : int, default=0
            Channel of the series.

        Returns
        -------
        self
        """
        check_positive_int(n_shown, "n_shown")
        if self.series is not None:
            check_channel(channel, self.series.shape[1])
        shown = self._shown_steps(n_shown)
        heights = [1.6] + [1.0] * len(shown)
        self.ax_ = panels(
            ax, len(heights), size=(6.4, 1.4), height_ratios=heights, sharex=True
        )
        self.figure_ = self.ax_[0, 0].figure
        top, *below = self.ax_[:, 0]
        edges = self._token_edges()
        self._plot_tokens(top, edges)
        for panel, step in zip(below, shown, strict=True):
            self._plot_series(panel, step, channel, edges)
        if below:
            legend_beside(below[0])
            self._label_time(self.ax_[-1, 0])
        else:
            top.set_xlabel("token")
        return self

    def _shown_steps(self, n_shown):
        """Choose the last step of each of ``n_shown`` equal parts."""
        if self.series is None:
            return []
        n_steps = len(self.tokens)
        n_shown = min(n_shown, n_steps)
        return np.arange(1, n_shown + 1) * n_steps // n_shown - 1

    def _token_edges(self):
        """Compute the borders between tokens on the horizontal axis."""
        n_tokens = self.tokens.shape[1]
        if self.series is None:
            return np.arange(n_tokens + 1) - 0.5
        last = self.series.shape[-1] - 1
        centers = np.linspace(0, last, n_tokens)
        between = (centers[:-1] + centers[1:]) / 2
        edges = np.concatenate([[0], between, [last]])
        return self._time_values(edges)

    def _plot_tokens(self, ax, edges):
        steps = np.arange(len(self.tokens) + 1) + 0.5
        settled = np.ma.masked_array(self.tokens, self.masks)
        ax.pcolormesh(edges, steps, settled, cmap="viridis", edgecolors="white")
        step, token = np.nonzero(self.masks)
        centers = (edges[:-1] + edges[1:]) / 2
        ax.scatter(centers[token], step + 1, marker="x", color="0.6", s=12)
        ax.set_ylim(steps[-1], steps[0])
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.set_ylabel("step")
        ax.set_title("tokens (color: value, x: still masked)", **SMALL_TITLE)

    def _plot_series(self, ax, step, channel, edges):
        values, masked = self.series[step, channel], self.masks[step]
        time = self._time_values(np.arange(len(values)))
        hidden = masked[np.searchsorted(edges[1:-1], time)]
        settled = np.where(hidden, np.nan, values)
        ax.plot(time, settled, color=BLUE, linewidth=2, zorder=3, label="settled")
        ax.plot(time, values, "--", color=VERMILION, linewidth=1.2, label="first guess")
        for token in np.flatnonzero(masked):
            ax.axvspan(*edges[token : token + 2], color="0.9", linewidth=0, zorder=0)
        self._label_channel(ax, channel, self.series.shape[1])
        drawn = self.series[:, channel]
        low, high = np.nanmin(drawn), np.nanmax(drawn)
        margin = 0.05 * (high - low) or 1
        ax.set_ylim(low - margin, high + margin)
        ax.set_title(
            f"after step {step + 1} of {len(self.tokens)}: {masked.sum()} of "
            f"{len(masked)} tokens masked",
            **SMALL_TITLE,
        )


def _check_path(tokens, masks):
    """Check tokens and masks after each step; return ints and booleans."""
    tokens, masks = check_vectors(tokens, "tokens"), check_vectors(masks, "masks")
    if tokens.shape != masks.shape:
        raise ValueError(
            "tokens and masks must both be (n_steps, n_tokens), got shapes "
            f"{tokens.shape} and {masks.shape}."
        )
    is_over = (tokens == -1).all(axis=0)
    n_tokens = len(is_over) - is_over[::-1].argmin()
    tokens, masks = tokens[:, :n_tokens], masks[:, :n_tokens]
    if (tokens < 0).any() or (tokens % 1).any():
        raise ValueError("tokens must be integers of 0 or more.")
    if not np.isin(masks, [0, 1]).all():
        raise ValueError("masks must hold booleans.")
    return tokens.astype(np.int64), masks.astype(bool)
