"""
====================
Search in a pipeline
====================

Encoders are scikit-learn estimators, so a grid search over a pipeline can choose the
self-supervised objective and the views. Data are 80 noisy synthetic series of four
classes that differ in the shape of their cycles.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import SSLEncoder
from sktsrep.datasets import make_series

X, y = make_series(480, 96, noise=1.0, random_state=0)
X_train, y_train, X_test, y_test = X[:80], y[:80], X[80:], y[80:]

# %%
# Every cell is the mean accuracy of three folds of the training part. The test part is
# used once, for the pipeline that the search chose.

pipe = make_pipeline(
    SSLEncoder(max_epochs=15, random_state=0), StandardScaler(), RidgeClassifierCV()
)
objectives = ["vibcreg", "simclr"]
views = ["shift", "crop", "warp"]
grid = {"sslencoder__ssl": objectives, "sslencoder__augmentations": views}
search = GridSearchCV(pipe, grid, cv=3).fit(X_train, y_train)
print("chosen:", search.best_params_)
print(f"its test accuracy: {search.score(X_test, y_test):.3f}")
untrained = pipe.set_params(sslencoder__max_epochs=0).fit(X_train, y_train)
print(f"test accuracy of an untrained encoder: {untrained.score(X_test, y_test):.3f}")

# %%
# Mean and standard deviation of the folds. Differences between cells that are smaller
# than the deviations mean little.

shape = len(views), len(objectives)  # the order of cv_results_
table = search.cv_results_["mean_test_score"].reshape(shape)
deviation = search.cv_results_["std_test_score"].reshape(shape)
figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
image = ax.imshow(table, cmap="cividis", aspect="auto")
for (row, column), score in np.ndenumerate(table):
    color = "white" if score < table.mean() else "black"
    text = f"{score:.2f} ± {deviation[row, column]:.2f}"
    ax.text(column, row, text, ha="center", color=color)
ax.set_xticks(range(len(objectives)), objectives)
ax.set_yticks(range(len(views)), views)
ax.set(xlabel="objective", ylabel="views")
figure.colorbar(image, label="cross-validated accuracy")
plt.show()
