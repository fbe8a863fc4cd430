"""Linear probes on default representations of UCR data sets, against MiniRocket.

Splits are the official ones. Representations see the training part without labels, with
default parameters on every data set. Probes are fitted on the training part, where
cross-validation chooses their penalty. ``paper`` is the published protocol of NC-VQVAE:
linear support vectors with C = 1 on mean-pooled quantized vectors. Every fit runs in a
process of its own, so that its peak memory can be read. Results are one JSON line per
run. Runs that are already in the file are not repeated, so it is safe to stop.

    python examples/benchmarks/ucr_probe.py --data DIR --out results.jsonl

``DIR`` holds ``<name>.npz`` with ``X_train, y_train, X_test, y_test``.
"""

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from aeon.transformations.collection.convolution_based import MiniRocket
from common import (
    UCR_DATASETS,
    append_row,
    load,
    read_rows,
    ridge_probe,
    standardized_error,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktsrep import SSLEncoder, SSLVQTokenizer
from sktsrep.metrics import perplexity


def representations(seed, device):
    """Make every arm of the comparison, by name."""
    common = {"random_state": seed, "device": device}
    return {
        "SSLVQTokenizer": SSLVQTokenizer(**common),
        "SSLVQTokenizer untrained": SSLVQTokenizer(**common, max_epochs=0),
        "SSLEncoder": SSLEncoder(**common),
        "SSLEncoder untrained": SSLEncoder(**common, max_epochs=0),
        "MiniRocket": MiniRocket(random_state=seed, n_jobs=1),
        "raw series": None,
    }


def searched(classifier, grid, y, n_largest=1000):
    """Search the penalty by cross-validation; keep the default without enough labels.

    At most ``n_largest`` series choose the penalty; the classifier is fitted to all.
    """
    # The rotation leaves no more features than series: the same model, faster.
    pipe = make_pipeline(StandardScaler(), PCA(), classifier)
    rows = np.random.default_rng(0).permutation(len(y))[:n_largest]
    n_splits = min(5, np.unique(y[rows], return_counts=True)[1].min())
    if n_splits < 2:
        return pipe
    folds = StratifiedKFold(n_splits, shuffle=True, random_state=0)
    cv = [(rows[fit], rows[valid]) for fit, valid in folds.split(rows, y[rows])]
    # The first of equals wins: large C come first, because small ones underfit a small
    # data set.
    name = type(classifier).__name__.lower()
    return GridSearchCV(pipe, {f"{name}__C": grid}, cv=cv)


def probes(y, slow):
    """Make the classifiers of the comparison."""
    fast = {
        "ridge": ridge_probe(),
        "5-NN": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
    }
    if not slow:
        return fast
    grid = [10.0, 1.0, 0.1, 0.01, 0.001]
    return fast | {
        "logistic": searched(LogisticRegression(max_iter=200), grid, y),
        # C = 1 takes minutes with 60 classes, and was no better on three data sets.
        "linear SVC": searched(LinearSVC(tol=1e-2), [0.1, 0.01, 0.001, 0.0001], y),
    }


def embeddings(representation, X):
    """Compute features by level."""
    if representation is None:
        return {"all": X.reshape(len(X), -1)}
    if isinstance(representation, MiniRocket):
        return {"all": representation.transform(X)}
    levels = ["all", "latent"]
    if isinstance(representation, SSLVQTokenizer):
        levels.append("tokens")
    result = {}
    for level in levels:
        result[level] = representation.set_params(level=level).transform(X)
    return result


def measure(path, arm, seed, device, threads, slow):
    """Fit one representation and probe it; return a row of the results."""
    torch.set_num_threads(threads)
    X_train, y_train, X_test, y_test = load(path)
    if arm == "MiniRocket" and X_train.ndim == 2:  # always wants channels
        X_train, X_test = X_train[:, None], X_test[:, None]
    representation = representations(seed, device)[arm]
    start = time.perf_counter()
    if representation is not None:
        representation.fit(X_train)
    row = {
        "dataset": path.stem,
        "seed": seed,
        "method": arm,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    train = embeddings(representation, X_train)
    test = embeddings(representation, X_test)
    for level in train:
        for name, probe in probes(y_train, slow).items():
            probe.fit(train[level], y_train)
            row[f"{level} / {name}"] = probe.score(test[level], y_test)
    if representation is None:
        nearest = KNeighborsClassifier(1).fit(train["all"], y_train)
        row["1-NN"] = nearest.score(test["all"], y_test)
    if isinstance(representation, SSLVQTokenizer):
        means = slice(representation.codebook_.shape[1])
        svc = LinearSVC(C=1.0).fit(train["tokens"][:, means], y_train)
        row["paper"] = svc.score(test["tokens"][:, means], y_test)
        row |= {
            "n_codes": len(representation.codebook_),
            "perplexity": perplexity(representation.encode(X_train)),
            "train_error": standardized_error(representation, X_train, X_train),
            "test_error": standardized_error(representation, X_train, X_test),
        }
    return row


def run(arguments):
    """Measure whatever is not in the file yet, each in a new process."""
    done = {
        (row["dataset"], row["seed"], row["method"]) for row in read_rows(arguments.out)
    }
    context = multiprocessing.get_context("spawn")
    for seed in arguments.seeds:
        for dataset in arguments.datasets:
            for arm in arguments.arms:
                if (dataset, seed, arm) in done:
                    continue
                path = arguments.data / f"{dataset}.npz"
                task = (path, arm, seed, arguments.device)
                with context.Pool(1) as pool:
                    options = (arguments.threads, arguments.slow_probes)
                    row = pool.apply(measure, task + options)
                append_row(arguments.out, row)


def table(out):
    """Print means over seeds and data sets, and the accuracy on every data set."""
    results = pd.DataFrame(read_rows(out))
    by_dataset = results.drop(columns="seed").groupby(["method", "dataset"], sort=False)
    means = by_dataset.mean()
    print("\nmean over data sets\n")
    print(means.groupby("method").mean().T.round(3).to_markdown())
    print("\nall features, ridge\n")
    print(means["all / ridge"].unstack("method").round(3).to_markdown())
    print("\nstandard deviation over seeds\n")
    print(by_dataset["all / ridge"].std().unstack("method").round(3).to_markdown())


def main():
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("ucr_probe.jsonl"))
    parser.add_argument("--datasets", nargs="+", default=UCR_DATASETS)
    parser.add_argument("--arms", nargs="+", default=list(representations(0, "cpu")))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slow-probes", action="store_true", help="logistic, SVC")
    arguments = parser.parse_args()
    run(arguments)
    table(arguments.out)


if __name__ == "__main__":
    main()
