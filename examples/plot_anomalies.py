"""
=====================
Faults in a recording
=====================

A simulated recording of two channels has two regimes, missing values and three faults.
A detector learns from its windows, without being told where the faults are.
"""

import matplotlib.pyplot as plt

from sktsrep import AnomalyDetector, SSLVQTokenizer, Windows
from sktsrep.datasets import make_recording
from sktsrep.plotting import AnomalyDisplay

data = make_recording(6000, 2, random_state=2)
print(data.anomalies)

# %%
# ``contamination`` is the share of timepoints that may be called unusual.

windows = Windows(96, step=32).fit(data.recording)
tokenizer = SSLVQTokenizer(max_epochs=50, random_state=0)
detector = AnomalyDetector(tokenizer, contamination=0.02, random_state=0)
detector.fit(windows.transform(data.recording))

# %%
# Shaded stretches are what the detector calls unusual; black bars at the top are the
# faults. It finds the spikes and the late cycles, and misses the fault with more
# cycles.

display = AnomalyDisplay.from_estimator(detector, data.recording, windows=windows)
display.plot()
for ax in display.ax_[:-1, 0]:
    is_here = data.anomalies["channel"] == ax.get_ylabel()
    for fault in data.anomalies[is_here].itertuples():
        time = data.recording.index[[fault.start, fault.stop - 1]]
        ax.axvspan(*time, ymin=0.93, color="black", linewidth=0)
        ax.text(time[0], 1.02, fault.kind, transform=ax.get_xaxis_transform())
plt.show()
