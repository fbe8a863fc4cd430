"""Display of learning curves."""

import numpy as np
import pandas as pd

from sktsrep.metrics._checks import check_numbers, unwrap_tensor
from sktsrep.plotting._utils import (
    BLACK,
    BLUE,
    legend_beside,
    line_styles,
    panels,
    require,
)

__all__ = ["HistoryDisplay"]


_SUMS = {
    "train_loss": {"label": "sum", "color": BLACK, "linewidth": 2.5},
    "valid_loss": {"label": "validation", "color": BLACK, "linestyle": "--"},
}


class HistoryDisplay:
    """Show the loss terms and, below them, the metrics of each epoch.

    Parameters
    ----------
    losses : dict of str to ndarray of shape (n_epochs,)
        Loss terms by name.
    metrics : dict of str to ndarray of shape (n_epochs,)
        Metrics by name, such as perplexity and codebook usage.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (1 + n_metrics, 1)
        Panels.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import HistoryDisplay
    >>> history = {"time_loss": [2.0, 1.0], "perplexity": [3.0, 7.5]}
    >>> display = HistoryDisplay.from_arrays(history).plot()
    >>> [ax.get_ylabel() for ax in display.ax_.flat]
    ['loss', 'perplexity']
    >>> matplotlib.pyplot.close(display.figure_)
    """

    _METRICS = ("perplexity", "codebook_usage", "effective_rank", "feature_std")

    def __init__(self, losses, metrics):
        self.losses = losses
        self.metrics = metrics

    @classmethod
    def from_estimator(cls, estimator):
        """Create a display of a fitted estimator's ``history_``.

        Parameters
        ----------
        estimator : estimator
            Estimator with ``history_``.

        Returns
        -------
        HistoryDisplay
        """
        require(estimator, "history_")
        return cls.from_arrays(estimator.history_)

    @classmethod
    def from_arrays(cls, history):
        """Create a display of a table with one row per epoch.

        Parameters
        ----------
        history : DataFrame or dict of str to array-like of shape (n_epochs,)
            Columns that end in ``_loss`` are drawn as losses; for validation data, only
            the sum ``valid_loss``. The columns ``perplexity``, ``codebook_usage``,
            ``effective_rank`` and ``feature_std`` are drawn as metrics.

        Returns
        -------
        HistoryDisplay
        """
        history = _check_table(history)
        losses = [name for name in history if _is_shown_loss(name)]
        if len(set(losses) - set(_SUMS)) == 1:  # the sum equals its only term
            losses = [name for name in losses if name != "train_loss"]
        metrics = [name for name in cls._METRICS if name in history]
        if not losses:
            raise ValueError(
                "history must have a column that ends in '_loss', got "
                f"{list(history)} instead."
            )
        losses, metrics = (
            {name: check_numbers(history[name], f"history[{name!r}]") for name in names}
            for names in (losses, metrics)
        )
        return cls(losses, metrics)

    def plot(self, ax=None):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of them or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.

        Returns
        -------
        self
        """
        heights = [2.0] + [1.0] * len(self.metrics)
        self.ax_ = panels(
            ax, len(heights), size=(6.4, 1.4), height_ratios=heights, sharex=True
        )
        self.figure_ = self.ax_[0, 0].figure
        top, *below = self.ax_[:, 0]
        self._plot_losses(top)
        for panel, (name, values) in zip(below, self.metrics.items(), strict=True):
            panel.plot(_epochs(values), values, color=BLUE, marker=_marker(values))
            panel.set_ylabel(_words(name).replace(" ", "\n"))
        self.ax_[-1, 0].set_xlabel("epoch")
        return self

    def _plot_losses(self, ax):
        for i, (name, values) in enumerate(self.losses.items()):
            style = {"label": _words(name.removesuffix("_loss")), **line_styles(i)}
            style = _SUMS.get(name, style)
            ax.plot(_epochs(values), values, marker=_marker(values), **style)
        values = np.concatenate(list(self.losses.values()))
        if values.min() >= 0 and values.max() > 0:
            ax.set_yscale("log")
        ax.set_ylabel("loss")
        legend_beside(ax)


def _check_table(history):
    """Check that a history has one value per epoch in every column."""
    if isinstance(history, dict):
        history = {name: unwrap_tensor(values) for name, values in history.items()}
    history = unwrap_tensor(history)
    try:
        history = pd.DataFrame(history)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"history must have one value per epoch in every column: {error}"
        ) from error
    if not history.columns.is_unique:
        raise ValueError("history must have columns of different names.")
    return history


def _is_shown_loss(name):
    if not isinstance(name, str):
        return False
    is_validation_term = name.startswith("valid_") and name != "valid_loss"
    return name.endswith("_loss") and not is_validation_term


def _epochs(values):
    return np.arange(1, len(values) + 1)


def _marker(values):
    return "o" if len(values) == 1 else None  # one epoch draws no line


def _words(name):
    return name.replace("_", " ")
