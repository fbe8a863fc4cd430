"""A recording with gaps: windows, unusual times, embeddings, gaps that are filled.

A simulated recording of two channels has two regimes, missing values and faults. It is
cut into windows, from which a tokenizer and a Gaussian process learn. What they find in
the windows goes back to the time axis. Writes ``recordings.png`` next to this file.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from sktsrep import AnomalyDetector, GaussianImputer, SSLVQTokenizer, Windows
from sktsrep.datasets import make_recording
from sktsrep.plotting import AnomalyDisplay

LENGTH = 96


def main():
    """Fit, look into the windows, and draw."""
    data = make_recording(6000, 2, random_state=2)
    recording = data.recording  # (6000, 2), NaN in gaps
    windows = Windows(LENGTH, step=LENGTH // 3).fit(recording)
    X = windows.transform(recording)  # (n_windows, 2, LENGTH), NaN where missing
    tokenizer = SSLVQTokenizer(max_epochs=50, random_state=0)
    detector = AnomalyDetector(tokenizer, contamination=0.02, random_state=0).fit(X)
    complete = windows.fill_gaps(recording, GaussianImputer().fit(X).impute)

    _, axes = plt.subplot_mosaic(
        [["unusual", "unusual"], ["embeddings", "gap"]],
        figsize=(10, 8.5),
        height_ratios=[1.4, 1],
        layout="constrained",
    )
    display = AnomalyDisplay.from_estimator(detector, recording, windows=windows)
    display.plot(axes["unusual"])
    mark_faults(display.ax_[0, 0], data)
    embeddings = PCA(2, random_state=0).fit_transform(detector.estimator_.transform(X))
    middle = windows.window_index(recording)["start"] + LENGTH // 2
    draw_embeddings(axes["embeddings"], embeddings, data.regime.iloc[middle])
    hidden = make_recording(6000, 2, n_gaps=0, random_state=2).recording
    draw_gap(axes["gap"], recording, complete, hidden)
    display.figure_.savefig(Path(__file__).with_name("recordings.png"), dpi=110)


def mark_faults(ax, data):
    """Draw a bar above every fault of the simulation."""
    for fault in data.anomalies.itertuples():
        time = data.recording.index[[fault.start, fault.stop - 1]]
        ax.axvspan(*time, ymin=0.94, color="black", linewidth=0)
    ax.set_title("Shaded: found by the detector. Black bars: faults", loc="left")


def draw_embeddings(ax, embeddings, regime):
    """Draw the windows' embeddings, colored by the regime in their middle."""
    for number in range(2):
        ax.scatter(*embeddings[regime == number].T, s=12, label=number)
    ax.set(
        title="Embeddings of the windows",
        xlabel="first principal component",
        ylabel="second principal component",
    )
    ax.legend(title="regime")


def draw_gap(ax, recording, complete, hidden):
    """Draw what surrounds the gap of all channels, what fills it, and what it hides."""
    gap = np.flatnonzero(recording.isna().all(axis=1))
    near = slice(gap[0] - 80, gap[-1] + 80)
    ax.plot(hidden.iloc[near], linewidth=0.8, label=recording.columns)
    ax.set_prop_cycle(None)
    ax.plot(complete.where(recording.isna()).iloc[near], linewidth=3)
    ax.axvspan(*recording.index[gap[[0, -1]]], color="lightgray", zorder=0)
    ax.set(title="A gap, what fills it (wide), what it hides", ylabel="reading")
    ax.tick_params(axis="x", rotation=30)
    ax.margins(y=0.2)
    ax.legend(loc="upper center", ncols=2)


if __name__ == "__main__":
    main()
