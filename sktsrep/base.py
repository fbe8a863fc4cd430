"""What the estimators share: scaling, chunked inference, training parameters."""

import functools
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_random_state

from sktsrep._net import check_callbacks, isolated_random_state, resolve_device
from sktsrep._validation import validate_series
from sktsrep.nn import STFT

__all__ = [
    "ScoreSamplesMixin",
    "SeriesClassifier",
    "SpectralEstimator",
    "TorchEstimator",
    "all_or_nothing",
    "apply_in_chunks",
    "as_series",
    "clone_with_seed",
    "random_seed",
    "resolve_frames",
    "shared_shape",
    "to_tensor",
]

# Most that the variance of a shape shared by all series may be of the variance around
# it: beside more than that, no network notices what tells series apart.
_SHARED_LIMIT = 10.0

# Rows a forward pass takes without gradient. The number is fixed and the last chunk is
# filled up: matrix kernels differ in the last bit between batch sizes, and a row's
# result must not depend on what is beside it.
_CHUNK = {"cpu": 64, "cuda": 1024}


def all_or_nothing(fit):
    """Decorate ``fit`` so that one that fails leaves the estimator as it was.

    Shape and scale of the data are known before the network is trained on them: without
    this, a failed second fit would leave the first network with the second scale.
    """

    @functools.wraps(fit)
    def guarded_fit(estimator, *args, **kwargs):
        before = dict(vars(estimator))
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return guarded_fit


def clone_with_seed(estimator, random_state):
    """An unfitted copy, seeded where it had no seed: one seed decides everything."""
    copied = clone(estimator)
    if copied.get_params().get("random_state", 0) is None:
        copied.set_params(random_state=random_seed(random_state))
    return copied


def random_seed(random_state):
    """A seed for torch from a scikit-learn ``random_state``."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def to_tensor(X, device):
    """A copy of an array on the device, float16 as float32."""
    dtype = np.float32 if X.dtype == np.float16 else X.dtype
    # Always a copy: torch takes neither read-only nor reversed arrays.
    return torch.from_numpy(np.array(X, dtype=dtype, order="C")).to(device)


def as_series(x):
    """(n_samples, n_timepoints) gets a channel axis; three axes stay."""
    return x.unsqueeze(1) if x.ndim == 2 else x


def apply_in_chunks(function, device, *tensors):
    """Apply ``function`` to rows of host tensors; tensors come back on the host.

    It sees chunks of one fixed size on the device, so that memory is bounded there.
    """
    size = _CHUNK.get(device.type, 1024)
    outputs = []
    with torch.inference_mode():
        for chunk in zip(*(t.split(size) for t in tensors), strict=True):
            n_rows = len(chunk[0])
            rows = torch.arange(size).clamp(max=n_rows - 1)
            result = function(*(part[rows].to(device) for part in chunk))
            outputs.append(result[:n_rows].cpu())
    return torch.cat(outputs)


def resolve_frames(n_fft, hop_length, n_timepoints):
    """Window and hop of the STFT in timepoints.

    Parameters
    ----------
    n_fft : int or "auto"
        Length of the window; "auto" is the smallest power of two, from 8 up, that
        makes no more than 64 hops.
    hop_length : int or None
        Timepoints between frames; None is a quarter of the window.
    n_timepoints : int
        Length of the series.

    Returns
    -------
    n_fft, hop_length : int

    Raises
    ------
    ValueError
        When frames would not overlap.

    Examples
    --------
    >>> resolve_frames("auto", None, 500)
    (32, 8)
    """
    if n_fft == "auto":
        n_fft = 8
        while n_timepoints > 64 * (n_fft // 4):
            n_fft *= 2
    if hop_length is None:
        hop_length = max(n_fft // 4, 1)
    if hop_length >= n_fft:
        raise ValueError(
            f"hop_length must be less than n_fft={n_fft}, so that frames overlap, got "
            f"{hop_length} instead."
        )
    return n_fft, hop_length


def shared_shape(x):
    """What series have in common, as far as it would drown what tells them apart.

    Every channel's mean over all series and timepoints; and, where the mean series
    varies in time by more than ten times the variance around it, as much of it as
    leaves ten times.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.

    Returns
    -------
    Tensor of shape (n_channels, n_timepoints)

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[-1.0, 1.0]], [[-3.0, 3.0]]])
    >>> shared_shape(x)
    tensor([[0., 0.]])
    >>> shared_shape(x + torch.tensor([-98.0, 98.0]))
    tensor([[-96.8377,  96.8377]])
    """
    mean = x.mean(dim=0)  # (channels, time)
    level = mean.mean(dim=-1, keepdim=True)
    shape = mean - level
    power = shape.square().mean(dim=-1, keepdim=True)
    allowed = _SHARED_LIMIT * (x - mean).square().mean(dim=(0, 2)).unsqueeze(1)
    kept = torch.where(power > allowed, (allowed / power).sqrt(), 1.0)
    return level + (1 - kept) * shape


class TorchEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators that hold a trained ``net_``."""

    _parameter_constraints = {
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "amp": ["boolean"],
        "compile": ["boolean"],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _validate_params(self):
        super()._validate_params()
        check_callbacks(self)

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

    def _predict_chunks(self, function, *tensors):
        """Rows of ``function`` on the net's device, from and to host tensors."""
        return apply_in_chunks(function, torch.device(self.net_.device), *tensors)


class ScoreSamplesMixin:
    """Score of the estimators that have ``score_samples``."""

    def score(self, X, y=None):
        """Mean of :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            As for :meth:`score_samples`.
        y : None
            Ignored.

        Returns
        -------
        float
            Higher is better, so that it can be searched without labels.
        """
        return float(self.score_samples(X).mean())


class SeriesClassifier(ClassifierMixin, TorchEstimator):
    """Base of the classifiers, which have ``predict_proba``."""

    def predict(self, X):
        """Most probable classes.

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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags

    def _resolve_frames(self, sample_shape):
        """Window and hop; of spectrograms, the window that has their bins."""
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
        """Learn mean and scale; standardized float32 series on the device."""
        if X.ndim == 4 and (X.shape[1] % 2 or X.shape[2] < 2):
            raise ValueError(
                f"A spectrogram of shape {X.shape} has no real and imaginary parts: "
                "use STFTTransformer(output='real_imag', flatten=False)."
            )
        device = resolve_device(self.device)
        self._frames = self._resolve_frames(X.shape[1:])
        # In chunks: the spectrograms of all series at once take many times their space.
        chunks = to_tensor(X, "cpu").split(1024)
        series = torch.cat([self._fit_whole_hops(rows.to(device)) for rows in chunks])
        mean = shared_shape(series.double())  # (channels, time)
        scale = (series - mean).square().mean(dim=(0, 2)).sqrt().unsqueeze(1)
        # Rounding leaves equal series with a scale of about their own precision.
        rounding = 10 * torch.finfo(series.dtype).eps * mean.abs().amax(1, keepdim=True)
        self.mean_ = mean.cpu().numpy()
        self.scale_ = torch.where(scale > rounding, scale, 1.0).cpu().numpy()
        self._dtype = X.dtype
        self._backbone_params = dict(
            n_channels=series.shape[1],
            n_timepoints=series.shape[2],
            n_fft=self._frames[0],
            hop_length=self._frames[1],
            max_tokens=self.max_tokens,
            hidden_dim=self.hidden_dim,
            n_blocks=self.n_blocks,
        )
        return self._standardize(series)

    def _standardize(self, series):
        mean = to_tensor(self.mean_, series.device)
        scale = to_tensor(self.scale_, series.device)
        return ((series - mean) / scale).float()

    def _prepare(self, x):
        """Standardized series of whole hops, from a tensor of what ``fit`` saw."""
        return self._standardize(self._whole_hops(x))

    def _apply(self, X, function):
        """Rows of ``function(standardized series)`` for checked ``X``."""
        rows = to_tensor(X, "cpu")
        return self._predict_chunks(lambda x: function(self._prepare(x)), rows).numpy()

    def _embed(self, X, function):
        """As :meth:`_apply` for what was not checked, in the float dtype of ``X``."""
        X = self._check(X)
        return self._apply(X, function).astype(X.dtype, copy=False)

    def _warn_if_collapsed(self):
        """Warn when the embeddings have become the same for all series."""
        history = self.history_
        if "effective_rank" not in history or len(history) < 2:
            return
        rank, spread = history["effective_rank"], history["feature_std"]
        if spread.iloc[0] < 1e-4:  # equal series, but for rounding
            return
        lost_rank = rank.iloc[-1] < min(2, rank.iloc[0] / 2)
        lost_spread = spread.iloc[-1] < 0.02 * spread.iloc[0]
        if lost_rank or lost_spread:
            warnings.warn(
                "The embeddings collapsed: their effective rank went from "
                f"{rank.iloc[0]:.1f} to {rank.iloc[-1]:.1f}, the mean standard "
                f"deviation of the features from {spread.iloc[0]:.3g} to "
                f"{spread.iloc[-1]:.3g}. Try another ssl, larger variance or "
                "covariance weights, a smaller lr or weaker augmentations.",
                ConvergenceWarning,
                stacklevel=6,  # beyond fit and its three decorators
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
