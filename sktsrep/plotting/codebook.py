"""Picture of a codebook: use and correlation."""

import numpy as np
import torch

from sktsrep.functional import perplexity
from sktsrep.plotting._utils import BLACK, BLUE, panels

__all__ = ["CodebookDisplay"]


class CodebookDisplay:
    """How often every code is used, and how much the codes are alike.

    Codes stand in the order of their use in both panels.

    Parameters
    ----------
    usage : ndarray of shape (n_codes,)
        Share of all tokens that each code has, from the most used code to the least.
    correlation : ndarray of shape (n_codes, n_codes)
        Pearson correlation between the codes' vectors, in the same order; NaN for
        constant vectors.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (1, 2)
        The panels.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import CodebookDisplay
    >>> codebook = [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]
    >>> display = CodebookDisplay.from_arrays([[2, 2, 0, 2]], codebook).plot()
    >>> display.usage
    array([0.75, 0.25, 0.  ])
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(self, usage, correlation):
        self.usage = usage
        self.correlation = correlation

    @classmethod
    def from_estimator(cls, tokenizer, X):
        """Display of a fitted tokenizer's codebook and its use on data.

        Parameters
        ----------
        tokenizer : estimator
            Has ``encode`` and ``codebook_``.
        X : array-like
            Series.

        Returns
        -------
        CodebookDisplay
        """
        return cls.from_arrays(tokenizer.encode(X), tokenizer.codebook_)

    @classmethod
    def from_arrays(cls, codes, codebook):
        """Display of tokens and a codebook.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_tokens), int
            Tokens.
        codebook : array-like of shape (n_codes, code_dim)
            Codes' vectors; ``code_dim`` is at least 2.

        Returns
        -------
        CodebookDisplay
        """
        codes, codebook = np.asarray(codes), np.asarray(codebook, dtype=float)
        if codebook.ndim != 2 or codebook.shape[1] < 2:
            raise ValueError(
                "codebook must be (n_codes, code_dim) with a code_dim of at least 2, "
                f"got an array of shape {codebook.shape}."
            )
        if not np.isin(codes, np.arange(len(codebook))).all() or codes.size == 0:
            raise ValueError(
                f"codes must be integers in [0, {len(codebook)}), at least one of them."
            )
        counts = np.bincount(codes.ravel().astype(int), minlength=len(codebook))
        order = np.argsort(-counts, kind="stable")
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = np.corrcoef(codebook[order])
        return cls(counts[order] / codes.size, correlation)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of two or None, default=None
            Where; None makes a figure, one Axes is divided.

        Returns
        -------
        self
        """
        self.ax_ = panels(ax, 1, 2, size=(4.2, 3.4))
        left, right = self.ax_[0]
        self.figure_ = left.figure
        self._plot_usage(left)
        image = right.imshow(self.correlation, cmap="PuOr", vmin=-1, vmax=1)
        self.figure_.colorbar(image, ax=right, label="correlation")
        right.set_title("Correlation of the codes")
        right.set_xlabel("code, by usage")
        right.set_ylabel("code, by usage")
        return self

    def _plot_usage(self, ax):
        n_codes, n_used = len(self.usage), int((self.usage > 0).sum())
        edges = np.arange(n_codes + 1) - 0.5
        ax.stairs(self.usage, edges, fill=True, color=BLUE)
        ax.axhline(
            1 / n_codes, color=BLACK, linestyle="--", label="all codes equally often"
        )
        in_use = float(perplexity(torch.as_tensor(self.usage)))
        ax.set_title(f"{n_used} of {n_codes} codes in use, perplexity {in_use:.1f}")
        ax.set_xlabel("code, by usage")
        ax.set_ylabel("share of tokens")
        ax.set_xlim(-0.5, n_codes - 0.5)
        ax.legend(frameon=False)
