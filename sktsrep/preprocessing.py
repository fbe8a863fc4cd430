"""Time-frequency transforms as scikit-learn transformers."""

from numbers import Integral

import numpy as np
import torch
from scipy.signal import check_NOLA, get_window
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_array,
    check_is_fitted,
)

from sktsrep._device import (
    apply_in_chunks,
    as_series,
    available_device,
    resolve_device,
)
from sktsrep._fit import all_or_nothing
from sktsrep._validation import check_n_axes, validate_series
from sktsrep._versions import VersionedMixin
from sktsrep.functional import resolve_frames
from sktsrep.nn import STFT

__all__ = ["STFTTransformer"]


def _is_flat(transformer):
    return transformer.flatten


def _is_invertible(transformer):
    return transformer.output == "real_imag"


class STFTTransformer(VersionedMixin, TransformerMixin, BaseEstimator):
    """Short-time Fourier transform with an exact inverse for every length.

    Parameters
    ----------
    n_fft : int or "auto", default="auto"
        Length of the window in timepoints; gives ``n_fft // 2 + 1`` frequency bins.
        "auto" is the smallest power of two, from 8 up, that makes no more than 64
        hops.
    hop_length : int, default=None
        Timepoints between frames, less than ``n_fft``; None is a quarter of it.
    window : str, default="hann"
        A window's name for :func:`scipy.signal.get_window`.
    output : {"real_imag", "magnitude", "log_magnitude"}, default="real_imag"
        Real and imaginary parts (all real channels first), absolute values, or
        ``log(1 + absolute value)``. Only the first can be inverted.
    flatten : bool, default=False
        Whether to give a 2D array, with feature names, for estimators that want one.
    device : str or torch.device, default="auto"
        Where to compute; "auto" is CUDA when available.

    Attributes
    ----------
    n_timepoints_, n_channels_ : int
        Shape of the series that ``fit`` saw.
    n_fft_, hop_length_ : int
        Window and hop in timepoints.
    spectrogram_shape_ : tuple of int
        ``(2 * n_channels, n_freqs, n_frames)``; ``n_channels`` first for magnitudes.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only when ``X`` has feature names that are all strings.

    See Also
    --------
    sktsrep.tokenizers.SSLVQTokenizer : Takes its output, or series.

    Notes
    -----
    Values are those of ``torch.stft(..., center=True, pad_mode="constant")`` on the
    series extended by its last value to a whole number of hops. Frame ``i`` is centered
    on timepoint ``i * hop_length``.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.preprocessing import STFTTransformer
    >>> X = np.random.default_rng(0).normal(size=(4, 25))
    >>> transformer = STFTTransformer()
    >>> spectrogram = transformer.fit_transform(X)
    >>> spectrogram.shape
    (4, 2, 5, 14)
    >>> bool(np.allclose(transformer.inverse_transform(spectrogram), X))
    True
    """

    _parameter_constraints = {
        "n_fft": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "hop_length": [Interval(Integral, 1, None, closed="left"), None],
        "window": [str],
        "output": [StrOptions({"real_imag", "magnitude", "log_magnitude"})],
        "flatten": ["boolean"],
        "device": [str, torch.device],
    }

    def __init__(
        self,
        n_fft="auto",
        *,
        hop_length=None,
        window="hann",
        output="real_imag",
        flatten=False,
        device="auto",
    ):
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.window = window
        self.output = output
        self.flatten = flatten
        self.device = device

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X, y=None):
        """Learn the shape of the series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
                (n_samples, n_channels, n_timepoints)
            Series.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        resolve_device(self.device)
        X = validate_series(self, X, reset=True)
        check_n_axes(X, type(self).__name__, 3)
        self.n_channels_ = 1 if X.ndim == 2 else X.shape[1]
        self.n_timepoints_ = X.shape[-1]
        self.n_fft_, self.hop_length_ = resolve_frames(
            self.n_fft, self.hop_length, self.n_timepoints_
        )
        window = get_window(self.window, self.n_fft_)
        self._window = self.window
        if not check_NOLA(window, self.n_fft_, self.n_fft_ - self.hop_length_):
            raise ValueError(
                f"Frames of {self.n_fft_} timepoints with window={self.window!r} and "
                f"hop_length={self.hop_length_} leave gaps: they cannot be inverted."
            )
        n_parts = 2 * self.n_channels_ if _is_invertible(self) else self.n_channels_
        n_frames = 1 + -(-self.n_timepoints_ // self.hop_length_)
        self.spectrogram_shape_ = (n_parts, self.n_fft_ // 2 + 1, n_frames)
        return self

    def _apply(self, function, X):
        """Rows of ``function(stft, rows)`` on the device, as an array."""
        device, dtype = available_device(self.device), getattr(torch, X.dtype.name)
        # Half precision is transformed in single precision.
        inner = torch.float32 if dtype == torch.float16 else dtype
        stft = STFT(self.n_fft_, self.hop_length_, self._window, inner).to(device)
        rows = apply_in_chunks(lambda x: function(stft, x), device, X, dtype=dtype)
        return rows.numpy()

    def _spectrogram(self, stft, x):
        spectrogram = stft(as_series(x))
        if self.output != "real_imag":
            real, imaginary = spectrogram.chunk(2, dim=1)
            spectrogram = torch.hypot(real, imaginary)
        if self.output == "log_magnitude":
            spectrogram = spectrogram.log1p()
        return spectrogram.flatten(start_dim=1) if self.flatten else spectrogram

    def _series(self, stft, spectrogram):
        spectrogram = spectrogram.reshape(-1, *self.spectrogram_shape_)
        series = stft.inverse(spectrogram, self.n_timepoints_)
        return series.reshape(-1, *self.sample_shape_)

    def transform(self, X):
        """Transform series into spectrograms.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples, 2 * n_channels, n_freqs, n_frames)
            With ``n_channels`` in place of ``2 * n_channels`` for magnitudes, and 2D
            with ``flatten``. The float dtype is that of ``X``.
        """
        check_is_fitted(self)
        X = validate_series(self, X, reset=False)
        return self._apply(self._spectrogram, X)

    @available_if(_is_invertible)
    def inverse_transform(self, X):
        """Invert spectrograms.

        Parameters
        ----------
        X : array-like of shape (n_samples, 2 * n_channels, n_freqs, n_frames)
            Output of :meth:`transform`; 2D with ``flatten``.

        Returns
        -------
        ndarray
            Series of the sample shape that ``fit`` saw.
        """
        check_is_fitted(self)
        floats = [np.float64, np.float32, np.float16]
        X = check_array(X, dtype=floats, allow_nd=True, input_name="X")
        size = int(np.prod(self.spectrogram_shape_))
        shapes = [self.spectrogram_shape_, (size,)]
        if X.shape[1:] not in shapes:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but STFTTransformer is "
                f"expecting spectrograms of shape {shapes[self.flatten]} as input."
            )
        return self._apply(self._series, X)

    def set_output(self, *, transform=None):
        """Set the container of flat output; spectrograms are always arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            What ``transform`` gives with ``flatten=True``; None changes nothing.

        Returns
        -------
        self
        """
        return super().set_output(transform=transform) if self.flatten else self

    @available_if(_is_flat)
    def get_feature_names_out(self, input_features=None):
        """Name the flattened features, such as ``real_c0_f1_t2``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against ``feature_names_in_``.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        parts = ["real", "imag"] if self.output == "real_imag" else [self.output]
        _, n_freqs, n_frames = self.spectrogram_shape_
        return np.array(
            [
                f"{part}_c{channel}_f{freq}_t{frame}"
                for part in parts
                for channel in range(self.n_channels_)
                for freq in range(n_freqs)
                for frame in range(n_frames)
            ],
            dtype=object,
        )
