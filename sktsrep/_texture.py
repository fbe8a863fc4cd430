"""What decoding smooths away, put back as noise."""

import numpy as np
from sklearn.utils import check_random_state

from sktsrep._gaps import by_length, observed_lengths, pad_ends

__all__ = ["add_texture", "find_texture"]

# Length of the window, in timepoints, that tells power by frequency.
_WINDOW = 16

# Share of the missing power that noise brings back. With all of it, series of typical
# roughness come out too rough: noise is even, what is missing is not.
_SHARE = 0.5


def find_texture(real, smooth):
    """Find the noise that smooth series lack beside real ones.

    Spectra of all channels are compared between the typical series of both, the median
    by frequency. Every series counts relative to its deviation.

    Parameters
    ----------
    real, smooth : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series. NaN at their ends is not there; series with other NaN do not count.

    Returns
    -------
    ndarray of shape (n_frequencies, n_channels, n_channels) or None
        Symmetric roots of the power of noise, relative to a series' deviations, at
        even steps of frequency; at most 9 of them. None where too few series or
        timepoints tell.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> smooth = np.sin(np.arange(64) / 5 + np.arange(20)[:, None])
    >>> real = smooth + rng.normal(scale=0.1, size=smooth.shape)
    >>> find_texture(real, smooth)[4:].round(1).ravel()  # half the power
    array([0.1, 0.1, 0.1, 0.1, 0.1])
    """
    shortest = min(observed_lengths(X).min() for X in (real, smooth))
    n_window = min(_WINDOW, shortest - shortest % 2)
    if n_window < 4:
        return None
    missing = _missing_power(real, smooth, n_window, "mean")
    if missing is None:
        return None
    # Noise is even in time. What comes and goes would show where series are flat.
    even = _missing_power(real, smooth, n_window, "median")
    total, even_total = (np.trace(power, axis1=1, axis2=2) for power in (missing, even))
    share = _SHARE * np.minimum(1, even_total / np.where(total > 0, total, 1))
    return _root(share[:, None, None] * missing)


def _missing_power(real, smooth, n_window, average):
    """Power (n_frequencies, channels, channels) that smooth series lack, or None.

    ``average`` is over the windows of a series.
    """
    spectra = [_spectra(X, n_window, average) for X in (real, smooth)]
    if not all(map(len, spectra)):
        return None
    typical_real, typical_smooth = (np.median(power, axis=0) for power in spectra)
    missing = typical_real - typical_smooth
    missing[0] = 0  # levels are not texture
    root = _root(missing)
    power = root @ root
    # Without what some channels have too much of, there is more than is missing in all.
    total, most = (np.trace(matrix, axis1=1, axis2=2) for matrix in (power, missing))
    share = most.clip(min=0) / np.where(total > 0, total, 1)
    return share[:, None, None] * power


def _root(power):
    """Symmetric roots of symmetric matrices, without their negative parts."""
    values, directions = np.linalg.eigh(power)
    scaled = directions * np.sqrt(values.clip(min=0))[:, None]
    return scaled @ directions.transpose(0, 2, 1)


def _channels(X):
    """Series (n_samples, n_channels, n_timepoints)."""
    return X.reshape(len(X), -1, X.shape[-1])


def _spectra(X, n_window, average):
    """Power beside that of white noise, (n_series, n_frequencies, channels, channels).

    Only series without gaps have one.
    """
    # Here, because it would slow down the import of sktsrep.
    from scipy.signal import csd

    n_overlapping = n_window - n_window // 4

    def spectra(length, rows):
        series = _channels(X[rows, ..., :length]).astype(np.float64)
        deviation = series.std(axis=2, keepdims=True)
        series /= np.where(deviation > 0, deviation, 1)
        _, power = csd(
            series[:, :, None],
            series[:, None],
            nperseg=n_window,
            noverlap=n_overlapping,
            return_onesided=False,
            average=average,
        )
        return power.real[..., : n_window // 2 + 1].transpose(0, 3, 1, 2)

    power = by_length(spectra, observed_lengths(X))
    return power[np.isfinite(power).all(axis=(1, 2, 3))]


def add_texture(X, texture, random_state):
    """Add noise to series, each of which keeps its mean and deviation by channel.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series; NaN at their ends is not there.
    texture : ndarray of shape (n_frequencies, n_channels, n_channels)
        From :func:`find_texture`.
    random_state : int, RandomState instance or None
        Decides the noise.

    Returns
    -------
    ndarray
        As ``X``.

    Examples
    --------
    >>> texture = np.full((9, 1, 1), 0.1)
    >>> X = add_texture(np.array([[-1.0, 1.0] * 50, [5.0] * 100]), texture, 0)
    >>> X.std(axis=1).round(6), bool((X[1] == 5).all())
    (array([1., 0.]), True)
    """
    rng = check_random_state(random_state)

    def textured(length, rows):
        series = _channels(X[rows, ..., :length])
        mean, deviation = (
            moment(series, axis=2, keepdims=True) for moment in (np.mean, np.std)
        )
        rough = series - mean + deviation * _noise(series.shape, texture, rng)
        rough -= rough.mean(axis=2, keepdims=True)
        now = rough.std(axis=2, keepdims=True)
        rough = mean + rough * deviation / np.where(now > 0, now, 1)
        return rough.reshape(len(rows), *X.shape[1:-1], length)

    rough = by_length(textured, observed_lengths(X)).astype(X.dtype, copy=False)
    return pad_ends(rough, X.shape[-1])


def _noise(shape, texture, rng):
    """Draw Gaussian noise (n_samples, n_channels, n_timepoints) of a power."""
    n_timepoints = shape[-1]
    steps = np.fft.rfftfreq(n_timepoints) * 2 * (len(texture) - 1)
    below = np.floor(steps).astype(int).clip(max=len(texture) - 2)
    share = (steps - below)[:, None, None]
    root = (1 - share) * texture[below] + share * texture[below + 1]
    white = np.fft.rfft(rng.standard_normal(shape), axis=2)
    mixed = np.einsum("fcd,ndf->ncf", root, white)
    return np.fft.irfft(mixed, n_timepoints, axis=2)
