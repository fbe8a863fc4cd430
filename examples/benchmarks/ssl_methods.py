"""Does each self-supervised method learn? Linear probes against the untrained network.

On every data set and seed, a ridge classifier probes frozen embeddings; its penalty is
chosen on the training part. The embeddings are those of untrained networks, of
``SSLEncoder`` with each objective, and of ``SSLVQTokenizer`` with no objective and with
the default one. All settings are defaults. Results go to a file, one JSON line per run.
Runs that are already in the file are not repeated, so it is safe to stop.

    python examples/benchmarks/ssl_methods.py --data DIR --out results.jsonl

``DIR`` holds ``<name>.npz`` with ``X_train, y_train, X_test, y_test``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import append_row, load, read_rows, ridge_probe

from sktsrep import SSLEncoder, SSLVQTokenizer
from sktsrep.objectives import OBJECTIVES


def estimators(seed, device):
    """Make every arm of the comparison, by name."""
    common = {"random_state": seed, "device": device}
    arms = {"SSLEncoder untrained": SSLEncoder(**common, max_epochs=0)}
    for name in OBJECTIVES:
        arms[f"SSLEncoder {name}"] = SSLEncoder(name, **common)
    arms["SSLVQTokenizer untrained"] = SSLVQTokenizer(**common, max_epochs=0)
    for ssl in (None, "vibcreg"):
        arms[f"SSLVQTokenizer {ssl}"] = SSLVQTokenizer(ssl, **common)
    return arms


def probe_accuracy(estimator, X_train, y_train, X_test, y_test):
    """Compute the accuracy of a linear probe on the embeddings, by level."""
    scores = {}
    levels = ["all", "latent"]
    if isinstance(estimator, SSLVQTokenizer):
        levels.append("tokens")
    for level in levels:
        estimator.set_params(level=level)
        probe = ridge_probe().fit(estimator.transform(X_train), y_train)
        scores[level] = probe.score(estimator.transform(X_test), y_test)
    return scores


def run(data, datasets, seeds, device, out):
    """Fit and probe whatever is not in the file yet."""
    done = {(row["dataset"], row["seed"], row["method"]) for row in read_rows(out)}
    for seed in seeds:
        for dataset in datasets:
            parts = load(data / f"{dataset}.npz")
            for method, estimator in estimators(seed, device).items():
                if (dataset, seed, method) in done:
                    continue
                start = time.perf_counter()
                estimator.fit(parts[0])
                seconds = time.perf_counter() - start
                row = {
                    "dataset": dataset,
                    "seed": seed,
                    "method": method,
                    "seconds": round(seconds, 1),
                    **probe_accuracy(estimator, *parts),
                }
                if estimator.n_iter_:
                    rank = estimator.history_["effective_rank"].iloc[-1]
                    row["effective_rank"] = rank
                append_row(out, row)


def table(out):
    """Print mean (standard deviation) over seeds, and the mean over data sets."""
    results = pd.DataFrame(read_rows(out))
    by_method = results.groupby(["method", "dataset"], sort=False)
    for level in ("all", "latent", "tokens"):
        mean = by_method[level].mean().unstack().dropna()
        spread = by_method[level].std().unstack()
        cells = mean.copy().astype(object)
        for method, dataset in np.ndindex(mean.shape):
            row, column = mean.index[method], mean.columns[dataset]
            sd = spread.loc[row, column]
            cells.loc[row, column] = f"{mean.loc[row, column]:.3f} ({sd:.3f})"
        cells["mean"] = mean.mean(axis=1).map("{:.3f}".format)
        print(f"\nlevel={level!r}\n\n{cells.to_markdown()}")
    seconds = by_method["seconds"].median().unstack()
    print(f"\nseconds per fit, median\n\n{seconds.to_markdown()}")


def main():
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("ssl_methods.jsonl"))
    parser.add_argument(
        "--datasets", nargs="+", default=["TwoPatterns", "ECG5000", "FordA"]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    run(
        arguments.data,
        arguments.datasets,
        arguments.seeds,
        arguments.device,
        arguments.out,
    )
    table(arguments.out)


if __name__ == "__main__":
    main()
