"""Time-frequency transforms as scikit-learn transformers."""

import functools
from numbers import Integral

import numpy as np
import torch
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
from sktsrep._gaps import (
    bridge,
    by_length,
    channel_levels,
    observed_lengths,
    pad_ends,
    to_length,
)
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
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    See Also
    --------
    sktsrep.tokenizers.SSLVQTokenizer : Takes its output, or series.

    Notes
    -----
    Values are those of ``torch.stft(..., center=True, pad_mode="constant")`` on the
    series extended by its last value to a whole number of hops. Frame ``i`` is centered
    on timepoint ``i * hop_length``.

    Missing values are bridged by lines before the transform. A series that is shorter
    than others has the frames that it has alone, and NaN in the frames after its end.
    Networks take no such spectrograms: give them the series.

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
        tags.input_tags.allow_nan = True
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
            Series. A list may hold series of unequal length. NaN means missing or,
            after the end of a series, not there.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        resolve_device(self.device)
        X = validate_series(self, X, reset=True, allow_nan=True)
        check_n_axes(X, type(self).__name__, 3)
        observed_lengths(X)  # refuses series without a value
        self._channel_means = channel_levels(X)
        self.n_channels_ = 1 if X.ndim == 2 else X.shape[1]
        self.n_timepoints_ = X.shape[-1]
        self.n_fft_, self.hop_length_ = resolve_frames(
            self.n_fft, self.hop_length, self.n_timepoints_
        )
        # Here, because it would slow down the import of sktsrep.
        from scipy.signal import check_NOLA, get_window

        window = get_window(self.window, self.n_fft_)
        self._window = self.window
        if not check_NOLA(window, self.n_fft_, self.n_fft_ - self.hop_length_):
            raise ValueError(
                f"Frames of {self.n_fft_} timepoints with window={self.window!r} and "
                f"hop_length={self.hop_length_} leave gaps: they cannot be inverted."
            )
        n_parts = 2 * self.n_channels_ if _is_invertible(self) else self.n_channels_
        n_frames = self._n_frames_of(self.n_timepoints_)
        self.spectrogram_shape_ = (n_parts, self.n_fft_ // 2 + 1, n_frames)
        return self

    def _n_frames_of(self, n_timepoints):
        return 1 + -(-n_timepoints // self.hop_length_)

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
        return spectrogram

    def _spectrograms(self, X, n_frames):
        """Transform series whose spectrograms have so many frames."""
        whole = (n_frames - 1) * self.hop_length_
        return self._apply(self._spectrogram, X[..., :whole])

    def _series(self, X, n_frames):
        """Invert the first frames of spectrograms."""
        n_timepoints = self.n_timepoints_
        if n_frames < self.spectrogram_shape_[-1]:
            n_timepoints = max((n_frames - 1) * self.hop_length_, 1)
        inverse = functools.partial(STFT.inverse, n_timepoints=n_timepoints)
        series = self._apply(inverse, X[..., :n_frames])
        return series.reshape(len(X), *self.sample_shape_[:-1], n_timepoints)

    def _by_frames(self, function, X, n_frames):
        """Rows of ``function(X, n_frames)``, together for each number of frames."""
        if (n_frames == self.spectrogram_shape_[-1]).all():
            return function(X, self.spectrogram_shape_[-1])
        return by_length(lambda n, rows: function(X[rows], n), n_frames)

    def transform(self, X):
        """Transform series into spectrograms.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series. Those in a list may be shorter than in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, 2 * n_channels, n_freqs, n_frames)
            With ``n_channels`` in place of ``2 * n_channels`` for magnitudes, and 2D
            with ``flatten``. The float dtype is that of ``X``. NaN after the last frame
            of a shorter series.
        """
        check_is_fitted(self)
        X = validate_series(self, X, reset=False, allow_nan=True, any_length=True)
        X = to_length(X, self.n_timepoints_, type(self).__name__)
        n_frames = self._n_frames_of(observed_lengths(X))
        X = bridge(X, self._channel_means)
        spectrogram = self._by_frames(self._spectrograms, X, n_frames)
        spectrogram = pad_ends(spectrogram, self.spectrogram_shape_[-1])
        return spectrogram.reshape(len(X), -1) if self.flatten else spectrogram

    @available_if(_is_invertible)
    def inverse_transform(self, X):
        """Invert spectrograms.

        Parameters
        ----------
        X : array-like of shape (n_samples, 2 * n_channels, n_freqs, n_frames)
            Output of :meth:`transform`; 2D with ``flatten``. NaN in all values of a
            series' last frames means that it is shorter.

        Returns
        -------
        ndarray
            Series of the sample shape that ``fit`` saw. A shorter one lasts whole hops,
            as it was extended by its last value, and has NaN from then on.
        """
        check_is_fitted(self)
        floats = [np.float64, np.float32, np.float16]
        X = check_array(
            X,
            dtype=floats,
            allow_nd=True,
            ensure_all_finite="allow-nan",
            input_name="X",
        )
        size = int(np.prod(self.spectrogram_shape_))
        shapes = [self.spectrogram_shape_, (size,)]
        if X.shape[1:] not in shapes:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but STFTTransformer is "
                f"expecting spectrograms of shape {shapes[self.flatten]} as input."
            )
        X = X.reshape(len(X), *self.spectrogram_shape_)
        n_frames = observed_lengths(X)
        is_over = np.arange(X.shape[-1]) >= n_frames[:, None]
        if (np.isnan(X) != is_over[:, None, None]).any():
            raise ValueError(
                "X contains NaN before the last frame of a spectrogram: only frames "
                "after the end of a series may be NaN."
            )
        return pad_ends(self._by_frames(self._series, X, n_frames), self.n_timepoints_)

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
