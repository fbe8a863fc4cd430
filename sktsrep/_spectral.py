"""What the estimators share that learn from series or from their spectrograms."""

import copy
import functools
import math
from numbers import Integral

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from sktsrep._base import TorchEstimator
from sktsrep._device import as_series, resolve_device, to_device, to_tensor
from sktsrep._fit import learned_once
from sktsrep._gaps import bridge, channel_moments
from sktsrep._storage import row_blocks, stored
from sktsrep._validation import check_out
from sktsrep._warnings import warn_user
from sktsrep.functional import guarded_scale, limited_shape, resolve_frames
from sktsrep.nn import STFT, SpectralEncoder, stage_sizes

__all__ = ["SpectralEstimator"]

# What counts as a collapse: embeddings of a rank below 2 (or half of what it was), or
# with next to none of their first spread. Below the least spread, series were equal.
_LEAST_SPREAD = 1e-4
_KEPT_RANK = 1 / 2
_KEPT_SPREAD = 0.02

# With max_tokens="auto", a latent map has no more places, and a place is no shorter,
# in timepoints. In windows of 24, half as many places are drawn better.
_MOST_PLACES = 32
_LEAST_STRETCH = 4

# With crop_length="auto", longer series are trained on in crops of so many timepoints.
_CROPPED_FROM = 4096
_CROP_LENGTH = 2048

# Series share mean and deviation if these differ by less than this share of the
# deviation; files with few digits differ by 1e-4.
_SHARED = 1e-2


class SpectralEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchEstimator
):
    """Base of the estimators that learn from series or from their spectrograms.

    Both ways lead through the spectrogram: series are transformed and transformed
    back, so that the same series gives the same bits either way.
    """

    crop_length = None  # of those that cannot crop

    _parameter_constraints = {
        "n_fft": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "hop_length": [Interval(Integral, 1, None, closed="left"), None],
        "max_tokens": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "crop_length": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
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
            checkpoint=checkpoint,
            warm_start=warm_start,
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

    def _resolve_frames(self):
        """Window and hop; spectrograms have the window that their bins tell."""
        n_fft, sample_shape = self.n_fft, self.sample_shape_
        if len(sample_shape) == 3 and (
            n_fft == "auto" or n_fft // 2 + 1 != sample_shape[1]
        ):
            n_fft = 2 * (sample_shape[1] - 1)  # as the STFTTransformer upstream has it
        return resolve_frames(n_fft, self.hop_length, self._trained_length)

    @learned_once
    def _fit_crop(self):
        """Learn how many timepoints are trained on at once; None is whole samples."""
        self._cropped_to = None
        *others, length = self.sample_shape_
        crop_length = self.crop_length
        if crop_length is None or (crop_length == "auto" and len(others) == 2):
            return
        if len(others) == 2:
            raise ValueError(
                "crop_length needs series, got spectrograms instead: use "
                "crop_length=None."
            )
        if crop_length == "auto":
            crop_length = _CROP_LENGTH if length > _CROPPED_FROM else length
        self._cropped_to = crop_length if crop_length < length else None

    def _of_length(self, n_timepoints):
        """The same for series of another usual length, many of which come at once."""
        other = copy.copy(self)
        other._cropped_to = self._trained_length  # what the network is made for
        other.sample_shape_, other.n_features_in_ = (n_timepoints,), n_timepoints
        return other

    @property
    def _crop_length(self):
        return getattr(self, "_cropped_to", None)  # older files have none

    @property
    def _trained_length(self):
        return self._crop_length or self.sample_shape_[-1]

    def _n_rows(self, length):
        is_whole = length == self._whole_hops_of(self.sample_shape_[-1])
        return None if is_whole and length <= _CROPPED_FROM else super()._n_rows(length)

    @property
    def _hop_length(self):
        return self._frames[1]

    @property
    def _n_timepoints(self):
        """Length that the network is made for; that of whole hops from spectrograms."""
        length = self._trained_length
        if len(self.sample_shape_) < 3:
            return length
        return (length - 1) * self._hop_length

    @property
    def _most(self):
        """Timepoints that are trained on at once; None for whole series."""
        if self._crop_length is None:
            return None
        return int(self._whole_hops_of(self._crop_length))

    @property
    def _max_places(self):
        if self.max_tokens != "auto":
            return self.max_tokens
        places = math.ceil(self._n_timepoints / _LEAST_STRETCH)
        return max(min(places, _MOST_PLACES), 1)

    @property
    def _stage_sizes(self):
        return stage_sizes(self._n_timepoints, self._hop_length, self._max_places)

    @property
    def _least_length(self):
        return self._hop_length * (2 ** (len(self._stage_sizes) - 1) - 1)

    def _stft(self, like):
        """The transform that ``fit`` resolved, for a tensor's dtype and device."""
        return STFT(*self._frames, dtype=like.dtype).to(like.device)

    def _whole_hops(self, x):
        """Series (n_samples, n_channels, time) of whole hops."""
        stft = self._stft(x)
        if x.ndim == 4:
            spectrogram = x
        else:
            spectrogram = stft(self._clip(as_series(x)))
        n_timepoints = max((spectrogram.shape[-1] - 1) * stft.hop_length, 1)
        return stft.inverse(spectrogram, n_timepoints)

    def _fit_whole_hops(self, x, low, high):
        """As :meth:`_whole_hops`, for training.

        Series are clipped to the range of usual values. Spectrograms must be those of
        their own series.
        """
        if x.ndim < 4:
            x = as_series(x)
            return self._whole_hops(x.clamp(low.to(x), high.to(x)))
        series = self._whole_hops(x)
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
            Standardized series of whole hops, float32; on the device, or on the host if
            they are large.
        make_encoder : callable
            Makes the backbone for such series from ``out_dim``.
        """
        if X.ndim == 4 and (X.shape[1] % 2 or X.shape[2] < 2):
            raise ValueError(
                f"A spectrogram of shape {X.shape} has no real and imaginary parts: "
                "use STFTTransformer(output='real_imag', flatten=False)."
            )
        device = resolve_device(self.device)
        self._fit_crop()
        self._frames = self._resolve_frames()
        self._dtype = X.dtype.name
        lengths = self._whole_lengths(X)
        X = X if X.ndim == 4 else bridge(X)
        low, high = self._fit_bounds(X) if X.ndim < 4 else (None, None)
        self._fit_shared_moments(X, lengths)
        chunks = self._tensor_chunks(X)
        parts = (self._fit_whole_hops(x.to(device), low, high) for x in chunks)
        series = stored(parts, len(X), device)
        self._fit_scale(series, lengths)
        make_encoder = functools.partial(
            SpectralEncoder,
            n_channels=series.shape[1],
            n_timepoints=self._most or series.shape[2],
            n_fft=self._frames[0],
            hop_length=self._frames[1],
            max_tokens=self._max_places,
            hidden_dim=self.hidden_dim,
            n_blocks=self.n_blocks,
        )
        return self._standardize_all(series, device), make_encoder

    @learned_once
    def _fit_shared_moments(self, X, lengths):
        """Learn the mean and the deviation that all series share, if they do.

        Archives standardize every series on its own. What is decoded then gets exactly
        their moments.
        """
        self._shared_mean = self._shared_deviation = None
        if X.ndim == 4 or lengths is not None:
            return
        n_channels = 1 if X.ndim == 2 else X.shape[1]
        # One array from the start: small ones between chunks keep memory in pieces.
        means, deviations = torch.empty(2, len(X), n_channels, dtype=torch.float64)
        for rows in row_blocks(len(X)):
            x = as_series(to_tensor(X[rows], "cpu")).double()
            means[rows], deviations[rows] = x.mean(dim=2), x.std(dim=2, correction=0)
        usual = deviations.mean(dim=0)
        if (usual <= 0).any():
            return
        if ((means - means.mean(dim=0)).abs() <= _SHARED * usual).all():
            self._shared_mean = means.mean(dim=0).unsqueeze(1).numpy()
            if ((deviations - usual).abs() <= _SHARED * usual).all():
                self._shared_deviation = usual.unsqueeze(1).numpy()

    def _share_moments(self, x):
        """Give decoded series (n_samples, n_channels, time) what all series share."""
        if self._shared_mean is None:
            return x
        x = x - x.mean(dim=2, keepdim=True)
        if self._shared_deviation is not None:
            deviation = x.std(dim=2, correction=0, keepdim=True)
            shared = to_tensor(self._shared_deviation, x.device)
            x = x * torch.where(deviation > 0, shared / deviation, 1.0)
        return x + to_tensor(self._shared_mean, x.device)

    @learned_once
    def _fit_scale(self, series, lengths):
        """Learn offset and scale, chunk by chunk in double precision."""
        if lengths is not None:
            mean, scale = channel_moments(series, lengths)
            self.scale_ = scale.cpu().numpy()
            self.mean_ = mean.expand(-1, series.shape[2]).cpu().numpy()
            return
        blocks = [series[rows] for rows in row_blocks(len(series))]  # views
        mean = sum(x.double().sum(dim=0) for x in blocks) / len(series)

        def variance_around(center):  # (n_channels, 1)
            total = sum((x - center).square().sum(dim=0) for x in blocks)
            return total.mean(dim=1, keepdim=True) / len(series)

        center = limited_shape(mean, variance_around(mean))  # (n_channels, time)
        scale = guarded_scale(variance_around(center).sqrt(), center, series.dtype)
        self.mean_, self.scale_ = center.cpu().numpy(), scale.cpu().numpy()

    def _standardize(self, series):
        offset, scale = self._offset_and_scale(series)
        return ((series - offset) / scale).float()

    def _offset_and_scale(self, series):
        """Offset and scale on the device, the offset as long as the series."""
        offset, scale = to_device(series.device, self.mean_, self.scale_)
        n_more = series.shape[2] - offset.shape[1]
        if n_more > 0:  # a shape that series share reaches no further than those of fit
            level = offset.mean(dim=1, keepdim=True).expand(-1, n_more)
            offset = torch.cat([offset, level], dim=1)
        return offset[:, : series.shape[2]], scale

    def _standardized(self, x):
        """Standardized series of whole hops, from a tensor of what ``fit`` saw."""
        return self._standardize(self._whole_hops(x))

    def _prepare(self, x):
        """What the encoder sees of a tensor of what ``fit`` saw."""
        return self._standardized(x)

    def _embed(self, function, X):
        """As :meth:`_apply` for unchecked ``X``, whose float dtype is kept."""
        X = self._check(X)
        return self._apply(function, X, dtype=getattr(torch, X.dtype.name))

    def transform_batches(self, batches):
        """Transform parts of data that are too large for memory, one at a time.

        Parameters
        ----------
        batches : iterable of array-like
            Parts, each of them as for :meth:`transform`.

        Returns
        -------
        iterator of ndarray
            What :meth:`transform` gives for every part.
        """
        check_is_fitted(self)
        return map(self._transform_part, batches)

    def _transform_part(self, X):
        """As :meth:`transform`; a part without rows gives none."""
        if _num_samples(X):
            return self.transform(X)
        one = np.zeros((1, *self.sample_shape_), np.asarray(X).dtype)
        return self.transform(one)[:0]

    def _transform_into(self, X, out):
        """As :meth:`transform`, a part at a time, into an array."""
        check_is_fitted(self)
        n_samples = _num_samples(X)
        like = np.asarray(self.transform(_safe_indexing(X, slice(0, 1))))
        check_out(out, (n_samples, self._n_features_out), like.dtype)
        for rows in row_blocks(n_samples):
            out[rows] = np.asarray(self.transform(_safe_indexing(X, rows)))
        return out

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

    def _restore(self, series, n_timepoints=None):
        """Undo :meth:`_fit_series`: samples of the shape and dtype that ``fit`` saw.

        The series may have another length.
        """
        x = (series if torch.is_tensor(series) else to_tensor(series, "cpu")).double()
        offset, scale = self._offset_and_scale(x)
        x = x * scale + offset
        if len(self.sample_shape_) == 3:
            x = self._stft(x)(x)
        else:
            *channels, usual = self.sample_shape_
            x = self._share_moments(x[..., : n_timepoints or usual])
            x = x.reshape(len(x), *channels, x.shape[-1])
        return x.numpy().astype(self._dtype, copy=False)
