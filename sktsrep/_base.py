"""What the estimators share: parameters, training, scaling, inference."""

import functools
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sktsrep._device import (
    apply_in_chunks,
    as_series,
    isolated_random_state,
    random_seed,
    resolve_device,
    to_tensor,
)
from sktsrep._training import FitProgress, check_callbacks, resolve_epochs, train
from sktsrep._validation import validate_series, warn_user
from sktsrep.functional import channel_scale, resolve_frames, shared_shape
from sktsrep.nn import STFT, SpectralEncoder

__all__ = [
    "ScoreSamplesMixin",
    "SeriesClassifier",
    "SpectralEstimator",
    "TorchEstimator",
]

# Epochs without a lower validation loss that early_stopping=True waits for.
_PATIENCE = 10

# Series whose spectrograms are computed at once: those of all take many times the
# space of the data.
_SERIES_AT_ONCE = 1024

# What counts as a collapse: embeddings of a rank below 2 (or half of what it was), or
# with next to none of their first spread. Below the least spread, series were equal.
_LEAST_SPREAD = 1e-4
_KEPT_RANK = 1 / 2
_KEPT_SPREAD = 0.02


class TorchEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators that hold a trained ``net_``."""

    _parameter_constraints = {
        "max_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "amp": ["boolean"],
        "compile": ["boolean"],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
    }

    def __init__(
        self,
        *,
        max_epochs="auto",
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _validate_params(self):
        super()._validate_params()
        check_callbacks(self.callbacks)

    # ------------------------------------------------------------------ training

    def _patience(self):
        """Epochs that early stopping waits; None without early stopping."""
        if not self.early_stopping:
            return None
        is_flag = isinstance(self.early_stopping, (bool, np.bool_))
        return _PATIENCE if is_flag else self.early_stopping

    def _n_validation(self, n_samples):
        """Number of series to hold out, 0 without early stopping."""
        if not self.early_stopping:
            return 0
        n_valid = max(1, round(self.validation_fraction * n_samples))
        if n_valid >= n_samples:
            raise ValueError(
                f"With n_samples={n_samples} and validation_fraction="
                f"{self.validation_fraction}, the resulting train set will be empty."
            )
        return n_valid

    def _train(
        self, make_network, tensors, *, subcontext=None, param_groups=(), callbacks=()
    ):
        """Train a network; set ``net_``, ``history_`` and ``n_iter_``.

        ``subcontext`` opens scikit-learn's callback context where the training is one
        of several tasks of the fit.
        """
        n_valid = self._n_validation(len(tensors[0]))
        n_batches = math.ceil((len(tensors[0]) - n_valid) / self.batch_size)
        n_epochs = resolve_epochs(self.max_epochs, self._auto_steps, n_batches)
        open_context = subcontext or self._init_callback_context
        context = open_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self)
        self.net_, self.history_ = train(
            make_network,
            tensors,
            seed=random_seed(self.random_state),
            n_epochs=n_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            n_valid=n_valid,
            patience=self._patience(),
            amp=self.amp,
            compile=self.compile,
            verbose=self.verbose,
            param_groups=param_groups,
            progress=FitProgress(self, context),
            callbacks=[*(self.callbacks or []), *callbacks],
        )
        self.n_iter_ = len(self.history_)
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})

    # ---------------------------------------------------------------- prediction

    def _check(self, X):
        check_is_fitted(self)
        return validate_series(self, X, reset=False)

    @property
    def _module(self):
        """The trained torch module, in evaluation mode."""
        return self.net_.module_.eval()

    def _isolated(self, random_state):
        """Context of a method that draws; None takes the estimator's random state."""
        random_state = self.random_state if random_state is None else random_state
        device = torch.device(self.net_.device)
        return isolated_random_state(random_seed(random_state), device)

    def _apply_in_chunks(self, function, *tensors):
        """Rows of ``function`` on the net's device, from and to host tensors."""
        return apply_in_chunks(function, torch.device(self.net_.device), *tensors)

    def _apply(self, function, X):
        """Rows of ``function(standardized series)`` for checked ``X``, as an array.

        Subclasses say how series are standardized, in ``_prepare``.
        """

        def prepared(x):
            return function(self._prepare(x))

        return self._apply_in_chunks(prepared, to_tensor(X, "cpu")).numpy()


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


class SpectralEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchEstimator
):
    """Base of the estimators that learn from series or from their spectrograms.

    Both ways lead through the spectrogram: series are transformed and transformed
    back, so that the same series gives the same bits either way.
    """

    _parameter_constraints = {
        "n_fft": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "hop_length": [Interval(Integral, 1, None, closed="left"), None],
        "max_tokens": [Interval(Integral, 1, None, closed="left")],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
        **TorchEstimator._parameter_constraints,
    }

    def __init__(
        self,
        *,
        n_fft="auto",
        hop_length=None,
        max_tokens=32,
        hidden_dim=64,
        n_blocks=2,
        max_epochs="auto",
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        super().__init__(
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            amp=amp,
            compile=compile,
            device=device,
            random_state=random_state,
            verbose=verbose,
            callbacks=callbacks,
        )
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.max_tokens = max_tokens
        self.hidden_dim = hidden_dim
        self.n_blocks = n_blocks

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags

    def _resolve_frames(self, sample_shape):
        """Window and hop; spectrograms have the window that their bins tell."""
        n_fft = self.n_fft
        if len(sample_shape) == 3 and (
            n_fft == "auto" or n_fft // 2 + 1 != sample_shape[1]
        ):
            n_fft = 2 * (sample_shape[1] - 1)  # as the STFTTransformer upstream has it
        return resolve_frames(n_fft, self.hop_length, sample_shape[-1])

    def _stft(self, like):
        """The transform that ``fit`` resolved, for a tensor's dtype and device."""
        return STFT(*self._frames, dtype=like.dtype).to(like.device)

    def _whole_hops(self, x):
        """Series (n_samples, n_channels, time) of whole hops."""
        stft = self._stft(x)
        spectrogram = x if x.ndim == 4 else stft(as_series(x))
        n_timepoints = max((spectrogram.shape[-1] - 1) * stft.hop_length, 1)
        return stft.inverse(spectrogram, n_timepoints)

    def _fit_whole_hops(self, x):
        """As :meth:`_whole_hops`; spectrograms must be those of their own series."""
        series = self._whole_hops(x)
        if x.ndim == 4:
            gap = (self._stft(series)(series) - x).abs().max()
            if gap > 1e-2 * x.abs().max():  # float16 alone makes 1e-3
                n_fft, hop_length = self._frames
                raise ValueError(
                    "X are no spectrograms of series with window='hann', "
                    f"n_fft={n_fft} and hop_length={hop_length}. Give the "
                    "STFTTransformer's n_fft and hop_length here too; it must have "
                    "output='real_imag' and that window."
                )
        return series

    def _fit_series(self, X):
        """Learn window, offset and scale.

        Returns
        -------
        series : Tensor of shape (n_samples, n_channels, time)
            Standardized series of whole hops, float32 on the device.
        make_encoder : callable
            Makes the backbone for such series from ``out_dim``.
        """
        if X.ndim == 4 and (X.shape[1] % 2 or X.shape[2] < 2):
            raise ValueError(
                f"A spectrogram of shape {X.shape} has no real and imaginary parts: "
                "use STFTTransformer(output='real_imag', flatten=False)."
            )
        device = resolve_device(self.device)
        self._frames = self._resolve_frames(X.shape[1:])
        chunks = to_tensor(X, "cpu").split(_SERIES_AT_ONCE)
        series = torch.cat([self._fit_whole_hops(rows.to(device)) for rows in chunks])
        mean = shared_shape(series.double())  # (n_channels, time)
        self.mean_ = mean.cpu().numpy()
        self.scale_ = channel_scale(series, mean).cpu().numpy()
        self._dtype = X.dtype
        make_encoder = functools.partial(
            SpectralEncoder,
            n_channels=series.shape[1],
            n_timepoints=series.shape[2],
            n_fft=self._frames[0],
            hop_length=self._frames[1],
            max_tokens=self.max_tokens,
            hidden_dim=self.hidden_dim,
            n_blocks=self.n_blocks,
        )
        return self._standardize(series), make_encoder

    def _standardize(self, series):
        mean = to_tensor(self.mean_, series.device)
        scale = to_tensor(self.scale_, series.device)
        return ((series - mean) / scale).float()

    def _prepare(self, x):
        """Standardized series of whole hops, from a tensor of what ``fit`` saw."""
        return self._standardize(self._whole_hops(x))

    def _embed(self, function, X):
        """As :meth:`_apply` for unchecked ``X``, whose float dtype is kept."""
        X = self._check(X)
        return self._apply(function, X).astype(X.dtype, copy=False)

    def _warn_if_collapsed(self):
        """Warn when the embeddings have become the same for all series."""
        history = self.history_
        if "effective_rank" not in history or len(history) < 2:
            return
        rank, spread = history["effective_rank"], history["feature_std"]
        if spread.iloc[0] < _LEAST_SPREAD:
            return
        lost_rank = rank.iloc[-1] < min(2, _KEPT_RANK * rank.iloc[0])
        lost_spread = spread.iloc[-1] < _KEPT_SPREAD * spread.iloc[0]
        if lost_rank or lost_spread:
            warn_user(
                "The embeddings collapsed: their effective rank went from "
                f"{rank.iloc[0]:.1f} to {rank.iloc[-1]:.1f}, the mean standard "
                f"deviation of the features from {spread.iloc[0]:.3g} to "
                f"{spread.iloc[-1]:.3g}. Try another ssl, larger variance or "
                "covariance weights, a smaller lr or weaker augmentations.",
                ConvergenceWarning,
            )

    def _restore(self, series):
        """Undo :meth:`_fit_series`: samples of the shape and dtype that ``fit`` saw."""
        x = torch.as_tensor(series).double()
        x = x * to_tensor(self.scale_, x.device) + to_tensor(self.mean_, x.device)
        if len(self.sample_shape_) == 3:
            x = self._stft(x)(x)
        else:
            x = x[..., : self.sample_shape_[-1]].reshape(len(x), *self.sample_shape_)
        return x.numpy().astype(self._dtype, copy=False)
