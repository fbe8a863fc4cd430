"""What the estimators share: parameters, training, scaling, inference."""

import math
import os
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sktsrep._callbacks import CallbackSupportMixin
from sktsrep._checkpoint import Checkpoint, identity
from sktsrep._device import (
    apply_in_chunks,
    as_series,
    available_device,
    make_generators,
    random_seed,
    resolve_device,
    to_device,
    to_tensor,
)
from sktsrep._files import check_folder
from sktsrep._fit import is_nested_fit, learned_once
from sktsrep._gaps import bridge, by_length, observed_lengths, pad_ends
from sktsrep._holdout import held_out_rows, n_held_out
from sktsrep._inputs import as_array_like, is_list_of_series
from sktsrep._ranks import agree, from_first, is_first, joined, n_ranks
from sktsrep._storage import empty_rows, row_blocks
from sktsrep._training import FitProgress, check_callbacks, resolve_epochs, train
from sktsrep._validation import validate_series
from sktsrep._versions import VersionedMixin
from sktsrep._warnings import warn_user
from sktsrep.functional import (
    outlying,
)

__all__ = [
    "ScoreSamplesMixin",
    "SeriesClassifier",
    "TorchEstimator",
]

# Epochs without a lower validation loss that early_stopping=True waits for.
_PATIENCE = 10

# Parameters that do not change what is trained. A tokenizer is told by its tokens.
_NOT_IDENTITY = {
    "callbacks",
    "checkpoint",
    "device",
    "tokenizer",
    "verbose",
    "warm_start",
}

# Series that tell the usual values of all.
_N_SOME = 1024

# Series of another length than those of ``fit`` are few of each: rows that go through
# the network at once.
_ROWS_OF_A_LENGTH = 8

# Values at prediction are clipped this many times as far out as training values reach:
# far enough to leave everything usual alone, near enough for finite results.
_REACH = 100.0


class TorchEstimator(VersionedMixin, CallbackSupportMixin, BaseEstimator):
    """Base of the estimators that hold a trained ``net_``."""

    # Whether series may have missing values and unequal lengths.
    _takes_gaps = False

    # With max_epochs="auto", a training makes no more passes over the data.
    _most_passes = math.inf

    _parameter_constraints = {
        "max_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        "amp": ["boolean"],
        "compile": ["boolean"],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
        "checkpoint": [str, os.PathLike, None],
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        *,
        max_epochs="auto",
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-4,
        early_stopping=False,
        validation_fraction="auto",
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
        checkpoint=None,
        warm_start=False,
    ):
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.amp = amp
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.warm_start = warm_start

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._takes_gaps
        return tags

    def _validate_params(self):
        super()._validate_params()
        check_callbacks(self.callbacks)
        if self.checkpoint is None:
            return
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                "checkpoint needs a random_state that is an int, got "
                f"{self.random_state!r} instead."
            )
        if is_first():  # the others write nothing
            check_folder(self.checkpoint)

    # ------------------------------------------------------------------ training

    @property
    def _goes_on(self):
        """Whether a fit begins where the last one has ended."""
        return self.warm_start and hasattr(self, "net_")

    @property
    def _known_classes(self):
        """Classes that labels of a fit must be among; None for any."""
        return self.classes_ if self._goes_on else None

    def _validate_training(self, X, y="no_validation"):
        """Check the series and the labels of a fit.

        Samples of one that goes on are as before, but all series of a list may be
        shorter.
        """
        if self._goes_on and is_list_of_series(X):
            X = as_array_like(X, "X", pad=True)
            if X.dtype.kind == "f" and X.ndim < 4:
                X = pad_ends(X, max(self.sample_shape_[-1], X.shape[-1]))
        return validate_series(self, X, y, reset=not self._goes_on, allow_nan=True)

    def _patience(self):
        """Epochs that early stopping waits; None without early stopping."""
        if not self.early_stopping:
            return None
        is_flag = isinstance(self.early_stopping, (bool, np.bool_))
        return _PATIENCE if is_flag else self.early_stopping

    def _n_validation(self, n_samples):
        """Number of series to hold out; fails where none would be left."""
        return n_held_out(
            n_samples, self.validation_fraction, bool(self.early_stopping)
        )

    @property
    def history_(self):
        """Loss terms and metrics, one row per epoch."""
        check_is_fitted(self, "_history")
        index = pd.RangeIndex(1, self.n_iter_ + 1, name="epoch")
        return pd.DataFrame(self._history, index=index)

    def _train(self, make_network, tensors, X, *, labels=None, **settings):
        """Train a network, together with other processes where there are any.

        Sets ``net_``, ``history_`` and ``n_iter_``. ``X`` and ``labels`` decide what is
        held out. ``settings`` are those of :meth:`_train_one`.
        """
        device = resolve_device(self.device)
        with joined(device):
            self._check_ranks(X, labels, *tensors[1:])
            self._train_one(make_network, tensors, X, device, labels=labels, **settings)

    def _check_ranks(self, *facts):
        """Raise ValueError unless all processes train the same on the same data."""
        if n_ranks() == 1:
            return
        # Standardized series may differ by rounding between machines, and a frozen
        # encoder is on its own process's GPU.
        if not agree(self._identity(*facts, but={"encoder"})):
            raise ValueError(
                "Processes that train together must be given the same data and "
                "parameters, all of the data each; they differ."
            )
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                "Processes that train together need a random_state that is an int, "
                f"got {self.random_state!r} instead."
            )

    def _identity(self, *facts, but=frozenset()):
        """Tell what is trained, and on what."""
        params = self.get_params(deep=False)
        params = {name: params[name] for name in params.keys() - _NOT_IDENTITY - but}
        return identity(type(self).__name__, sorted(params.items()), *facts)

    def _train_one(
        self,
        make_network,
        tensors,
        X,
        device,
        *,
        lengths=None,
        most=None,
        labels=None,
        subcontext=None,
        param_groups=(),
        callbacks=(),
    ):
        """Train a network on this process's device.

        ``lengths`` are those of the series in ``tensors`` where they are unequal, and
        ``most`` is how many timepoints are trained on at once.
        ``subcontext`` opens scikit-learn's callback context where the training is one
        of several tasks of the fit.
        """
        rng = np.random.RandomState(random_seed(self.random_state))
        held_out = held_out_rows(X, self._n_validation(len(X)), rng, labels)
        n_batches = math.ceil((len(X) - len(held_out)) / self.batch_size)
        n_epochs = resolve_epochs(
            self.max_epochs, self._auto_steps, n_batches, self._most_passes
        )
        open_context = subcontext or self._init_callback_context
        context = open_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self)
        trained = self.net_.module_ if self._goes_on else None
        start = [] if trained is None else trained.state_dict().values()
        checkpoint = self._open_checkpoint(device, *tensors, lengths, held_out, *start)
        self.net_, self._history = train(
            make_network,
            tensors,
            device=device,
            lengths=None if lengths is None else to_tensor(lengths, tensors[0].device),
            most=most,
            seed=random_seed(self.random_state),
            n_epochs=n_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            held_out=held_out,
            patience=self._patience(),
            amp=self.amp,
            compile=self.compile,
            verbose=self.verbose,
            param_groups=param_groups,
            progress=FitProgress(self, context),
            callbacks=[*(self.callbacks or []), *callbacks],
            keep_interrupted=not is_nested_fit(),
            checkpoint=checkpoint,
            trained=trained,
        )
        self.n_iter_ = len(next(iter(self._history.values()), ()))
        self.n_threads_ = torch.get_num_threads()
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})

    def _open_checkpoint(self, device, *facts):
        """Checkpoint of this estimator's training on these data; None without."""
        if self.checkpoint is None:
            return None
        which = from_first(self._identity(*facts))
        return Checkpoint(self.checkpoint, which, device)

    # ---------------------------------------------------------------- prediction

    def _check(self, X):
        check_is_fitted(self)
        takes_gaps = self._takes_gaps
        return validate_series(
            self, X, reset=False, allow_nan=takes_gaps, any_length=takes_gaps
        )

    @property
    def _module(self):
        """The trained torch module, in evaluation mode."""
        return self.net_.module_.eval()

    @property
    def _device(self):
        """Where the net is; moves it where its device is missing on this machine."""
        device = available_device(self.net_.device)
        if str(device) != self.net_.device:
            self.net_.module_.to(device)
            self.net_.device = str(device)
        return device

    def _generators(self, random_state):
        """Generators of a method that draws, for the host and for the device.

        None takes the estimator's random state.
        """
        random_state = self.random_state if random_state is None else random_state
        return make_generators(random_seed(random_state), self._device)

    def _apply_in_chunks(self, function, *rows, dtype=None, size=None):
        """Rows of ``function`` on the net's device, from and to the host."""
        return apply_in_chunks(function, self._device, *rows, dtype=dtype, size=size)

    def _apply(self, function, X, dtype=None):
        """Rows of ``function(standardized series)`` for checked ``X``, as an array.

        Subclasses say how series are standardized, in ``_prepare``.
        """

        def prepared(x):
            return function(self._prepare(x))

        return self._apply_by_length(prepared, X, dtype)

    def _apply_by_length(self, function, X, dtype=None):
        """Rows of ``function`` of what ``fit`` saw, without gaps, as an array.

        Series of one length go through the network together, so that no result depends
        on what stands after an end. Shorter rows end with NaN, or -1 of integers.
        """
        lengths = self._whole_lengths(X)
        X = self._bridged(X)
        if lengths is None:
            return self._apply_in_chunks(function, X, dtype=dtype).numpy()

        def cut(length, rows):
            times = np.arange(length).clip(max=X.shape[-1] - 1)
            return self._apply_in_chunks(
                function, X[rows][..., times], dtype=dtype, size=self._n_rows(length)
            ).numpy()

        return by_length(cut, lengths)

    def _n_rows(self, length):
        """Series of a length that go through the network at once; None is as usual."""
        is_usual = length == self._whole_hops_of(self._trained_length)
        return None if is_usual else _ROWS_OF_A_LENGTH

    # --------------------------------------------------- gaps and unequal lengths

    # A network sees whole numbers of so many timepoints, and at least so many.
    _hop_length = _least_length = 1

    @property
    def _trained_length(self):
        """Length that the network is made for, on the last axis of samples."""
        return self.sample_shape_[-1]

    def _whole_hops_of(self, n_timepoints):
        whole = -(-n_timepoints // self._hop_length) * self._hop_length  # rounded up
        return np.maximum(whole, self._least_length)

    def _whole_lengths(self, X):
        """Lengths of series in whole hops; None where all are of the trained one."""
        if X.ndim == 4:
            return None
        ends = observed_lengths(X)
        is_usual = (ends == self._trained_length).all()
        return None if is_usual else self._whole_hops_of(ends)

    def _bridged(self, X):
        """Series without NaN; those that end have their last value from then on."""
        return X if X.ndim == 4 else bridge(X, self._channel_means)

    @property
    def _channel_means(self):
        return self.mean_.mean(axis=1)

    # ------------------------------------------------------------- extreme values

    def _fit_bounds(self, X):
        """Learn which values are usual; series within the range of usual ones.

        Sets ``_bounds``, to which values are clipped at prediction. Training values are
        clipped to what the other series reach, with a warning, where a series has
        outlying ones: they alone would decide mean and scale.

        Returns
        -------
        low, high : Tensor of shape (n_channels, 1), float64
            Range of the usual values.
        """
        ends = torch.cat(
            [
                torch.stack([x.amin(dim=2), x.amax(dim=2)])
                for x in map(as_series, self._tensor_chunks(X))
            ],
            dim=1,
        ).double()  # (2, n_samples, n_channels)
        some = as_series(to_tensor(X[:: max(len(X) // _N_SOME, 1)], "cpu"))
        median = some.movedim(1, 0).flatten(start_dim=1).median(dim=1).values
        is_outlying = outlying((ends - median).abs().amax(dim=0))
        if is_outlying.any():
            self._warn_of_outliers(is_outlying, ends)
        low = ends[0].masked_fill(is_outlying, torch.inf).amin(dim=0).unsqueeze(1)
        high = ends[1].masked_fill(is_outlying, -torch.inf).amax(dim=0).unsqueeze(1)
        self._set_bounds(low, high)
        return low, high

    @learned_once
    def _set_bounds(self, low, high):
        center = low / 2 + high / 2  # a sum of both might overflow
        reach = _REACH * torch.maximum(high / 2 - low / 2, 1e-3 * center.abs())
        reach = torch.where(reach > 0, reach, _REACH)
        self._bounds = (center - reach).numpy(), (center + reach).numpy()

    def _warn_of_outliers(self, is_outlying, ends):
        rows, channels = is_outlying.nonzero().T.tolist()
        largest = ends.abs().amax(dim=0)[rows, channels]
        cells = zip(rows, channels, largest.tolist(), strict=True)
        where = [f"row {i}, channel {c} (up to {value:.3g})" for i, c, value in cells]
        more = f" and {len(where) - 5} more" if len(where) > 5 else ""
        warn_user(
            f"{len(set(rows))} series have values more than 100 times as far out as "
            f"most others: {', '.join(where[:5])}{more}. For training they are clipped "
            "to what the other series reach. If they are glitches or fill values, "
            "repair or drop them before; if such values are usual, transform the data, "
            "for example by a logarithm.",
            UserWarning,
        )

    @staticmethod
    def _tensor_chunks(X):
        for rows in row_blocks(len(X)):
            yield to_tensor(X[rows], "cpu")

    def _standardize_all(self, series, device):
        """Standardized float32 series, in place where they are float32 already.

        Subclasses say how, in ``_standardize``.
        """
        result = series
        if series.dtype != torch.float32:
            result = empty_rows(series.shape, torch.float32, device)
        for rows in row_blocks(len(series)):
            result[rows] = self._standardize(series[rows])
        return result

    def _clip(self, x):
        """Series (n_samples, n_channels, time) with extreme values brought nearer."""
        low, high = to_device(x.device, *self._bounds)
        info = torch.finfo(x.dtype)
        return x.clamp(low.clamp(min=info.min).to(x), high.clamp(max=info.max).to(x))

    def _clipped_away(self, X):
        """Square of what clipping takes away at every timepoint, (n_samples, time).

        It is the mean over the channels, in units of the scale: what a score misses
        that compares clipped series.
        """
        low, high = self._bounds
        missed = []
        for x in map(as_series, self._tensor_chunks(X)):
            x = x.double().numpy()
            with np.errstate(over="ignore"):
                gap = (x - np.clip(x, low, high)) / self.scale_
                missed.append(np.square(gap).mean(axis=1))
        # A finite score for every finite series.
        return np.minimum(np.concatenate(missed), 1e300)


class ScoreSamplesMixin:
    """Score of the estimators that have ``score_samples``."""

    def score(self, X, y=None):
        """Compute the mean of :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            As for :meth:`score_samples`.
        y : None
            Ignored.

        Returns
        -------
        float
            Higher is better, so that a search needs no labels.
        """
        return float(self.score_samples(X).mean())


class SeriesClassifier(ClassifierMixin, TorchEstimator):
    """Base of the classifiers, which have ``predict_proba``."""

    def _n_validation(self, n_samples):
        # Labels are few, and cross-validation tells what a held-out share would.
        if self.validation_fraction == "auto" and not self.early_stopping:
            return 0
        return super()._n_validation(n_samples)

    def predict(self, X):
        """Predict the most probable classes.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series, or spectrograms where ``fit`` takes them.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        indices = self.predict_proba(X).argmax(axis=1)
        return self.classes_[indices]
