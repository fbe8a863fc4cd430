"""A recording with gaps: windows, embeddings, unusual times.

A simulated recording of two channels has two regimes, missing values and two faults. It
is cut into windows, from which a tokenizer learns. What it finds in the windows goes
back to the time axis of the recording. Writes ``recordings.png`` next to this file.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from sktsrep import AnomalyDetector, SSLVQTokenizer, Windows

N_TIMEPOINTS, LENGTH = 6000, 96
GAPS = [slice(1300, 1340), slice(4100, 4150)]
FAULTS = [slice(2350, 2380), slice(5000, 5060)]


def simulate(seed=0):
    """Two channels, one behind the other, whose rhythm changes every 1500 minutes."""
    rng = np.random.default_rng(seed)
    time = np.arange(N_TIMEPOINTS)
    is_fast = (time // 1500) % 2 == 1
    phase = 2 * np.pi * np.cumsum(np.where(is_fast, 1 / 16, 1 / 40))
    channels = [np.sin(phase), np.sin(phase - 1) ** 3]
    values = np.stack(channels, axis=1) + 0.1 * rng.normal(size=(N_TIMEPOINTS, 2))
    values[FAULTS[0], 0] += 0.8  # out of its place, but not out of its range
    values[FAULTS[1], 1] = values[FAULTS[1].start, 1]  # stuck
    complete = pd.DataFrame(values, columns=["pump", "valve"])
    complete.index = pd.date_range("2026-01-01", periods=N_TIMEPOINTS, freq="min")
    recording = complete.copy()
    for gap in GAPS:
        recording.iloc[gap] = np.nan
    return recording, is_fast


def main():
    """Fit, look into the windows, and draw."""
    recording, is_fast = simulate()
    windows = Windows(LENGTH, step=LENGTH // 3).fit(recording)
    X = windows.transform(recording)  # (n_windows, 2, LENGTH), NaN where missing
    tokenizer = SSLVQTokenizer(max_epochs=50, random_state=0)
    detector = AnomalyDetector(tokenizer, random_state=0).fit(X)

    oddness = windows.inverse_scores(-detector.score_timepoints(X), recording)
    denoised = detector.estimator_.reconstruct(X)
    denoised = windows.inverse_transform(denoised, recording)
    embeddings = PCA(2, random_state=0).fit_transform(detector.estimator_.transform(X))
    regime = is_fast[windows.window_index(recording)["start"] + LENGTH // 2]
    draw(recording, oddness, denoised, embeddings, regime)


def draw(recording, oddness, denoised, embeddings, regime):
    """Recording and oddness over time, embeddings, and a part of the recording."""
    figure, axes = plt.subplot_mosaic(
        [["recording", "recording"], ["oddness", "oddness"], ["embeddings", "part"]],
        figsize=(10, 8),
        height_ratios=[1, 1, 1.6],
        layout="constrained",
    )
    axes["recording"].plot(recording, linewidth=0.5, label=recording.columns)
    axes["recording"].set(title="Recording, faults shaded", ylabel="reading")
    axes["recording"].legend(loc="lower right")
    axes["oddness"].plot(oddness, color="black", linewidth=0.8)
    axes["oddness"].set(
        title="How unusual, by reconstruction and by nearest windows",
        ylabel="nats",
    )
    for name in ("recording", "oddness"):
        axes[name].set_xlim(recording.index[0], recording.index[-1])
        for fault in FAULTS:
            time = recording.index[fault]
            axes[name].axvspan(time[0], time[-1], color="tab:red", alpha=0.3)
    for fast, label in ((False, "slow"), (True, "fast")):
        points = embeddings[regime == fast]
        axes["embeddings"].scatter(*points.T, s=12, label=label)
    axes["embeddings"].set(
        title="Embeddings of the windows",
        xlabel="first principal component",
        ylabel="second principal component",
    )
    axes["embeddings"].legend(title="rhythm")
    near = slice(GAPS[0].start - 80, GAPS[0].stop + 80)
    axes["part"].plot(recording.iloc[near], linewidth=0.8, label=recording.columns)
    axes["part"].set_prop_cycle(None)
    axes["part"].plot(denoised.iloc[near], linewidth=2.5, alpha=0.6)
    axes["part"].set(title="Around a gap: readings, decoded (wide)", ylabel="reading")
    axes["part"].tick_params(axis="x", rotation=30)
    axes["part"].legend(loc="lower right")
    figure.savefig(Path(__file__).with_name("recordings.png"), dpi=110)


if __name__ == "__main__":
    main()
