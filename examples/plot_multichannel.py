"""
================
Several channels
================

BasicMotions has 40 training and 40 test series of six channels, acceleration and
rotation on three axes of a smart watch, ten readings per second. One tokenizer
compresses and reconstructs all channels together.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktsrep import SSLVQTokenizer
from sktsrep.datasets import load_ucr

SAMPLING_RATE = 10
CHANNELS = [f"{sensor} {axis}" for sensor in ("acc.", "gyro.") for axis in "xyz"]
X_train, y_train = load_ucr("BasicMotions", "train")  # (40, 6, 100)
X_test, y_test = load_ucr("BasicMotions", "test")
tokenizer = SSLVQTokenizer(max_epochs=200, random_state=0).fit(X_train)
reconstructed = tokenizer.reconstruct(X_test)

# %%
# The first unseen series of each activity. The rhythms of running and walking come
# back in all channels. Tokens blur the jerks of badminton and of the beginning of
# standing.

activities = np.unique(y_test)
figure, axes = plt.subplots(
    6, 4, figsize=(9, 7), sharex=True, sharey="row", layout="constrained"
)
time = np.arange(X_test.shape[-1]) / SAMPLING_RATE
for column, activity in zip(axes.T, activities, strict=True):
    row = np.flatnonzero(y_test == activity)[0]
    for ax, x, decoded in zip(column, X_test[row], reconstructed[row], strict=True):
        ax.plot(time, x, color="black", linewidth=1)
        ax.plot(time, decoded, "--", color="#D55E00", linewidth=1.2)
        ax.margins(x=0)
    column[0].set_title(activity)
    column[-1].set_xlabel("time (s)")
for ax, name in zip(axes[:, 0], CHANNELS, strict=True):
    ax.set_ylabel(name)
figure.align_ylabels()
figure.legend(
    axes[0, 0].lines, ["series", "reconstruction"], ncols=2, loc="outside lower center"
)
plt.show()
