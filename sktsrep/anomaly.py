"""Anomalies of series: which series are unusual, and when."""

import copy
import functools
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import gen_batches, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sktsrep._calibration import _TailProbability, mean_nearby
from sktsrep._callbacks import CallbackSupportMixin
from sktsrep._device import random_seed
from sktsrep._fit import fitted_copy, training_fit
from sktsrep._gaps import observed_lengths, pad_ends, to_length
from sktsrep._holdout import held_out_rows, n_held_out
from sktsrep._neighbors import (
    channel_units,
    in_units,
    mean_distances,
    quiet_deviation,
    series_keys,
    start_times,
    windows_between,
    z_normalized,
)
from sktsrep._validation import check_n_axes, validate_series
from sktsrep._versions import VersionedMixin
from sktsrep.pretrained import PretrainedEncoder

__all__ = ["AnomalyDetector"]

# With fewer series, those held out would be missed more than they help.
_HELD_OUT_FROM = 200

# With contamination="auto", the share of training series that are taken as outliers.
_RARE = 0.01

# Series are compared with training series in batches with at most so many distances.
_SERIES_AT_ONCE = 256
_DISTANCES_AT_ONCE = 2**24

# Those that are distances compare with the training series, and are one per series.
_DISTANCES = ("neighbors", "shape", "values")
_OF_SERIES = {"shape", "values"}  # need no estimator
_COMPONENTS = ("reconstruction", "likelihood", *_DISTANCES)

# Needs no training, and is small enough to keep the embeddings of many series.
_DEFAULT = PretrainedEncoder(scales=(256,))

# Both distances of the series themselves tell much the same: together they count as
# much as another component.
_WEIGHTS = dict.fromkeys(_COMPONENTS, 1.0) | dict.fromkeys(_OF_SERIES, 0.5)


class AnomalyDetector(
    VersionedMixin, CallbackSupportMixin, OutlierMixin, BaseEstimator
):
    """Outlier detector of series and of their timepoints.

    Up to five components tell how unusual a series is: how badly it is reconstructed,
    how improbable its tokens are, how far its embedding is from those of training
    series [1]_ [2]_, how far its shape is from theirs [3]_, and how far its values are.
    Each one is turned into a log probability that training series are as unusual. The
    score is the mean of these, in which shape and values together count as one.

    Parameters
    ----------
    estimator : estimator, default=None
        None is a :class:`~sktsrep.PretrainedEncoder`, which needs no training. Others
        are :class:`~sktsrep.tokenizers.SSLVQTokenizer`,
        :class:`~sktsrep.encoders.SSLEncoder`, :class:`~sktsrep.autoencoders.VAE`,
        samplers with a tokenizer, or whatever transforms series into features. It is
        cloned and fitted. A fitted one in a :class:`~sklearn.frozen.FrozenEstimator`
        is used as it is.
    scores : {"auto", "reconstruction", "likelihood", "neighbors", "shape", "values"} \
            or list of those, default="auto"
        Components.

        - "reconstruction": squared error, from tokenizers and VAEs;
        - "likelihood": negative log-likelihood of the tokens, from samplers, which take
          the other two from their tokenizer;
        - "neighbors": mean distance of the standardized embedding to the nearest ones
          of the training series;
        - "shape": the same for the series themselves. Every channel has mean 0 and
          deviation 1 within a series, so level and size do not count;
        - "values": the same where every channel has mean 0 and deviation 1 over all
          training series, so level and size count.

        The last two need no estimator. "auto" is both and all that the estimator
        offers.
    n_neighbors : int, default=3
        How many neighbors, for "neighbors", "shape" and "values".
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance of standardized embeddings. "cosine" compares their directions; a few
        features, such as a VAE's, need "euclidean".
    contamination : float or "auto", default="auto"
        Share of outliers among the training series, at most 0.5, from which ``offset_``
        follows. "auto" takes 0.01, and none of fewer than 100: new series are outliers
        when they score below all of these.
    validation_fraction : float, "auto" or None, default="auto"
        Share of series that the estimator is not fitted to. Training series are
        reconstructed better than new ones, so errors and likelihoods of these are what
        scores compare with. They are random ones; of overlapping windows, the last.
        "auto" is 0.1 of 200 series or more, and none of fewer. None holds out none, and
        frozen estimators need none: scores then compare with all series.
    random_state : int, RandomState instance or None, default=None
        Decides which series are held out, and seeds an estimator without a seed.

    Attributes
    ----------
    estimator_ : estimator or None
        The fitted estimator; None where ``scores`` need none and none was given.
    scores_ : tuple of str
        Components in use.
    offset_ : float
        What :meth:`decision_function` subtracts from scores.
    timepoint_offset_ : float
        The same for timepoints: those with lower scores are unusual. They are the share
        ``contamination`` of the training timepoints, 0.01 if that is "auto".
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    Notes
    -----
    Up to the 90 % quantile of a component, its probability is the share of series that
    are at least as unusual. Beyond, it falls exponentially: with the value for
    likelihoods, and with its logarithm for errors and distances, whose tail is a power
    law (Hill 1975, Annals of Statistics 3.5). Timepoints are calibrated by timepoints,
    series by series. The reconstruction error of a timepoint is the mean over an eighth
    of the series around it.

    A series that ``fit`` saw has no neighbors among itself and the windows of a
    recording that overlap it, so training series can be scored, too. Windows are told
    by their order: each one begins with what the one before ends with. "shape" and
    "values" also compare with windows that begin between these, at every timepoint
    where there are no more than 20,000.

    For "shape", a channel whose deviation is less than a tenth of the mean deviation
    within training series is divided by this tenth, so that noise in quiet series does
    not pass for a shape. Straight lines bridge gaps, and the last value is held after
    the end of a series. What series are compared with is kept, in memory and in files.

    References
    ----------
    .. [1] Lee, Malacarne, Aune 2024, "Explainable time series anomaly detection using
       masked latent generative modeling", arXiv 2311.12550.
    .. [2] "PaAno", ICLR 2026, arXiv 2602.01359.
    .. [3] Yeh, Zhu, Ulanova, Begum, Ding, Dau, Silva, Mueen, Keogh 2016, "Matrix
       profile I: all pairs similarity joins for time series", ICDM.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.anomaly import AnomalyDetector
    >>> from sktsrep.encoders import SSLEncoder
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> encoder = SSLEncoder(hidden_dim=8, max_epochs=2, random_state=0, device="cpu")
    >>> detector = AnomalyDetector(encoder).fit(X)
    >>> X[0, 20:30] = 0
    >>> detector.predict(X[:3])
    array([-1,  1,  1])
    >>> detector.score_timepoints(X).shape
    (20, 48)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), None],
        "scores": [StrOptions({"auto", *_COMPONENTS}), list, tuple],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "validation_fraction": [
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        scores="auto",
        n_neighbors=3,
        metric="cosine",
        contamination="auto",
        validation_fraction="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.scores = scores
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.contamination = contamination
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._takes_gaps
        return tags

    @property
    def _takes_gaps(self):
        estimator = _DEFAULT if self.estimator is None else self.estimator
        return get_tags(estimator).input_tags.allow_nan

    # ------------------------------------------------------------------- training

    @training_fit
    def fit(self, X, y=None):
        """Fit the estimator, and learn what is usual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series, most of them without anomalies. NaN means missing where the
            estimator takes it.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        series = validate_series(self, X, reset=True, allow_nan=self._takes_gaps)
        check_n_axes(series, type(self).__name__, 3)
        self._n_timepoints = int(observed_lengths(series).max())
        series = series[..., : self._n_timepoints]
        held_out = self._held_out(series)
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self)
        kept = np.delete(series, held_out, axis=0)
        self.estimator_ = self._fitted_estimator(kept, context)
        self.scores_ = self._components()
        self._fit_memory(series)
        values = self._all_unusual(series)
        self._fit_calibration(values, held_out)
        self.offset_ = self._threshold(self._score_series(values))
        self.timepoint_offset_ = self._threshold(self._score_time(values))
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return self

    def _fitted_estimator(self, X, context):
        """Fit a copy of the estimator; None if no component needs the default one."""
        estimator, scores = self.estimator, self.scores
        if estimator is None:
            scores = [scores] if isinstance(scores, str) else scores
            if len(scores) and set(scores) <= _OF_SERIES:
                return None
            estimator = _DEFAULT
        return fitted_copy(
            estimator, X, self.random_state, context.subcontext("estimator")
        )

    def _threshold(self, scores):
        scores = scores[~np.isnan(scores)]
        if self.contamination == "auto":
            return float(np.quantile(scores, _RARE, method="lower"))
        return float(np.quantile(scores, self.contamination))

    def _held_out(self, X):
        """Rows that the estimator is not fitted to."""
        share = self.validation_fraction
        if share == "auto":
            share = 0.1 if len(X) >= _HELD_OUT_FROM else None
        if isinstance(self.estimator, FrozenEstimator):
            share = None
        rng = np.random.RandomState(random_seed(self.random_state))
        return held_out_rows(X, n_held_out(len(X), share, False), rng)

    def _components(self):
        """Names of the components in use, of those that the estimator offers."""
        autoencoder = self._autoencoder
        offered = {
            "reconstruction": hasattr(autoencoder, "score_timepoints"),
            "likelihood": autoencoder is not self.estimator_,
            "neighbors": hasattr(autoencoder, "transform"),
            "shape": True,
            "values": True,
        }
        offered = [name for name in _COMPONENTS if offered[name]]
        scores = self.scores
        if isinstance(scores, str):
            scores = offered if scores == "auto" else [scores]
        if not len(scores) or not set(scores) <= set(offered):
            raise ValueError(
                f"scores must be 'auto' or some of {offered}, which is what "
                f"{type(self.estimator_).__name__} offers, got {self.scores!r} instead."
            )
        return tuple(name for name in offered if name in scores)

    @property
    def _autoencoder(self):
        """What embeds and reconstructs: the tokenizer of a sampler."""
        tokenizer = getattr(self.estimator_, "tokenizer_", None)
        return self.estimator_ if tokenizer is None else tokenizer

    def _fit_memory(self, X):
        """Learn what series are compared to, and which of these overlap."""
        if "neighbors" in self.scores_:
            self._fit_embedder(X)
        if "shape" in self.scores_:
            self._least_deviation = quiet_deviation(X)
        if "values" in self.scores_:
            self._units = channel_units(X)
        names = [name for name in self.scores_ if name in _DISTANCES]
        if not names:
            return
        times = start_times(X)
        self._begins = dict(zip(series_keys(X), times, strict=True))
        # A few windows in the middle of a short recording overlap with all others.
        self._apart = max(1, min(X.shape[-1] - 1, times[-1] // 2))
        compared = {"neighbors": (X, times)}
        if _OF_SERIES & {*names}:
            compared["shape"] = compared["values"] = windows_between(X, times)
        self._memory = {}
        for name in names:
            series, times = compared[name]
            self._memory[name] = self._vectors(name, series), times

    def _fit_embedder(self, X):
        """Learn how to standardize embeddings."""
        self._embedder = copy.deepcopy(self._autoencoder)
        if getattr(self._embedder, "output", None) == "tokens":
            self._embedder.set_params(output="embeddings")
        embeddings = self._raw_embeddings(X)
        mean, deviation = embeddings.mean(axis=0), embeddings.std(axis=0)
        varies = deviation > 1e-6 * np.abs(embeddings).max(axis=0)
        weight = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
        self._scaling = mean, weight, self.metric == "cosine"

    def _fit_calibration(self, unusual, held_out):
        """Learn how components are distributed, over series and over timepoints."""
        self._of_series, self._of_timepoints = {}, {}
        for name, values in unusual.items():
            if len(held_out) and name not in _DISTANCES:
                values = values[held_out]
            make = functools.partial(_TailProbability, logarithmic=name != "likelihood")
            self._of_series[name] = make(np.nanmean(values, axis=1))
            values = _over_time(name, values)
            self._of_timepoints[name] = make(values[~np.isnan(values)])

    # ----------------------------------------------------------------- components

    def _all_unusual(self, X):
        return {name: self._unusual(name, X) for name in self.scores_}

    def _unusual(self, name, X):
        """Values of a component, high where unusual: (n_samples, time or 1)."""
        if name in _DISTANCES:
            return self._distances(name, X)[:, None]
        part = self.estimator_ if name == "likelihood" else self._autoencoder
        return -part.score_timepoints(_named(X, part))

    def _raw_embeddings(self, X):
        embedder = self._embedder
        embeddings = np.asarray(embedder.transform(_named(X, embedder)), dtype=float)
        return embeddings.reshape(len(X), -1)

    def _embed(self, X):
        mean, weight, is_cosine = self._scaling
        embeddings = (self._raw_embeddings(X) - mean) * weight
        if not is_cosine:
            return embeddings
        # The distance of unit vectors is the square root of 2 (1 - cosine).
        length = np.sqrt(np.square(embeddings).sum(axis=1, keepdims=True))
        return embeddings / np.where(length > 0, length, 1)

    def _vectors(self, name, X):
        """Vectors whose distances make up a component."""
        if name == "shape":
            return z_normalized(X, self._least_deviation)
        if name == "values":
            return in_units(X, *self._units)
        return self._embed(X)

    def _distances(self, name, X):
        """Mean distance to the nearest training series but those that overlap."""
        memory, times = self._memory[name]
        begins = [self._begins.get(key, np.nan) for key in series_keys(X)]
        size = max(1, min(_SERIES_AT_ONCE, _DISTANCES_AT_ONCE // len(memory)))
        return np.concatenate(
            [
                mean_distances(
                    self._vectors(name, X[rows]),
                    np.array(begins[rows]),
                    memory,
                    times,
                    self.n_neighbors,
                    self._apart,
                )
                for rows in gen_batches(len(X), size)
            ]
        )

    # -------------------------------------------------------------------- scoring

    def _check(self, X):
        check_is_fitted(self)
        X = validate_series(
            self, X, reset=False, allow_nan=self._takes_gaps, pad=self._takes_gaps
        )
        return X, to_length(X, self._n_timepoints, type(self).__name__)

    def _score_series(self, unusual):
        means = {name: np.nanmean(x, axis=1) for name, x in unusual.items()}
        return _mean_score(self._of_series, means)

    def _score_time(self, unusual):
        values = {name: _over_time(name, x) for name, x in unusual.items()}
        return _mean_score(self._of_timepoints, values)  # (n_samples, time or 1)

    def score_samples(self, X):
        """Compute how usual series are.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples,)
            At most 0, low for unusual series: log probability that a usual series is as
            unusual, mean over the components.
        """
        _, series = self._check(X)
        return self._score_series(self._all_unusual(series))

    def score_timepoints(self, X):
        """Compute how usual timepoints are.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples, n_timepoints)
            At most 0, low for unusual timepoints: log probability that a usual
            timepoint is as unusual, mean over the components. The distances of a series
            to its neighbors count for all its timepoints. NaN where a series has no
            value.
        """
        X, series = self._check(X)
        scores = self._score_time(self._all_unusual(series))
        scores = np.broadcast_to(scores, (len(X), self._n_timepoints))
        scores = pad_ends(scores, X.shape[-1])
        is_missing = np.isnan(X).reshape(len(X), -1, X.shape[-1]).all(axis=1)
        return np.where(is_missing, np.nan, scores)

    def decision_function(self, X):
        """Compute :meth:`score_samples` minus ``offset_``.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Tell outliers from others.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples,), int
            -1 for outliers, 1 for others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)


def _mean_score(tails, values):
    """Weighted mean over components of the log probabilities of their values."""
    total = sum(_WEIGHTS[name] * tails[name](x) for name, x in values.items())
    return total / sum(_WEIGHTS[name] for name in values)


def _over_time(name, values):
    """Values of a component by timepoint."""
    return mean_nearby(values) if name == "reconstruction" else values


def _named(X, estimator):
    """Give an array the names of features that an estimator knows."""
    names = getattr(estimator, "feature_names_in_", None)
    return X if names is None else pd.DataFrame(X, columns=names)
