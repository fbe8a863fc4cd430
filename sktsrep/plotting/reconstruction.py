"""Display of reconstructions."""

import numpy as np

from sktsrep._validation import check_positive_int
from sktsrep.metrics._checks import check_series, exponent_of
from sktsrep.plotting._utils import (
    BLACK,
    SMALL_TITLE,
    VERMILION,
    SeriesDisplay,
    legend_beside,
    panels,
)

__all__ = ["ReconstructionDisplay"]


class ReconstructionDisplay(SeriesDisplay):
    """Show series and their reconstructions.

    Titles show the root mean squared error (RMSE) where both have values.

    Parameters
    ----------
    X, X_reconstructed : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series and reconstructions. NaN is a gap in a line, or comes after its end.
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

    def __init__(
        self,
        X,
        X_reconstructed,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        self.X = X
        self.X_reconstructed = X_reconstructed
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
        X,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of a fitted estimator's reconstructions.

        Parameters
        ----------
        estimator : estimator
            Estimator with ``reconstruct``, or with ``transform`` and
            ``inverse_transform``.
        X : array-like
            Series.
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
        ReconstructionDisplay
        """
        if hasattr(estimator, "reconstruct"):
            reconstructed = estimator.reconstruct(X)
        elif hasattr(estimator, "inverse_transform"):
            reconstructed = estimator.inverse_transform(estimator.transform(X))
        else:
            raise TypeError(
                "estimator must have reconstruct, or transform and inverse_transform, "
                f"but {type(estimator).__name__} has neither."
            )
        return cls.from_arrays(
            X,
            reconstructed,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_arrays(
        cls,
        X,
        X_reconstructed,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of series and reconstructions.

        Parameters
        ----------
        X, X_reconstructed : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series and reconstructions. Lists may hold series of unequal length. NaN
            is a gap in a line, or comes after its end.
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
        ReconstructionDisplay
        """
        X = check_series(X, "X", allow_nan=True)
        X_reconstructed = check_series(
            X_reconstructed, "X_reconstructed", allow_nan=True
        )
        n_timepoints = X.shape[-1]
        if np.isnan(X_reconstructed[..., n_timepoints:]).all():  # those of VAEs
            X_reconstructed = X_reconstructed[..., :n_timepoints]
        if X.shape != X_reconstructed.shape:
            raise ValueError(
                f"X_reconstructed must have the shape {X.shape} of X, got "
                f"{X_reconstructed.shape} instead."
            )
        display = cls(
            X,
            X_reconstructed,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )
        return display._check_axes(*X.shape[1:])

    def plot(self, ax=None, *, n_series=3, n_channels=3, order="first"):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.
        n_series : int, default=3
            Number of series.
        n_channels : int, default=3
            Number of channels per series; the first ones are drawn.
        order : {"first", "worst"}, default="first"
            Which series are drawn: the first ones, or those with the largest errors
            over all channels, the largest first.

        Returns
        -------
        self
        """
        check_positive_int(n_series, "n_series")
        check_positive_int(n_channels, "n_channels")
        chosen = self._order(order)[:n_series]
        n_series, n_channels = np.minimum((n_series, n_channels), self.X.shape[:2])
        time = self._time_values(np.arange(self.X.shape[-1]))
        self.ax_ = panels(ax, n_series, n_channels, size=(6.4, 1.9), sharex=True)
        self.figure_ = self.ax_[0, 0].figure
        for (row, channel), panel in np.ndenumerate(self.ax_):
            i = chosen[row]
            x, decoded = self.X[i, channel], self.X_reconstructed[i, channel]
            panel.plot(time, x, color=BLACK, linewidth=1, label="series")
            panel.plot(time, decoded, "--", color=VERMILION, label="reconstruction")
            name = self._channel_name(channel, self.X.shape[1])
            name = f"series {i}, {name}" if name else f"series {i}"
            panel.set_title(f"{name}, RMSE {_rmse(x, decoded):.3g}", **SMALL_TITLE)
        for panel in self.ax_[:, 0]:
            panel.set_ylabel(self.unit or "")
        self._label_time(*self.ax_[-1])
        legend_beside(self.ax_[0, -1])
        return self

    def _order(self, order):
        """Choose the order of the series."""
        if order not in ("first", "worst"):
            raise ValueError(
                f"order must be 'first' or 'worst', got {order!r} instead."
            )
        if order == "first":
            return np.arange(len(self.X))
        errors = [
            _rmse(*pair) for pair in zip(self.X, self.X_reconstructed, strict=True)
        ]
        return np.argsort(np.negative(errors), kind="stable")


def _rmse(x, decoded):
    """Compute the root mean squared error, of values of any size; NaN of none."""
    known = ~(np.isnan(x) | np.isnan(decoded))
    if not known.any():
        return np.nan
    x, decoded = x[known], decoded[known]
    exponent = exponent_of(x, decoded)
    gap = np.ldexp(x, -exponent) - np.ldexp(decoded, -exponent)
    return np.ldexp(np.sqrt(np.mean(gap**2)), exponent)
