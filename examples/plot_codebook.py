"""
====================
What codes stand for
====================

A codebook of 12 codes is learned from windows of a simulated sensor. Each panel has the
stretches of series whose token is this code.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktsrep import SSLVQTokenizer, Windows
from sktsrep.datasets import make_recording
from sktsrep.quantizers import EMACodebook

N_CODES = 12
data = make_recording(6000, 1, n_anomalies=0, n_gaps=0, random_state=0)
X = Windows(128, step=64).fit_transform(data.recording)
X = X.reshape(len(X), -1)  # one channel
tokenizer = SSLVQTokenizer(
    quantizer=EMACodebook(N_CODES), max_tokens=16, max_epochs=60, random_state=0
).fit(X)
tokens = tokenizer.encode(X)

# %%
# The stretch of a token is its share of the window and half as much on either side. The
# thick line is the mean. Codes stand for shapes, such as a valley (1), a rise (4) or a
# peak (9), with a good deal of spread around each.

n_tokens = tokens.shape[1]
width = 2 * X.shape[1] // n_tokens
centers = np.linspace(0, X.shape[1] - 1, n_tokens).round().astype(int)
figure, axes = plt.subplots(
    3, 4, figsize=(8, 5.5), sharex=True, sharey=True, layout="constrained"
)
time = np.arange(width) - width // 2
for code, ax in enumerate(axes.flat):
    stretches = [
        X[row, start : start + width]
        for row, place in np.argwhere(tokens == code)
        if 0 <= (start := centers[place] - width // 2) <= X.shape[1] - width
    ]
    ax.plot(time, np.transpose(stretches), color="0.6", linewidth=0.3)
    ax.plot(time, np.mean(stretches, axis=0), color="#D55E00", linewidth=2.5)
    ax.set_title(f"code {code} (n = {len(stretches)})", fontsize="medium")
figure.supxlabel("minutes from the center of the token")
figure.supylabel("reading")
plt.show()
