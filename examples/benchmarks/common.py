"""What the benchmarks share: data sets, files of results, the linear probe."""

import json

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Those of NC-VQVAE's table that are at hand.
UCR_DATASETS = [
    "SonyAIBORobotSurface1",
    "SonyAIBORobotSurface2",
    "Symbols",
    "Mallat",
    "TwoPatterns",
    "ECG5000",
    "Wafer",
    "ShapesAll",
    "FordA",
    "FordB",
    "ElectricDevices",
]


def load(path):
    """Read ``X_train, y_train, X_test, y_test`` from an ``.npz`` file."""
    with np.load(path) as file:
        return [file[key] for key in ("X_train", "y_train", "X_test", "y_test")]


def read_rows(path):
    """Read the results so far, one dictionary per line of the file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def append_row(path, row):
    """Print and write a result at once, so that stopping loses nothing."""
    line = json.dumps(row)
    print(line, flush=True)
    with path.open("a") as file:
        file.write(line + "\n")


def ridge_probe():
    """Make the linear probe; its penalty is chosen on the data that it is fitted to."""
    ridge = RidgeClassifierCV(alphas=np.logspace(-3, 5, 17))
    return make_pipeline(StandardScaler(), ridge)


def standardized_error(tokenizer, X_train, X):
    """Compute the reconstruction error in units of the variance of ``X_train``."""
    return float(np.square(tokenizer.reconstruct(X) - X).mean() / X_train.var())
