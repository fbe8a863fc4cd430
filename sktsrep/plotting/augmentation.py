"""Display of augmented views."""

import numpy as np
import torch

from sktsrep._device import isolated_random_state, random_seed, to_tensor
from sktsrep._gaps import bridge, observed_lengths, until_ends
from sktsrep._validation import check_positive_int
from sktsrep.augmentations import augment, resolve_augmentations
from sktsrep.functional import channel_scale
from sktsrep.metrics._checks import check_numbers, check_series, check_size
from sktsrep.plotting._utils import (
    BLACK,
    SMALL_TITLE,
    SeriesDisplay,
    check_channel,
    legend_beside,
    line_styles,
    panels,
    require,
)

__all__ = ["AugmentationDisplay"]


class AugmentationDisplay(SeriesDisplay):
    """Show a series and random views of it.

    Views are those of the series up to its end, with gaps bridged by lines.

    Parameters
    ----------
    x : ndarray of shape (n_channels, n_timepoints)
        Series up to its end; NaN is a gap.
    views : dict of str to ndarray of shape (n_views, n_channels, n_timepoints)
        Views by the name of their augmentation.
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
    ax_ : ndarray of matplotlib Axes, of shape (n_augmentations, 1)
        Panels.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

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

    def __init__(
        self,
        x,
        views,
        *,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        self.x = x
        self.views = views
        super().__init__(
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )

    @classmethod
    def from_estimator(cls, estimator, X, **params):
        """Create a display of the augmentations that a fitted estimator uses.

        Parameters
        ----------
        estimator : estimator
            Estimator with ``augmentations``, ``mean_`` and ``scale_``.
        X : array-like
            Series.
        **params
            ``sample``, ``n_views``, ``random_state``, ``sampling_rate``, ``time``,
            ``channel_names`` and ``unit`` of :meth:`from_augmentations`.

        Returns
        -------
        AugmentationDisplay
        """
        require(estimator, "augmentations", "mean_", "scale_")
        chosen = resolve_augmentations(estimator.augmentations)
        name = ", ".join(_name_of(function) for function in chosen)
        X = check_series(X, "X", allow_nan=True)
        mean = estimator.mean_[:, : X.shape[-1]]
        if mean.shape[1] < X.shape[-1]:  # longer than the series of fit
            mean = mean.mean(axis=1, keepdims=True)
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
        random_state=None,
        sampling_rate=None,
        time=None,
        channel_names=None,
        unit=None,
    ):
        """Create a display of one series under several augmentations.

        Parameters
        ----------
        augmentations : str, callable, list or dict of str
            Augmentations to compare, one panel each: names of presets, callables or
            lists of these. A dict gives them titles.
        X : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series. A list may hold series of unequal length. NaN means missing or,
            after the end of a series, not there.
        sample : int, default=0
            Index of the series that is drawn.
        n_views : int, default=3
            Views per augmentation.
        mean : array-like of shape (n_channels, 1) or (n_channels, n_timepoints), \
                default=None
            Offset to subtract before augmenting; None for the mean of each channel.
        scale : array-like of shape (n_channels, 1), default=None
            Unit of the augmentations' strength, above 0; None for the standard
            deviation of each channel around ``mean``.
        random_state : int, RandomState instance or None, default=None
            Draws the views.
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
        AugmentationDisplay
        """
        X = check_series(X, "X", allow_nan=True)
        lengths, filled = observed_lengths(X), bridge(X)
        check_size(X, "X")
        check_positive_int(n_views, "n_views")
        if not -len(X) <= sample < len(X):
            raise ValueError(f"sample must be below {len(X)}, got {sample!r} instead.")
        mean, scale = _check_unit(filled, lengths, mean, scale)
        if isinstance(augmentations, str) or callable(augmentations):
            augmentations = [augmentations]
        if not isinstance(augmentations, dict):
            names = _distinct([_name_of(item) for item in augmentations])
            augmentations = dict(zip(names, augmentations, strict=True))
        end = lengths[sample]
        mean = mean[:, :end]
        x = torch.tensor((filled[sample, :, :end] - mean) / scale)
        x = x.expand(n_views, *x.shape)
        with isolated_random_state(random_seed(random_state), x.device):
            views = {
                name: augment(x, resolve_augmentations(item)).numpy() * scale + mean
                for name, item in augmentations.items()
            }
        display = cls(
            X[sample, :, :end],
            views,
            sampling_rate=sampling_rate,
            time=time,
            channel_names=channel_names,
            unit=unit,
        )
        return display._check_axes(*X.shape[1:])

    def plot(self, ax=None, *, channel=0):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.
        channel : int, default=0
            Channel of the series.

        Returns
        -------
        self
        """
        n_panels = len(self.views)
        check_channel(channel, len(self.x))
        time = self._time_values(np.arange(self.x.shape[-1]))
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
            self._label_channel(panel, channel, len(self.x))
        self._label_time(self.ax_[-1, 0])
        legend_beside(self.ax_[0, 0])
        return self


def _check_unit(X, lengths, mean, scale):
    """Check offset and unit of the channels of series; compute those not given."""
    values = X
    if (lengths < X.shape[-1]).any():
        values = until_ends(to_tensor(X, "cpu"), lengths).numpy()
    if mean is None:
        mean = values.mean(axis=(0, 2))[:, None]
    mean = check_numbers(mean, "mean")
    if mean.shape not in {(X.shape[1], 1), X.shape[1:]}:
        raise ValueError(
            f"mean must have shape {(X.shape[1], 1)} or {X.shape[1:]}, got "
            f"{mean.shape} instead."
        )
    if scale is None:
        values = values if mean.shape[1] == 1 else X
        scale = channel_scale(to_tensor(values, "cpu"), to_tensor(mean, "cpu"))
    scale = check_numbers(scale, "scale")
    if scale.shape != (X.shape[1], 1) or scale.min() <= 0:
        raise ValueError(
            f"scale must have shape {(X.shape[1], 1)} and be above 0, got shape "
            f"{scale.shape} and values from {scale.min()}."
        )
    return mean, scale


def _distinct(names):
    """Number equal names."""
    return [
        f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _name_of(item):
    """Name a preset, a callable or a list of these."""
    if isinstance(item, (list, tuple)):
        return ", ".join(_name_of(part) for part in item)
    item = getattr(item, "func", item)  # the function in a functools.partial
    name = item if isinstance(item, str) else getattr(item, "__name__", repr(item))
    return name.replace("_", " ")
