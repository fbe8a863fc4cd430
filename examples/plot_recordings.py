"""A recording with gaps: windows, embeddings, unusual times.

A simulated recording of two channels has two regimes, missing values and faults. It is
cut into windows, from which a tokenizer learns. What it finds in the windows goes back
to the time axis of the recording. Writes ``recordings.png`` next to this file.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from sktsrep import AnomalyDetector, SSLVQTokenizer, Windows
from sktsrep.datasets import make_recording

LENGTH = 96


def main():
    """Fit, look into the windows, and draw."""
    data = make_recording(6000, 2, random_state=2)
    recording = data.recording  # (6000, 2), NaN in gaps
    windows = Windows(LENGTH, step=LENGTH // 3).fit(recording)
    X = windows.transform(recording)  # (n_windows, 2, LENGTH), NaN where missing
    tokenizer = SSLVQTokenizer(max_epochs=50, random_state=0)
    detector = AnomalyDetector(tokenizer, random_state=0).fit(X)

    oddness = windows.inverse_scores(-detector.score_timepoints(X), recording)
    denoised = detector.estimator_.reconstruct(X)
    denoised = windows.inverse_transform(denoised, recording)
    embeddings = PCA(2, random_state=0).fit_transform(detector.estimator_.transform(X))
    middle = windows.window_index(recording)["start"] + LENGTH // 2
    draw(data, oddness, denoised, embeddings, data.regime.iloc[middle])


def draw(data, oddness, denoised, embeddings, regime):
    """Recording and oddness over time, embeddings, and a part of the recording."""
    recording = data.recording
    figure, axes = plt.subplot_mosaic(
        [["recording", "recording"], ["oddness", "oddness"], ["embeddings", "part"]],
        figsize=(10, 8),
        height_ratios=[1, 1, 1.6],
        layout="constrained",
    )
    axes["recording"].plot(recording, linewidth=0.5, label=recording.columns)
    axes["recording"].set(title="Recording, faults shaded", ylabel="reading")
    axes["recording"].legend(loc="lower left", ncols=2)
    axes["oddness"].plot(oddness, color="black", linewidth=0.8)
    axes["oddness"].set(
        title="How unusual, by reconstruction and by nearest windows",
        ylabel="nats",
    )
    for name in ("recording", "oddness"):
        axes[name].set_xlim(recording.index[0], recording.index[-1])
        for start, stop in data.anomalies[["start", "stop"]].to_numpy():
            time = recording.index[start:stop]
            axes[name].axvspan(time[0], time[-1], color="tab:red", alpha=0.3)
    for number in range(2):
        points = embeddings[regime == number]
        axes["embeddings"].scatter(*points.T, s=12, label=number)
    axes["embeddings"].set(
        title="Embeddings of the windows",
        xlabel="first principal component",
        ylabel="second principal component",
    )
    axes["embeddings"].legend(title="regime")
    gap = np.flatnonzero(recording.isna().all(axis=1))
    near = slice(gap[0] - 80, gap[-1] + 80)
    axes["part"].plot(recording.iloc[near], linewidth=0.8, label=recording.columns)
    axes["part"].set_prop_cycle(None)
    axes["part"].plot(denoised.iloc[near], linewidth=2.5, alpha=0.6)
    axes["part"].set(title="Around a gap: readings, decoded (wide)", ylabel="reading")
    axes["part"].tick_params(axis="x", rotation=30)
    axes["part"].legend()
    figure.savefig(Path(__file__).with_name("recordings.png"), dpi=110)


if __name__ == "__main__":
    main()
