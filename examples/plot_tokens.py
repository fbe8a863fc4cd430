"""
==================
Series as tokens
==================

A tokenizer turns every series of GunPoint into a row of tokens, the indices of codes in
a codebook. Here the codebook has 16 codes.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from sktsrep import SSLVQTokenizer
from sktsrep.datasets import load_ucr
from sktsrep.metrics import mutual_information
from sktsrep.quantizers import EMACodebook

X_train, _ = load_ucr("GunPoint", "train")
X_test, y_test = load_ucr("GunPoint", "test")
tokenizer = SSLVQTokenizer(
    quantizer=EMACodebook(16), max_epochs=200, random_state=0
).fit(X_train)
tokens = tokenizer.encode(X_test)  # (150, n_tokens)

# %%
# Codes have no order of their own. The colors follow the first principal component of
# the codebook, so that similar codes have similar colors.

rank = PCA(1).fit_transform(tokenizer.codebook_)[:, 0].argsort().argsort()
order = np.argsort(y_test, kind="stable")
n_first = np.count_nonzero(y_test == "1")

# %%
# Top: the test series. Middle: their tokens, a row per series. Bottom: how many bits a
# token at this place tells about the class (bias-corrected), of one bit at most.
# Tokens tell the classes apart while the hand rises and while it falls, and hardly in
# between.

figure, axes = plt.subplots(
    3, 1, figsize=(7, 7), height_ratios=[1, 1.6, 0.8], sharex=True, layout="constrained"
)
SECONDS = 5
time = np.linspace(0, SECONDS, X_test.shape[1])
edges = np.linspace(0, SECONDS, tokens.shape[1] + 1)
for label, color, dashes in (("1", "#0072B2", "-"), ("2", "#D55E00", "--")):
    median = np.median(X_test[y_test == label], axis=0)
    axes[0].plot(time, median, dashes, color=color, label=f"class {label}, median")
axes[0].set_ylabel("height")
axes[0].legend(loc="upper right")
rows = np.arange(len(tokens) + 1)
mesh = axes[1].pcolormesh(edges, rows, rank[tokens[order]], cmap="viridis")
axes[1].axhline(n_first, color="white", linewidth=2)
axes[1].set_yticks([n_first / 2, (n_first + len(tokens)) / 2], ["class 1", "class 2"])
axes[1].invert_yaxis()
figure.colorbar(mesh, ax=axes[1], label="code (neighbors are similar)")
bits = [
    mutual_information(column, y_test, base=2, correction="miller_madow")
    for column in tokens.T
]
axes[2].stairs(bits, edges, fill=True, color="0.5")
axes[2].set(xlabel="time (s)", ylabel="bits per token", ylim=(0, 1))
axes[2].margins(x=0)
plt.show()
