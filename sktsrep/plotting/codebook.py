"""Display of a codebook: usage and correlation."""

import numpy as np
import torch

from sktsrep.functional import perplexity
from sktsrep.metrics._checks import check_discrete, check_vectors
from sktsrep.metrics.information import correlate_rows
from sktsrep.plotting._utils import BLACK, BLUE, panels, require

__all__ = ["CodebookDisplay"]


class CodebookDisplay:
    """Show how often each code is used and how similar the codes are.

    Both panels sort the codes by usage.

    Parameters
    ----------
    usage : ndarray of shape (n_codes,)
        Share of tokens per code, from the most used code to the least used.
    correlation : ndarray of shape (n_codes, n_codes)
        Pearson correlation of the codes, in the same order; NaN for codes whose
        components are all equal.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes, of shape (1, 2)
        Panels.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

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
        """Create a display of a fitted tokenizer's codebook and its usage on data.

        Parameters
        ----------
        tokenizer : estimator
            Estimator with ``encode`` and ``codebook_``.
        X : array-like
            Series.

        Returns
        -------
        CodebookDisplay
        """
        require(tokenizer, "encode", "codebook_")
        tokens = tokenizer.encode(X)
        if getattr(tokenizer, "level_codebook_", None) is not None:
            # The first place has a codebook of its own.
            tokens = tokens[:, tokenizer.token_shape_[1] :]
        tokens = tokens[tokens >= 0]  # -1 comes after the end of a series
        return cls.from_arrays(tokens, tokenizer.codebook_)

    @classmethod
    def from_arrays(cls, tokens, codebook):
        """Create a display of tokens and a codebook.

        Parameters
        ----------
        tokens : array-like of shape (n_samples, n_tokens), int
            Tokens.
        codebook : array-like of shape (n_codes, code_dim)
            Codes; ``code_dim`` is at least 2.

        Returns
        -------
        CodebookDisplay
        """
        codebook = check_vectors(codebook, "codebook")
        if codebook.shape[1] < 2:
            raise ValueError(
                "codebook must be (n_codes, code_dim) with a code_dim of at least 2, "
                f"got an array of shape {codebook.shape}."
            )
        expected = f"tokens must be integers in [0, {len(codebook)}), at least one."
        tokens = check_discrete(tokens, "tokens")
        if tokens.dtype.kind not in "iuf":
            raise ValueError(f"{expected[:-1]}, got {tokens.dtype}.")
        if not np.isin(tokens, np.arange(len(codebook))).all():
            raise ValueError(expected)
        counts = np.bincount(tokens.ravel().astype(int), minlength=len(codebook))
        order = np.argsort(-counts, kind="stable")
        return cls(counts[order] / tokens.size, correlate_rows(codebook[order]))

    def plot(self, ax=None):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, array of two or None, default=None
            Axes to draw on. None makes a figure; a single Axes is divided.

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
        right.set_title("correlation of codes")
        right.set_xlabel("code, sorted by usage")
        right.set_ylabel("code, sorted by usage")
        return self

    def _plot_usage(self, ax):
        n_codes, n_used = len(self.usage), int((self.usage > 0).sum())
        edges = np.arange(n_codes + 1) - 0.5
        ax.stairs(self.usage, edges, fill=True, color=BLUE)
        ax.axhline(1 / n_codes, color=BLACK, linestyle="--", label="uniform usage")
        in_use = float(perplexity(torch.as_tensor(self.usage)))
        ax.set_title(f"{n_used} of {n_codes} codes in use, perplexity {in_use:.1f}")
        ax.set_xlabel("code, sorted by usage")
        ax.set_ylabel("share of tokens")
        ax.set_xlim(-0.5, n_codes - 0.5)
        ax.legend(frameon=False)
