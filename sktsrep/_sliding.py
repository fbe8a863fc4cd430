"""Recordings from windows: overlapping means, and gaps filled by sliding windows."""

import numpy as np

__all__ = ["fill_sliding", "overlapping_mean"]


class _Run:
    """Gaps of a recording that are filled in turn, because a window may see several.

    The gaps after the beginning of a recording are filled against time, starting from
    what comes after them.
    """

    def __init__(self, recording, times):
        self.is_backward = times[0] == 0
        self.recording = recording[::-1] if self.is_backward else recording
        self.times = len(recording) - 1 - times[::-1] if self.is_backward else times

    def window(self, length):
        """Cut the window whose middle is the first missing timepoint."""
        start = self.times[0] - length // 2
        self.start = min(max(start, 0), len(self.recording) - length)
        return self._turn(self.recording[self.start : self.start + length])

    def accept(self, window):
        """Fill in what a window says, except close to its end within a gap."""
        stop = self.start + len(window)
        if self.times[-1] >= stop:
            stop = max(self.start + 3 * len(window) // 4, self.times[0] + 1)
        part = self.recording[self.start : stop]
        values = self._turn(window)[: len(part)]
        np.copyto(part, values, where=np.isnan(part))
        self.times = self.times[self.times >= stop]

    def _turn(self, window):
        return window[::-1] if self.is_backward else window


def fill_sliding(recordings, length, fill):
    """Fill the gaps of recordings, in place.

    A window begins half its length before a gap. What it says up to its last quarter
    is known to the next window, so that a gap longer than a window is one curve. Gaps
    that no window sees together are filled side by side.

    Parameters
    ----------
    recordings : list of ndarray of shape (n_timepoints, n_channels)
        Recordings of floats.
    length : int
        Length of windows.
    fill : callable
        Fills windows (n_windows, n_channels, length).

    Examples
    --------
    >>> x = np.array([[1.0], [np.nan], [np.nan], [4.0]])
    >>> fill_sliding([x], 3, lambda windows: np.nan_to_num(windows, nan=7.0))
    >>> x[:, 0]
    array([1., 7., 7., 4.])
    """
    runs = [run for x in recordings for run in _runs(x, length)]
    while runs:
        windows = np.stack([run.window(length).T for run in runs])
        for run, window in zip(runs, fill(windows), strict=True):
            run.accept(window.T)
        runs = [run for run in runs if len(run.times)]


def _runs(recording, length):
    times = np.flatnonzero(np.isnan(recording).any(axis=1))
    if not len(times):
        return []
    parts = np.split(times, np.flatnonzero(np.diff(times) >= length) + 1)
    return [_Run(recording, part) for part in parts]


def overlapping_mean(windows, starts, n_timepoints):
    """Compute the weighted mean of overlapping windows, NaN where none has a value.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, n_channels, length)
        Windows.
    starts : iterable of int
        Their first timepoints.
    n_timepoints : int
        Length of the recording.

    Returns
    -------
    ndarray of shape (n_timepoints, n_channels)

    Examples
    --------
    >>> overlapping_mean(np.array([[[1.0, 2.0]], [[4.0, 3.0]]]), [0, 1], 3)[:, 0]
    array([1., 3., 3.])
    """
    _, n_channels, length = windows.shape
    weight = np.sin(np.pi * (np.arange(length) + 0.5) / length)[:, None] ** 2
    total = np.zeros((n_timepoints, n_channels))
    mean = np.full((n_timepoints, n_channels), np.nan)
    for window, start in zip(windows, starts, strict=True):
        time = slice(start, start + length)
        x, known = window.T, ~np.isnan(window.T)
        before = np.where(total[time] > 0, mean[time], x)
        total[time] += weight * known
        share = weight / np.where(known, total[time], 1)
        # Moving a mean, not dividing a sum, leaves equal values as they are.
        mean[time] = np.where(known, before + share * (x - before), mean[time])
    return mean
