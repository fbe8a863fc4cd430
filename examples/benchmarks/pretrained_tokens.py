"""Tokens of sets that a pre-trained tokenizer has never seen, against training on them.

The tokenizer was trained as the shipped one, without a third of the sets and their
relatives (``pretrain.py --model tokenizer --fold 0``), and meets only sets of that
third. Beside it stand the same after 200 steps on each set, and the default
``SSLVQTokenizer``, trained on each set. Series have their own lengths and are
standardized one by one; splits are the official ones, with at most 600 test series. The
error is the mean squared one of reconstructed test series, whose variance is 1; ridge
regression takes the features of tokens, or all.

    python examples/benchmarks/pretrained_tokens.py --data DIR --weights FILE

Results are one JSON line per set and method in ``--out``; those that are there are not
repeated. ``DIR`` holds ``ucr/*.npz``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import append_row, load, read_rows, ridge_probe
from scipy.stats import zscore

import sktsrep
from sktsrep import SSLVQTokenizer
from sktsrep.metrics import discriminative_score, roughness_ratio

DATASETS = ["Trace", "UMD", "MiddlePhalanxTW", "DiatomSizeReduction"]
MOST_SERIES = 600

# Of the training that goes on from the weights.
N_STEPS = 200
BATCH_SIZE = 64


def trained(X, weights):
    """Train the default tokenizer on a set."""
    return SSLVQTokenizer(random_state=0, device="cpu").fit(X)


def pretrained(X, weights):
    """Take the weights for series of another length."""
    return sktsrep.load(weights)._of_length(X.shape[1])


def adapted(X, weights):
    """Go on from the weights for some steps on the set."""
    max_epochs = max(1, round(N_STEPS * BATCH_SIZE / len(X)))
    tokenizer = pretrained(X, weights).set_params(
        warm_start=True, max_epochs=max_epochs, batch_size=BATCH_SIZE, lr=3e-4
    )
    return tokenizer.fit(X)


METHODS = {
    "pre-trained on other sets": pretrained,
    "and adapted": adapted,
    "trained on the set": trained,
}


def scores(tokenizer, X_train, y_train, X_test, y_test):
    """Judge reconstructions and features."""
    series = tokenizer.reconstruct(X_test)
    half = len(X_test) // 2
    found = {
        "error": np.square(series - X_test).mean(),
        "discriminative": discriminative_score(X_test[:half], series[half : 2 * half]),
        "roughness": roughness_ratio(X_test, series),
    }
    for level in ("tokens", "all"):
        tokenizer.set_params(level=level)
        Z_train, Z_test = (tokenizer.transform(X) for X in (X_train, X_test))
        found[level] = ridge_probe().fit(Z_train, y_train).score(Z_test, y_test)
    return {name: float(score) for name, score in found.items()}


def main():
    """Run what is not in the file yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("pretrained_tokens.jsonl"))
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["dataset"], row["method"]) for row in read_rows(options.out)}
    for name in options.datasets:
        X_train, y_train, X_test, y_test = load(options.data / "ucr" / f"{name}.npz")
        X_train, X_test = (
            zscore(X, axis=1).astype(np.float32)
            for X in (X_train, X_test[:MOST_SERIES])
        )
        for method, make in METHODS.items():
            if (name, method) in done:
                continue
            start = time.process_time()
            tokenizer = make(X_train, options.weights)
            row = {"dataset": name, "method": method}
            row["seconds"] = time.process_time() - start
            found = scores(tokenizer, X_train, y_train, X_test, y_test[:MOST_SERIES])
            append_row(options.out, row | found)
    results = pd.DataFrame(read_rows(options.out)).set_index(["dataset", "method"])
    print(results.map(lambda value: f"{value:.4g}").to_markdown())


if __name__ == "__main__":
    main()
