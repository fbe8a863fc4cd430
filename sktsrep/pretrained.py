"""An encoder that was trained on many sets, for series that it has not seen."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sktsrep._fit import all_or_nothing
from sktsrep._gaps import bridge, by_length, channel_levels, observed_lengths
from sktsrep._validation import check_n_axes, validate_series
from sktsrep._versions import VersionedMixin
from sktsrep._weights import NAMES, check_length, read_weights

__all__ = ["PretrainedEncoder"]

# Deviations far below this are none.
_LEAST = 1e-8


class PretrainedEncoder(
    VersionedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Embed series by an encoder that needs no training on them.

    The package brings the weights of a :class:`~sktsrep.encoders.SSLEncoder` that was
    trained, without labels, on the training parts of many archive sets. Every channel
    of a series is standardized, resampled to a few lengths, and embedded by itself.
    The features of all channels and lengths stand side by side, with the mean and the
    logarithm of the deviation of every channel, which standardizing takes away.

    Parameters
    ----------
    name : {"base"}, default="base"
        Which weights.
    scales : tuple of int, default=(128, 256, 512)
        Lengths to which series are resampled, in timepoints, each at least 32. More
        of them see patterns of more durations; each adds as many features and as much
        time. One is enough where features must be few.
    device : str or torch.device, default="auto"
        Where to compute; "auto" is CUDA when available.

    Attributes
    ----------
    encoder_ : SSLEncoder
        The fitted encoder of one channel.
    n_channels_ : int
        Channels in ``fit``.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    See Also
    --------
    sktsrep.encoders.SSLEncoder : Is trained on your series. Its ``from_pretrained``
        has the same weights, for a classifier that trains them further.

    Notes
    -----
    Nothing is learned in ``fit`` but the number of channels, so series of any length
    can follow. A series gives the same features whatever others come with it.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep import PretrainedEncoder
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(3)[:, None])
    >>> PretrainedEncoder(scales=(128,), device="cpu").fit_transform(X).shape
    (3, 2854)
    """

    _parameter_constraints = {
        "name": [StrOptions(set(NAMES))],
        "scales": [tuple, list],
        "device": [str, torch.device],
    }

    def __init__(self, name="base", *, scales=(128, 256, 512), device="auto"):
        self.name = name
        self.scales = scales
        self.device = device

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Read the weights and learn the number of channels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series. A list may hold series of unequal length. NaN means missing or,
            after the end of a series, not there.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        _check_scales(self.scales)
        X = validate_series(self, X, reset=True, allow_nan=True)
        check_n_axes(X, type(self).__name__, 3)
        observed_lengths(X)  # refuses series without a value
        self._channel_means = channel_levels(X)
        self.n_channels_ = 1 if X.ndim == 2 else X.shape[1]
        self.encoder_ = read_weights(self.name, self.device)
        return self

    @property
    def _n_features_out(self):
        n_features = len(self.encoder_.get_feature_names_out())
        return self.n_channels_ * (len(self.scales) * n_features + 2)

    def transform(self, X):
        """Compute embeddings of series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints), or list of arrays
            Series of any length, with as many channels as in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the float dtype of ``X``. For every channel: the features of every
            scale, then mean and log deviation.
        """
        check_is_fitted(self)
        X = validate_series(self, X, reset=False, allow_nan=True, any_length=True)
        lengths = observed_lengths(X)
        series = bridge(X, self._channel_means).reshape(len(X), -1, X.shape[-1])

        def features(length, rows):
            return self._features(series[rows, :, :length].astype(np.float64))

        return by_length(features, lengths).astype(X.dtype, copy=False)

    def _features(self, X):
        """Features of series (n_samples, n_channels, n_timepoints) of one length."""
        channels = X.reshape(-1, X.shape[-1])
        parts = [
            self.encoder_._of_length(n).transform(_at_scale(channels, n))
            for n in self.scales
        ]
        means, deviations = channels.mean(axis=1), channels.std(axis=1)
        parts.append(np.stack([means, np.log(deviations + _LEAST)], axis=1))
        return np.hstack(parts).reshape(len(X), -1)


def _check_scales(scales):
    for scale in scales:
        check_length(scale, "Every length in scales")
    if len(scales) == 0:
        raise ValueError(f"scales must be at least one length, got {scales!r}.")


def _at_scale(X, length):
    """Standardized series of another length."""
    resampled = F.interpolate(
        torch.from_numpy(X).unsqueeze(1), size=length, mode="linear", align_corners=True
    )
    centered = resampled - resampled.mean(dim=2, keepdim=True)
    deviation = centered.std(dim=2, correction=0, keepdim=True)
    return (centered / (deviation + _LEAST)).float().squeeze(1).numpy()
