"""Display of embeddings in two dimensions."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils.validation import check_consistent_length, check_random_state

from sktsrep.metrics._checks import (
    check_labels,
    check_size,
    check_vectors,
)
from sktsrep.plotting._utils import (
    MOST_ENTRIES,
    legend_beside,
    legend_columns,
    marker_styles,
    panels,
    require,
    shorten,
)

__all__ = ["EmbeddingDisplay"]

_UMAP_NEIGHBORS = 15  # the default of umap-learn
_MOST_CLASSES = 20  # whole numbers of more values are quantities


def _umap(n_samples, random_state, **params):
    try:
        from umap import UMAP
    except ImportError as error:
        raise ImportError(
            "method='umap' and method='densmap' need umap-learn: install it, or "
            "sktsrep with the extra 'plot'."
        ) from error
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    n_neighbors = min(_UMAP_NEIGHBORS, n_samples - 1)
    # Spectral initialization fails if all points are neighbors. A seed allows only one
    # thread.
    start = "spectral" if n_samples > _UMAP_NEIGHBORS else "random"
    return UMAP(
        n_neighbors=n_neighbors, init=start, random_state=seed, n_jobs=1, **params
    )


def _tsne(n_samples, random_state):
    # The default, or what scikit-learn's three neighbors per unit leave room for.
    perplexity = min(30, (n_samples - 1) / 3)
    return TSNE(perplexity=perplexity, init="random", random_state=random_state)


_REDUCERS = {
    "pca": ("PC", lambda n, seed: PCA(2, random_state=seed)),
    "tsne": ("t-SNE", _tsne),
    "umap": ("UMAP", _umap),
    "densmap": ("densMAP", lambda n, seed: _umap(n, seed, densmap=True)),
}


class EmbeddingDisplay:
    """Show embeddings in two dimensions, by class and by training or test part.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Coordinates of the samples.
    y : ndarray of shape (n_samples,) or None, default=None
        Classes, shown by color and marker. A color bar shows continuous values: numbers
        with fractions, or of more than 20 values.
    is_test : ndarray of shape (n_samples,), bool, or None, default=None
        True for test data, drawn as open markers.
    axis_names : tuple of str, default=("component 1", "component 2")
        Labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure of ``ax_``.

    Notes
    -----
    t-SNE, UMAP and densMAP show neighborhoods: their axes have no unit, distances
    between groups mean little, and so do the sizes of groups, except in densMAP.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sktsrep.plotting import EmbeddingDisplay
    >>> embeddings = [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    >>> display = EmbeddingDisplay.from_arrays(embeddings, ["a", "b", "b"]).plot()
    >>> display.ax_.get_xlabel()
    'PC 1 (86% of variance)'
    >>> matplotlib.pyplot.close(display.figure_)
    """

    def __init__(
        self, points, *, y=None, is_test=None, axis_names=("component 1", "component 2")
    ):
        self.points = points
        self.y = y
        self.is_test = is_test
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        X_test=None,
        y_test=None,
        method="pca",
        random_state=None,
    ):
        """Create a display of a fitted estimator's embeddings.

        Parameters
        ----------
        estimator : transformer
            Fitted transformer. If its features have unequal scales, use
            ``make_pipeline(estimator, StandardScaler())``.
        X : array-like
            Series.
        y : array-like of shape (n_samples,), default=None
            Classes.
        X_test, y_test : array-like, default=None
            Test data.
        method, random_state
            As in :meth:`from_arrays`.

        Returns
        -------
        EmbeddingDisplay
        """
        require(estimator, "transform")
        return cls.from_arrays(
            estimator.transform(X),
            y,
            test_embeddings=None if X_test is None else estimator.transform(X_test),
            y_test=y_test,
            method=method,
            random_state=random_state,
        )

    @classmethod
    def from_arrays(
        cls,
        embeddings,
        y=None,
        *,
        test_embeddings=None,
        y_test=None,
        method="pca",
        random_state=None,
    ):
        """Create a display of embeddings, reduced to two dimensions.

        Parameters
        ----------
        embeddings : array-like of shape (n_samples, n_features)
            Embeddings. Together with the test data, at least 3 samples, or 5 for UMAP
            and densMAP.
        y : array-like of shape (n_samples,), default=None
            Classes.
        test_embeddings : array-like of shape (n_test_samples, n_features), default=None
            Embeddings of test data. The reduction is fitted on both together.
        y_test : array-like of shape (n_test_samples,), default=None
            Classes of the test data.
        method : {"pca", "tsne", "umap", "densmap"} or transformer, default="pca"
            Reduction by name, or an object whose ``fit_transform`` returns two columns.
        random_state : int, RandomState instance or None, default=None
            Seeds a reduction that is given by name.

        Returns
        -------
        EmbeddingDisplay
        """
        parts = [_check_embeddings(embeddings, "embeddings")]
        if test_embeddings is not None:
            parts.append(_check_embeddings(test_embeddings, "test_embeddings"))
            if parts[0].shape[1] != parts[1].shape[1]:
                raise ValueError(
                    "embeddings and test_embeddings must have the same features, got "
                    f"{parts[0].shape[1]} and {parts[1].shape[1]}."
                )
        if (y_test is None) != (y is None or test_embeddings is None):
            raise ValueError(
                "y_test must be given together with y and test_embeddings, or not at "
                "all."
            )
        points, axis_names = _reduce(np.concatenate(parts), method, random_state)
        if y is not None:
            labels = [check_labels(y, "y")]
            if y_test is not None:
                labels.append(check_labels(y_test, "y_test"))
            for part, label in zip(parts, labels, strict=False):
                check_consistent_length(part, label)
            y = np.concatenate(labels)
        is_test = np.arange(len(points)) >= len(parts[0]) if len(parts) > 1 else None
        return cls(points, y=y, is_test=is_test, axis_names=axis_names)

    def plot(self, ax=None, *, size=30):
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on; None makes a figure.
        size : float, default=30
            Area of a marker in square points.

        Returns
        -------
        self
        """
        is_continuous = self.y is not None and _is_continuous(self.y)
        groups = list(self._graded() if is_continuous else self._groups())
        beside = _legend_width([name for name, *_ in groups])
        self.ax_ = panels(ax, size=(5.6 + beside, 4.2))[0, 0]
        self.figure_ = self.ax_.figure
        n_named = len(groups) if len(groups) <= MOST_ENTRIES else MOST_ENTRIES - 1
        for i, (name, rows, style) in enumerate(groups):
            label = name if i < n_named else None
            drawn = self.ax_.scatter(*self.points[rows].T, s=size, label=label, **style)
        if n_named < len(groups):
            self.ax_.plot([], [], " ", label=f"and {len(groups) - n_named} more")
        self.ax_.set_xlabel(self.axis_names[0])
        self.ax_.set_ylabel(self.axis_names[1])
        if not self.axis_names[0].startswith(("PC", "component")):
            self.ax_.set_xticks([])
            self.ax_.set_yticks([])
        if is_continuous:
            self.figure_.colorbar(drawn, ax=self.ax_, label="y")
            if self.is_test is not None:
                self.ax_.legend()
        elif self.y is not None or self.is_test is not None:
            legend_beside(self.ax_)
        return self

    def _graded(self):
        """Yield name, rows and style of each part, for a continuous ``y``."""
        limits = {"vmin": self.y.min(), "vmax": self.y.max(), "cmap": "viridis"}
        for part, rows in self._parts().items():
            marker = {"marker": "^" if part == "test" else "o"}
            yield part, rows, {"c": self.y[rows], **limits, **marker}

    def _parts(self):
        """Select the rows of each part by name; without test data, of all."""
        if self.is_test is None:
            return {"": np.ones(len(self.points), dtype=bool)}
        return {"train": ~self.is_test, "test": self.is_test}

    def _groups(self):
        """Yield name, rows and style of each class in each part."""
        classes = [None] if self.y is None else np.unique(self.y)
        for i, name in enumerate(classes):
            of_class = True if name is None else self.y == name
            color, marker = marker_styles(i).values()
            for part, rows in self._parts().items():
                words = ["" if name is None else f"class {shorten(name)}", part]
                yield (
                    ", ".join(word for word in words if word),
                    of_class & rows,
                    {
                        "marker": marker,
                        "facecolors": "none" if part == "test" else color,
                        "edgecolors": color,
                    },
                )


def _check_embeddings(embeddings, name):
    numbers = check_vectors(embeddings, name)
    check_size(numbers, name)
    return numbers


def _legend_width(names):
    """Compute the width in inches that a legend of several columns needs."""
    n_columns = legend_columns(len(names))
    if n_columns == 1:
        return 0.0
    longest = max(len(name) for name in names)
    return 1.2 * (n_columns - 1) + 0.1 * n_columns * max(longest - 16, 0)


def _is_continuous(y):
    """Whether ``y`` holds quantities, not classes."""
    if y.dtype.kind not in "iuf":
        return False
    return bool((y % 1).any()) or len(np.unique(y)) > _MOST_CLASSES


def _reduce(X, method, random_state):
    """Reduce embeddings to two dimensions; return points and labels of the axes."""
    if not isinstance(method, str):
        name = type(method).__name__
        return np.asarray(method.fit_transform(X)), (f"{name} 1", f"{name} 2")
    if method not in _REDUCERS:
        raise ValueError(
            f"method must be one of {list(_REDUCERS)} or a transformer, got {method!r} "
            "instead."
        )
    least = 5 if "map" in method else 3
    if len(X) < least or X.shape[1] < 2:
        raise ValueError(
            f"method={method!r} needs at least {least} samples of 2 features, got an "
            f"array of shape {X.shape}."
        )
    name, make = _REDUCERS[method]
    reducer = make(len(X), random_state)
    n_threads = torch.get_num_threads()
    try:
        with np.errstate(invalid="ignore"):  # no variance to take shares of
            points = np.asarray(reducer.fit_transform(X))
    finally:
        torch.set_num_threads(n_threads)  # numba, under UMAP, changes torch's threads
    names = [f"{name} {axis}" for axis in (1, 2)]
    if method == "pca":
        shares = np.nan_to_num(reducer.explained_variance_ratio_)
        names = [
            f"{name} ({share:.0%} of variance)"
            for name, share in zip(names, shares, strict=True)
        ]
    return points, tuple(names)
