"""Display of anomalies in a recording."""

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from sktsrep._validation import check_positive_int
from sktsrep.plotting._utils import (
    BLACK,
    BLUE,
    SMALL_TITLE,
    VERMILION,
    SeriesDisplay,
    panels,
    require,
    unwrap_tensor,
)

__all__ = ["AnomalyDisplay"]


class AnomalyDisplay(SeriesDisplay):
    """Show a recording, its score over time, and the stretches that are unusual.

    Timepoints whose score is below the threshold are shaded in all panels. Missing
    values are gaps in the lines.

    Parameters
    ----------
    recording : ndarray of shape (n_timepoints, n_channels)
        Recording.
    scores : ndarray of shape (n_timepoints,)
        Score of every timepoint, low where unusual.
    threshold : float, default=None
        Timepoints with a lower score are unusual; None marks none.
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
    ax_ : ndarray of matplotlib Axes, of shape (n_channels + 1, 1)
        Panels of the channels that are drawn, and of the score.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import AnomalyDisplay
    >>> recording, scores = [0.0, 1.0, 9.0, 1.0], [-1.0, -2.0, -8.0, -7.0]
    >>> display = AnomalyDisplay.from_scores(recording, scores, threshold=-5.0).plot()
    >>> display.stretches
    array([[2, 4]])
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(
        self,
        recording,
        scores,
        *,
        threshold=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        self.recording = recording
        self.scores = scores
        self.threshold = threshold
        super().__init__(
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator,
        recording,
        *,
        windows=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of what a fitted detector finds in a recording.

        Parameters
        ----------
        estimator : estimator
            Estimator with ``score_timepoints``, such as
            :class:`~sktsrep.anomaly.AnomalyDetector`, fitted to windows, or a fitted
            pipeline of :class:`~sktsrep.recordings.Windows` and such an estimator. The
            threshold is its ``timepoint_offset_``, if it has one.
        recording : array-like of shape (n_timepoints,) or (n_timepoints, n_channels)
            Recording. A DataFrame or Series gives the names of channels, and the axis
            of time where its index has dates or times.
        windows : Windows, default=None
            Fitted :class:`~sktsrep.recordings.Windows` that cut the recording as the
            training data were cut; None is that of the pipeline.
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
        AnomalyDisplay
        """
        if windows is None:
            windows, estimator = _steps(estimator)
        require(estimator, "score_timepoints")
        _check_single(recording)
        scores = estimator.score_timepoints(windows.transform(recording))
        return cls.from_scores(
            recording,
            windows.inverse_scores(scores, recording),
            threshold=getattr(estimator, "timepoint_offset_", None),
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_scores(
        cls,
        recording,
        scores,
        *,
        threshold=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of a recording and its scores.

        Parameters
        ----------
        recording : array-like of shape (n_timepoints,) or (n_timepoints, n_channels)
            Recording; NaN means missing. A DataFrame or Series gives the names of
            channels, and the axis of time where its index has dates or times.
        scores : array-like of shape (n_timepoints,)
            Score of every timepoint, low where unusual; NaN where there is none.
        threshold : float, default=None
            Timepoints with a lower score are unusual; None marks none.
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
        AnomalyDisplay
        """
        _check_single(recording)
        if time is None and sampling_rate is None:
            time = _times(recording)
        if channel_names is None:
            channel_names = _names(recording)
        values = _check_numbers(recording, "recording")
        values = values[:, None] if values.ndim == 1 else values
        scores = _check_numbers(scores, "scores")
        if scores.shape != values.shape[:1]:
            raise ValueError(
                f"scores must have shape {values.shape[:1]}, one score per timepoint "
                f"of the recording, got {scores.shape} instead."
            )
        display = cls(
            values,
            scores,
            threshold=threshold,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )
        return display._check_axes(*values.shape[::-1])

    @property
    def stretches(self):
        """Begin and end of every unusual stretch, ndarray of shape (n_stretches, 2).

        Rows are half-open: ``recording[begin:end]`` is unusual.
        """
        threshold = -np.inf if self.threshold is None else self.threshold
        unusual = np.concatenate([[False], self.scores < threshold, [False]])
        return np.flatnonzero(unusual[1:] != unusual[:-1]).reshape(-1, 2)

    def plot(self, ax=None, *, n_channels=3):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on: one per channel that is drawn, and one for the score. None
            makes a figure; a single Axes is divided.
        n_channels : int, default=3
            Number of channels; the first ones are drawn.

        Returns
        -------
        self
        """
        check_positive_int(n_channels, "n_channels")
        n_timepoints, n_all = self.recording.shape
        n_channels = min(n_channels, n_all)
        time = self._time_values(np.arange(n_timepoints))
        self.ax_ = panels(ax, n_channels + 1, size=(9.6, 1.7), sharex=True)
        self.figure_ = self.ax_[0, 0].figure
        for channel, panel in enumerate(self.ax_[:-1, 0]):
            self._draw_line(panel, time, self.recording[:, channel], BLACK)
            self._label_channel(panel, channel, n_all)
        self._draw_scores(self.ax_[-1, 0], time)
        for panel in self.ax_[:, 0]:
            self._shade(panel)
            panel.margins(x=0)
        self._label_time(self.ax_[-1, 0])
        return self

    @staticmethod
    def _draw_line(panel, time, values, color):
        # Values between two gaps have no line, so they get a point.
        known = ~np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
        alone = known[1:-1] & ~known[:-2] & ~known[2:]
        panel.plot(time, values, color=color, linewidth=0.8)
        panel.plot(time[alone], values[alone], ".", color=color, markersize=2)

    def _draw_scores(self, panel, time):
        self._draw_line(panel, time, self.scores, BLUE)
        panel.set_ylabel("score")
        if self.threshold is None:
            return
        panel.axhline(self.threshold, color=VERMILION, linestyle="--", linewidth=1)
        n_unusual = np.count_nonzero(self.scores < self.threshold)
        panel.set_title(
            f"{n_unusual} of {len(self.scores)} timepoints below the threshold "
            f"{self.threshold:.3g}",
            **SMALL_TITLE,
        )

    def _shade(self, panel):
        # From halfway after the timepoint before to halfway before the one after.
        begin, end = self._time_values(self.stretches - 0.5).T
        panel.broken_barh(
            list(zip(begin, end - begin, strict=True)),
            (0, 1),
            transform=panel.get_xaxis_transform(),
            color=VERMILION,
            alpha=0.3,
            linewidth=1,  # a single timepoint of many would be too narrow to see
        )


def _steps(pipeline):
    steps = getattr(pipeline, "steps", ())
    if len(steps) != 2 or not hasattr(steps[0][1], "inverse_scores"):
        raise ValueError(
            "windows is missing. Give the Windows that cut the training data, or a "
            f"pipeline of Windows and a detector, not {type(pipeline).__name__}."
        )
    return [step for _, step in steps]


def _check_single(recording):
    """Refuse several recordings: a display shows one."""
    is_list = isinstance(recording, (list, tuple))
    if is_list and any(getattr(item, "shape", ()) for item in recording):
        raise ValueError(
            f"recording must be a single recording, got {len(recording)} of them. "
            "Make a display of each."
        )


def _times(recording):
    """Dates or times of the index, or None."""
    index = getattr(recording, "index", None)
    kinds = (pd.DatetimeIndex, pd.TimedeltaIndex)
    return index if isinstance(index, kinds) else None


def _names(recording):
    """Names of the columns, or None."""
    if isinstance(recording, pd.DataFrame):
        return [str(name) for name in recording.columns]
    name = getattr(recording, "name", None)
    return None if name is None else [str(name)]


def _check_numbers(X, name):
    """Check numbers on one or two axes; NaN means missing."""
    return check_array(
        unwrap_tensor(X),
        dtype=np.float64,
        ensure_2d=False,
        ensure_all_finite="allow-nan",
        input_name=name,
    )
