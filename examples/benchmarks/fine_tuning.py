"""Classifiers that start from the weights of the package, of the set, or from none.

Default `FineTunedClassifier`, official splits, series resampled to 256 timepoints and
standardized one by one. Its encoder is `SSLEncoder.from_pretrained`, an `SSLEncoder`
that is trained on the set's training part first (the default), or one that is not
trained, whose learning rate is then that of the head. The weights of the package have
seen the training parts of archive sets, without labels, as the second one does.

    python examples/benchmarks/fine_tuning.py --data DIR --out FILE

Results are one JSON line per set and start; those in the file are not repeated.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import append_row, load, read_rows
from scipy.stats import zscore
from sklearn.frozen import FrozenEstimator

from sktsrep import FineTunedClassifier, SSLEncoder

# Not those of the eleven sets that other tables report.
DATASETS = ["ArrowHead", "TwoLeadECG", "Lightning7", "Ham", "Car", "GunPointAgeSpan"]
DATASETS += ["OSULeaf"]

N_TIMEPOINTS = 256  # within the lengths that the weights are of


def starts():
    """Make the classifiers, by what they start from."""
    weights = SSLEncoder.from_pretrained(n_timepoints=N_TIMEPOINTS, device="cpu")
    return {
        "weights of the package": {"encoder": FrozenEstimator(weights)},
        "trained on the set": {},
        "untrained": {"encoder": SSLEncoder(max_epochs=0), "backbone_rate": 1.0},
    }


def prepared(X):
    """Resample series by straight lines, and give each mean 0 and deviation 1."""
    times = np.linspace(0, X.shape[1] - 1, N_TIMEPOINTS)
    lines = [np.interp(times, np.arange(X.shape[1]), x) for x in X]
    return zscore(lines, axis=1)


def run(path, parameters, seed):
    """Fit on one set; give the test accuracy and the seconds of the fit."""
    X_train, y_train, X_test, y_test = load(path)
    classifier = FineTunedClassifier(**parameters, random_state=seed, device="cpu")
    begin = time.perf_counter()
    classifier.fit(prepared(X_train), y_train)
    seconds = time.perf_counter() - begin
    return {"accuracy": classifier.score(prepared(X_test), y_test), "seconds": seconds}


def table(out):
    """Print accuracies by set, and means."""
    results = pd.DataFrame(read_rows(out))
    by_set = results.pivot_table("accuracy", "dataset", "start", sort=False)
    by_set.loc["mean"] = by_set.mean()
    by_set.loc["seconds"] = results.groupby("start")["seconds"].mean()
    print(by_set.round(3).to_markdown())


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("fine_tuning.jsonl"))
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {
        (row["dataset"], row["start"], row["seed"]) for row in read_rows(options.out)
    }
    for name, (start, parameters) in product(options.datasets, starts().items()):
        key = {"dataset": name, "start": start, "seed": options.seed}
        if tuple(key.values()) not in done:
            path = options.data / "ucr" / f"{name}.npz"
            append_row(options.out, key | run(path, parameters, options.seed))
    table(options.out)


if __name__ == "__main__":
    main()
