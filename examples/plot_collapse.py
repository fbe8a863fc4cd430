"""
==================
Watch for collapse
==================

A self-supervised loss that only asks views to agree is best served by embeddings that
are all the same. The loss does not show how far a fit goes in this direction. The
effective rank, the number of directions in which embeddings vary, does.
"""

import matplotlib.pyplot as plt

from sktsrep import SSLEncoder
from sktsrep.datasets import make_series
from sktsrep.objectives import VICReg

X, _ = make_series(300, random_state=0)

# %%
# VICReg has terms that keep embeddings apart: variance and covariance. Without them,
# only the agreement of views is left.

objectives = {
    "VICReg": VICReg(),
    "agreement of views only": VICReg(variance_weight=0.0, covariance_weight=0.0),
}
histories = {
    name: SSLEncoder(objective, max_epochs=25, random_state=0).fit(X).history_
    for name, objective in objectives.items()
}

# %%
# Agreement alone reaches a loss a thousand times as small, and loses more than half of
# the directions that it began with. Rank falls in both fits at first; with VICReg it
# settles at twice the value. A fit whose embeddings collapse altogether warns.

figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
columns = {"train_loss": "loss (log scale)", "effective_rank": "effective rank"}
styles = [("#0072B2", "-"), ("#D55E00", "--")]
for ax, (column, label) in zip(axes, columns.items(), strict=True):
    for (name, history), (color, dashes) in zip(histories.items(), styles, strict=True):
        epochs = range(1, len(history) + 1)
        ax.plot(epochs, history[column], dashes, color=color, label=name, linewidth=2)
    ax.set(xlabel="epoch", ylabel=label)
axes[0].set_yscale("log")
axes[1].set_ylim(bottom=0)
figure.legend(*ax.get_legend_handles_labels(), ncols=2, loc="outside lower center")
plt.show()
