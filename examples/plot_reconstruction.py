"""
================
What tokens keep
================

A tokenizer with one, two and eight codebooks in turn reconstructs unseen outlines of
leaves (OSULeaf: 200 training and 242 test series). Every codebook describes what the
ones before have left over.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktsrep import SSLVQTokenizer
from sktsrep.datasets import load_ucr
from sktsrep.quantizers import ResidualVQ

X_train, _ = load_ucr("OSULeaf", "train")
X_test, _ = load_ucr("OSULeaf", "test")
DEPTHS = [1, 2, 8]

# %%
# The error is the mean squared error of all test series, as a share of their variance.
# One codebook keeps the large lobes; eight keep more of the outline, but still round
# off sharp corners.

figure, axes = plt.subplots(
    len(DEPTHS), 1, figsize=(7, 6), sharex=True, sharey=True, layout="constrained"
)
for ax, depth in zip(axes, DEPTHS, strict=True):
    tokenizer = SSLVQTokenizer(
        quantizer=ResidualVQ(depth), max_epochs=20, random_state=0
    ).fit(X_train)
    reconstructed = tokenizer.reconstruct(X_test)
    error = np.mean((X_test - reconstructed) ** 2) / X_test.var()
    ax.plot(X_test[0], color="black", linewidth=1.5, label="test series")
    ax.plot(reconstructed[0], "--", color="#D55E00", label="reconstruction")
    n_tokens = np.prod(tokenizer.token_shape_)
    ax.set_title(
        f"codebooks: {depth}, tokens: {n_tokens}, error on all test series: {error:.1%}"
    )
    ax.set_ylabel("radius (std.)")
axes[-1].set_xlabel("point of the outline")
axes[-1].margins(x=0)
figure.legend(*ax.get_legend_handles_labels(), ncols=2, loc="outside lower center")
plt.show()
