"""What the benchmarks share: data sets, files of results, the untrained network."""

import json

import numpy as np

# A learning rate that moves no weight: the same network. A tokenizer's codebook comes
# from the data, by k-means and the moving averages of one epoch.
UNTRAINED = {"lr": 1e-12, "max_epochs": 1}


def load(path):
    """``X_train, y_train, X_test, y_test`` of an ``.npz`` file."""
    with np.load(path) as file:
        return [file[key] for key in ("X_train", "y_train", "X_test", "y_test")]


def read_rows(path):
    """The results so far, one dictionary a line of the file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def append_row(path, row):
    """Add a result at once, so that stopping loses nothing."""
    print(row, flush=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
