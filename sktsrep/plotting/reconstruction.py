"""Display of reconstructions."""

import numpy as np

from sktsrep._validation import check_series
from sktsrep.plotting._utils import (
    BLACK,
    SMALL_TITLE,
    VERMILION,
    legend_beside,
    panels,
    time_axis,
)

__all__ = ["ReconstructionDisplay"]


class ReconstructionDisplay:
    """Show series and their reconstructions.

    Titles show the root mean squared error (RMSE).

    Parameters
    ----------
    X, X_reconstructed : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series and reconstructions.
    sampling_rate : float, default=None
        Timepoints per second, for an axis in seconds.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (n_series, n_channels)
        Panels.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

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
        """Create a display of a fitted estimator's reconstructions.

        Parameters
        ----------
        estimator : estimator
            Estimator with ``reconstruct``, or with ``transform`` and
            ``inverse_transform``.
        X : array-like
            Series.
        sampling_rate : float, default=None
            Timepoints per second.

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
        """Create a display of series and reconstructions.

        Parameters
        ----------
        X, X_reconstructed : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series and reconstructions.
        sampling_rate : float, default=None
            Timepoints per second.

        Returns
        -------
        ReconstructionDisplay
        """
        X = check_series(X, "X")
        X_reconstructed = check_series(X_reconstructed, "X_reconstructed")
        if X.shape != X_reconstructed.shape:
            raise ValueError(
                f"X_reconstructed must have the shape {X.shape} of X, got "
                f"{X_reconstructed.shape} instead."
            )
        return cls(X, X_reconstructed, sampling_rate=sampling_rate)

    def plot(self, ax=None, *, n_series=3, n_channels=3):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.
        n_series : int, default=3
            Number of series; the first ones are drawn.
        n_channels : int, default=3
            Number of channels per series; the first ones are drawn.

        Returns
        -------
        self
        """
        is_multichannel = self.X.shape[1] > 1
        n_series, n_channels = np.minimum((n_series, n_channels), self.X.shape[:2])
        time, unit = time_axis(np.arange(self.X.shape[-1]), self.sampling_rate)
        self.ax_ = panels(ax, n_series, n_channels, size=(6.4, 1.9), sharex=True)
        self.figure_ = self.ax_[0, 0].figure
        for (i, channel), panel in np.ndenumerate(self.ax_):
            x, decoded = self.X[i, channel], self.X_reconstructed[i, channel]
            panel.plot(time, x, color=BLACK, linewidth=1, label="series")
            panel.plot(time, decoded, "--", color=VERMILION, label="reconstruction")
            error = np.sqrt(np.mean((x - decoded) ** 2))
            name = f"series {i}" + (f", channel {channel}" if is_multichannel else "")
            panel.set_title(f"{name}, RMSE {error:.3g}", **SMALL_TITLE)
        for panel in self.ax_[-1]:
            panel.set_xlabel(unit)
        legend_beside(self.ax_[0, -1])
        return self
