"""
===================
Gaps in a recording
===================

A simulated recording of two channels loses values: first of one channel, then of both.
``GaussianImputer`` fills them in from the values around and from the other channel, and
``Windows`` brings this back to the recording's time axis.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktsrep import GaussianImputer, Windows
from sktsrep.datasets import make_recording

# %%
# The same seed without gaps shows what they hide.

settings = {"n_timepoints": 6000, "n_channels": 2, "n_anomalies": 0, "random_state": 2}
recording = make_recording(n_gaps=2, **settings).recording
hidden = make_recording(n_gaps=0, **settings).recording

windows = Windows(96, step=32).fit(recording)
imputer = GaussianImputer().fit(windows.transform(recording))
complete = windows.fill_gaps(recording, imputer.impute)
lines = recording.interpolate()

missing = recording.isna().to_numpy()
for name, filled in (("GaussianImputer", complete), ("straight lines", lines)):
    error = (filled - hidden).to_numpy()[missing]
    print(f"{name:16} root mean squared error {np.sqrt(np.mean(error**2)):.2f}")

# %%
# Left: with the other channel known, what is filled in follows the hidden values.
# Right: with both channels missing, it still finds the next valley, a little too early
# and too shallow. Gray shades are gaps; the black lines in them were hidden.

in_one, in_both = missing.any(axis=1) & ~missing.all(axis=1), missing.all(axis=1)
figure, axes = plt.subplots(
    2, 2, figsize=(10, 5), sharex="col", sharey=True, layout="constrained"
)
for column, gap in zip(axes.T, (in_one, in_both), strict=True):
    first, last = np.flatnonzero(gap)[[0, -1]]
    near = np.arange(first - 60, last + 60)
    for channel, ax in enumerate(column):
        lost = missing[near, channel]
        if lost.any():
            ax.axvspan(first, last, color="0.92")
        ax.plot(near, hidden.iloc[near, channel], color="black", linewidth=1)
        for filled, style in ((lines, "0.5"), (complete, "#D55E00")):
            values = np.where(lost, filled.iloc[near, channel], np.nan)
            ax.plot(near, values, color=style, linewidth=2.5)
        ax.margins(x=0)
axes[0, 0].set_title("one channel missing")
axes[0, 1].set_title("both channels missing")
for ax, name in zip(axes[:, 0], recording.columns, strict=True):
    ax.set_ylabel(name)
for ax in axes[1]:
    ax.set_xlabel("time (minutes)")
figure.legend(
    axes[0, 1].lines,
    ["reading", "straight line", "GaussianImputer"],
    ncols=3,
    loc="outside lower center",
)
plt.show()
