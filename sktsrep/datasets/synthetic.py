"""Synthetic recordings and series: cycles of machines, with labels for everything."""

from functools import partial
from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

__all__ = ["make_recording", "make_series"]

# Timepoints of a recording.
_CYCLE = 24, 64
_ANOMALY = 48, 96
_GAP = 16, 64
_MARGIN = 24  # between anomalies, gaps and changes of the regime
_STAY = 500  # in one regime, on average
_SHORTEST_STAY = 100

_MOST_LAG = 0.15  # of a channel, in cycles
_N_BUMPS = 3  # of a cycle
_N_STEPS = 512  # of a tabulated cycle


# ----- recordings -----


@validate_params(
    {
        "n_timepoints": [Interval(Integral, 1, None, closed="left")],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "n_regimes": [Interval(Integral, 1, None, closed="left")],
        "n_anomalies": [Interval(Integral, 0, None, closed="left")],
        "n_gaps": [Interval(Integral, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_recording(
    n_timepoints=5000,
    n_channels=3,
    *,
    n_regimes=2,
    n_anomalies=3,
    n_gaps=2,
    noise=0.1,
    random_state=None,
):
    """Generate the recording of a machine that runs in cycles.

    Its regimes take turns and differ in frequency, amplitude and shape. All channels
    follow the same cycles, each with a shape and a lag of its own, and drift together.
    Anomalies are faults of single channels.

    Parameters
    ----------
    n_timepoints : int, default=5000
        Length of the recording in timepoints (minutes), at least 100 per regime.
    n_channels : int, default=3
        Number of channels.
    n_regimes : int, default=2
        Number of regimes. A regime lasts about 500 timepoints at a time; its cycles
        take 24 to 64.
    n_anomalies : int, default=3
        Number of anomalies of 48 to 96 timepoints. All six kinds occur before one is
        repeated:

        - "fast": more cycles than the other channels have;
        - "flat": a value that is stuck;
        - "late": cycles that lag by half a cycle;
        - "level": a shift up or down by one to two units;
        - "pause": no cycles, only drift and noise;
        - "spikes": jumps of single values by 1.5 to 4 units.
    n_gaps : int, default=2
        Number of gaps (NaN) of 16 to 64 timepoints: in one channel and in all channels,
        alternately.
    noise : float, default=0.1
        Standard deviation of white noise, at least 0. That of the cycles is 0.7 to 1.3.
    random_state : int, RandomState instance or None, default=None
        Determines all random numbers. Pass an int for the same recording every time.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        recording : DataFrame of shape (n_timepoints, n_channels)
            Readings (float64), one per minute.
        is_anomaly : Series of shape (n_timepoints,)
            Whether some channel has an anomaly (bool).
        regime : Series of shape (n_timepoints,)
            Regime from 0 to ``n_regimes - 1`` (int).
        anomalies : DataFrame of shape (n_anomalies, 4)
            A row per anomaly, in order of time: ``start`` and ``stop`` (timepoints; it
            ends before ``stop``), ``kind`` and ``channel``, the name of a column.

    Raises
    ------
    ValueError
        For a recording too short for its regimes, anomalies and gaps, which are at
        least 24 timepoints apart. 400 timepoints per anomaly and gap are enough.

    See Also
    --------
    sktsrep.Windows : Cuts a recording into series.
    sktsrep.AnomalyDetector : Finds anomalies.

    Notes
    -----
    With the same ``random_state``, a recording without anomalies is the same except
    where the anomalies are, and one without either shows what the gaps hide.

    Examples
    --------
    >>> from sktsrep.datasets import make_recording
    >>> data = make_recording(2000, n_channels=2, random_state=0)
    >>> data.recording.head(2).round(2)
                         sensor_0  sensor_1
    2026-01-01 00:00:00      0.42      0.55
    2026-01-01 00:01:00      0.56      0.76
    >>> data.anomalies
       start  stop    kind   channel
    0    228   297  spikes  sensor_0
    1    782   868    late  sensor_0
    2   1705  1788    fast  sensor_1
    """
    _check_room(n_timepoints, n_regimes)
    # Three streams: neither gaps nor anomalies change the rest.
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=3)
    rng, gap_rng, anomaly_rng = (np.random.default_rng(seed) for seed in seeds)

    regime = _draw_regimes(rng, n_timepoints, n_regimes)
    amplitude = rng.permutation(np.geomspace(0.7, 1.3, n_regimes))
    cycles = amplitude[:, None, None] * _draw_cycles(rng, n_regimes, n_channels)
    phase = _draw_phase(rng, regime, n_regimes, n_channels)
    values = _wave(cycles, regime[:, None], np.arange(n_channels), phase)
    values += _draw_drift(rng, n_timepoints, n_channels)
    values += noise * rng.normal(size=values.shape)

    is_taken = np.diff(regime, prepend=regime[0]) != 0
    for number, time in enumerate(_draw_times(gap_rng, is_taken, n_gaps, _GAP)):
        channel = slice(None) if number % 2 else gap_rng.integers(n_channels)
        values[time, channel] = np.nan
    is_taken |= np.isnan(values).any(axis=1)

    columns = [f"sensor_{channel}" for channel in range(n_channels)]
    kinds = anomaly_rng.permutation(list(_FAULTS))
    anomalies = []
    for time in _draw_times(anomaly_rng, is_taken, n_anomalies, _ANOMALY):
        kind = str(kinds[len(anomalies) % len(kinds)])
        channel = anomaly_rng.integers(n_channels)
        wave = partial(_wave, cycles, regime[time], channel)
        values[time, channel] = _FAULTS[kind](
            anomaly_rng, values[time, channel], phase[time, channel], wave
        )
        anomalies.append((time.start, time.stop, kind, columns[channel]))
    index = pd.date_range("2026-01-01", periods=n_timepoints, freq="min")
    return _bunch(pd.DataFrame(values, index, columns), regime, anomalies)


def _bunch(recording, regime, anomalies):
    names = ["start", "stop", "kind", "channel"]
    anomalies = pd.DataFrame(sorted(anomalies), columns=names)
    anomalies = anomalies.astype(dict(zip(names, [int, int, str, str], strict=True)))
    is_anomaly = np.zeros(len(recording), dtype=bool)
    for start, stop in zip(anomalies["start"], anomalies["stop"], strict=True):
        is_anomaly[start:stop] = True
    return Bunch(
        recording=recording,
        is_anomaly=pd.Series(is_anomaly, recording.index, name="is_anomaly"),
        regime=pd.Series(regime, recording.index, name="regime"),
        anomalies=anomalies,
    )


def _check_room(n_timepoints, n_regimes):
    if n_timepoints < n_regimes * _SHORTEST_STAY:
        raise ValueError(
            f"n_regimes={n_regimes} needs n_timepoints of at least "
            f"{n_regimes * _SHORTEST_STAY}, got {n_timepoints}."
        )


def _draw_regimes(rng, n_timepoints, n_regimes):
    """Regime at every timepoint; they take turns."""
    n_stays = max(n_regimes, n_timepoints // _STAY) if n_regimes > 1 else 1
    ends = np.arange(1, n_stays) + rng.uniform(-0.3, 0.3, size=n_stays - 1)
    time = np.arange(n_timepoints) / n_timepoints * n_stays
    return np.searchsorted(ends, time) % n_regimes


def _draw_phase(rng, regime, n_regimes, n_channels):
    """Phase (n_timepoints, n_channels) in cycles, at a speed that wavers."""
    period = rng.permutation(np.geomspace(*_CYCLE, n_regimes))[regime]
    speed = np.exp(0.1 * _smooth_noise(rng, len(regime), scale=50)) / period
    lag = rng.uniform(0, _MOST_LAG, size=n_channels)
    return np.cumsum(speed)[:, None] - lag


def _draw_drift(rng, n_timepoints, n_channels):
    drift = _smooth_noise(rng, n_timepoints, scale=250)
    return 0.25 * drift[:, None] * rng.uniform(0.5, 1.5, size=n_channels)


def _draw_times(rng, is_taken, n_times, length_range):
    """Stretches of time, clear of each other and of what is taken."""
    is_taken = is_taken.copy()
    times = []
    for length in rng.integers(*length_range, size=n_times, endpoint=True).tolist():
        n_taken = np.cumsum(np.r_[0, is_taken])
        width = length + 2 * _MARGIN
        free = np.flatnonzero(n_taken[width:] == n_taken[:-width])
        if not len(free):
            raise ValueError(
                f"n_timepoints={len(is_taken)} leaves no room for so many anomalies, "
                "gaps and regimes."
            )
        start = int(rng.choice(free)) + _MARGIN
        times.append(slice(start, start + length))
        is_taken[times[-1]] = True
    return times


# A fault gets readings x of one channel, their phase, and what makes a wave of a phase.


def _fast(rng, x, phase, wave):
    # Whole cycles are added, so that both ends fit.
    n_more = max(1, round(rng.uniform(0.7, 1.2) * (phase[-1] - phase[0])))
    return x - wave(phase) + wave(phase + n_more * np.linspace(0, 1, len(x)))


def _flat(rng, x, phase, wave):
    return np.full_like(x, x[0])


def _late(rng, x, phase, wave):
    return x - wave(phase) + wave(phase - 0.5)


def _level(rng, x, phase, wave):
    return x + rng.choice([-1, 1]) * rng.uniform(1, 2)


def _pause(rng, x, phase, wave):
    return x - wave(phase)


def _spikes(rng, x, phase, wave):
    n_spikes = len(x) // 12
    jump = np.zeros_like(x)
    jump[rng.choice(len(x), n_spikes, replace=False)] = rng.uniform(1.5, 4, n_spikes)
    return x + rng.choice([-1, 1]) * jump


_FAULTS = {
    "fast": _fast,
    "flat": _flat,
    "late": _late,
    "level": _level,
    "pause": _pause,
    "spikes": _spikes,
}


# ----- series -----


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_timepoints": [Interval(Integral, 1, None, closed="left")],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "n_classes": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "unequal": ["boolean"],
        "missing": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_series(
    n_samples=200,
    n_timepoints=128,
    *,
    n_channels=1,
    n_classes=4,
    noise=0.2,
    unequal=False,
    missing=0.0,
    random_state=None,
):
    """Generate classes of series that differ in the shape of their cycles.

    Every series has a number of cycles, a phase, an amplitude and a warp of its own,
    whatever its class. A linear classifier of the values is therefore hardly better
    than chance, and the nearest series is often of another class.

    Parameters
    ----------
    n_samples : int, default=200
        Number of series.
    n_timepoints : int, default=128
        Length of the longest series in timepoints.
    n_channels : int, default=1
        Number of channels. They follow the same cycles, each with a shape and a lag of
        its own.
    n_classes : int, default=4
        Number of classes, of equal size up to one series.
    noise : float, default=0.2
        Standard deviation of white noise, at least 0. That of the cycles is 0.5 to 1.5.
    unequal : bool, default=False
        Whether series have between half of ``n_timepoints`` and all of them, followed
        by NaN.
    missing : float, default=0.0
        Share of missing values (NaN) in [0, 1), in stretches of some timepoints. The
        last timepoint of a series is always there.
    random_state : int, RandomState instance or None, default=None
        Determines all random numbers. Pass an int for the same series every time.

    Returns
    -------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series (float64); without the second axis for one channel.
    y : ndarray of shape (n_samples,)
        Class of every series (int), in random order.

    Notes
    -----
    Shapes of classes are random, too. For training and test series of the same classes,
    split the series of one call.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from sktsrep.datasets import make_series
    >>> X, y = make_series(random_state=0)
    >>> X.shape, y.shape
    ((200, 128), (200,))
    >>> print(f"{cross_val_score(LogisticRegression(), X, y).mean():.2f}")
    0.25
    """
    rng = check_random_state(random_state)
    y = rng.permutation(np.arange(n_samples) % n_classes)
    cycles = _draw_cycles(rng, n_classes, n_channels)
    one_each = (n_samples, 1, 1)
    warp = _smooth_noise(rng, n_samples, 1, n_timepoints, scale=n_timepoints / 8)
    speed = rng.uniform(2, 5, size=one_each) / n_timepoints * np.exp(0.2 * warp)
    lag = rng.uniform(0, _MOST_LAG, size=(n_channels, 1))
    phase = rng.uniform(size=one_each) + np.cumsum(speed, axis=-1) - lag
    X = _wave(cycles, y[:, None, None], np.arange(n_channels)[:, None], phase)
    X *= rng.uniform(0.5, 1.5, size=one_each)
    X += noise * rng.normal(size=X.shape)

    time, length = np.arange(n_timepoints), n_timepoints
    if unequal:
        shortest = (n_timepoints + 1) // 2
        length = rng.randint(shortest, n_timepoints + 1, size=one_each)
    if missing:
        level = _smooth_noise(rng, *X.shape, scale=2)
        is_missing = level < np.quantile(level, missing)
        X[is_missing & (time != length - 1)] = np.nan
    X = np.where(time < length, X, np.nan)  # (n_samples, n_channels, n_timepoints)
    return (X[:, 0] if n_channels == 1 else X), y


# ----- waves of both -----


def _draw_cycles(rng, n_shapes, n_channels):
    """One cycle of every shape and channel: a few bumps, narrow or wide.

    Channels share places, widths and directions of the bumps; their heights differ.
    """
    shape = (n_shapes, 1, _N_BUMPS, 1)
    place = 2 * np.pi * rng.uniform(size=shape)
    sharpness = np.exp(rng.uniform(np.log(2), np.log(16), size=shape))
    height = np.exp(0.8 * rng.normal(size=(n_shapes, n_channels, _N_BUMPS, 1)))
    height *= rng.normal(size=shape)
    angle = np.linspace(0, 2 * np.pi, _N_STEPS, endpoint=False) - place
    cycles = np.sum(height * np.exp(sharpness * (np.cos(angle) - 1)), axis=2)
    cycles -= cycles.mean(axis=-1, keepdims=True)
    return cycles / cycles.std(axis=-1, keepdims=True)  # (shapes, channels, steps)


def _wave(cycles, shape, channel, phase):
    """Look up cycles at phases, which are counted in cycles."""
    return cycles[shape, channel, np.floor(phase * _N_STEPS).astype(int) % _N_STEPS]


def _smooth_noise(rng, *shape, scale):
    """Noise of about unit variance that varies slowly along the last axis."""
    noise = gaussian_filter1d(rng.normal(size=shape), scale, axis=-1)
    return noise * np.sqrt(2 * np.sqrt(np.pi) * scale)
