"""Classifiers that start from the weights of the package, of the set, or from none.

Default `FineTunedClassifier`, official splits, series standardized one by one. Its
encoder is `SSLEncoder.from_pretrained`, an `SSLEncoder` that is trained on the set's
training part first (the default), or one that is not trained. The weights of the
package have seen the training parts of archive sets, without labels, as the second row
does.

    python examples/benchmarks/fine_tuning.py --data DIR --out FILE

Results are one JSON line per set and start; those in the file are not repeated.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch
from common import append_row, load, read_rows
from scipy.stats import zscore
from sklearn.frozen import FrozenEstimator

from sktsrep import FineTunedClassifier, SSLEncoder

# Not those of the eleven sets that other tables report.
DATASETS = [
    "ArrowHead",
    "TwoLeadECG",
    "Lightning7",
    "Ham",
    "Car",
    "GunPointAgeSpan",
    "OSULeaf",
    "SwedishLeaf",
]


def starts(n_timepoints):
    """Make every encoder to start from, by name."""
    pretrained = SSLEncoder.from_pretrained(n_timepoints=n_timepoints, device="cpu")
    return {
        "from_pretrained": FrozenEstimator(pretrained),
        "trained on the set": None,
        "untrained": SSLEncoder(max_epochs=0),
    }


def run(path, start, seed):
    """Fit on one set; give the test accuracy and the seconds of the fit."""
    X_train, y_train, X_test, y_test = load(path)
    X_train, X_test = zscore(X_train, axis=1), zscore(X_test, axis=1)
    encoder = starts(X_train.shape[1])[start]
    classifier = FineTunedClassifier(encoder, random_state=seed, device="cpu")
    begin = time.perf_counter()
    classifier.fit(X_train, y_train)
    seconds = time.perf_counter() - begin
    return {"accuracy": classifier.score(X_test, y_test), "seconds": seconds}


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
    for name in options.datasets:
        for start in starts(256):
            key = {"dataset": name, "start": start, "seed": options.seed}
            if tuple(key.values()) not in done:
                path = options.data / "ucr" / f"{name}.npz"
                append_row(options.out, key | run(path, start, options.seed))
    table(options.out)


if __name__ == "__main__":
    main()
