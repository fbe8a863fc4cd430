"""Series with gaps and of unequal length: probes of embeddings, against baselines.

All UCR sets at hand with missing values or unequal lengths, and JapaneseVowels. Splits
are the official ones. ``SSLEncoder``, with default parameters, takes the series as they
are and sees the training part without labels; a ridge classifier probes its embeddings,
with its penalty from cross-validation on the training part. The baselines need one
length: gaps are bridged by lines, and either the last value is repeated after the end
("extended") or the series is interpolated to the longest length ("resized").

Results are one JSON line per run. Runs that are already in the file are not repeated,
so it is safe to stop.

    python examples/benchmarks/gaps.py --data DIR --out gaps.jsonl
    python examples/benchmarks/gaps.py --table --out gaps.jsonl

``DIR`` holds ``ucr/<name>.npz`` and ``uea/<name>.npz``.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from aeon.transformations.collection.convolution_based import MiniRocket
from common import append_row, load, read_rows, ridge_probe
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer

from sktsrep import SSLEncoder

DATASETS = [
    "ucr/AllGestureWiimoteX",
    "ucr/AllGestureWiimoteY",
    "ucr/AllGestureWiimoteZ",
    "ucr/GestureMidAirD1",
    "ucr/GestureMidAirD2",
    "ucr/GestureMidAirD3",
    "ucr/GesturePebbleZ1",
    "ucr/GesturePebbleZ2",
    "ucr/PickupGestureWiimoteZ",
    "ucr/ShakeGestureWiimoteZ",
    "ucr/PLAID",
    "ucr/DodgerLoopDay",
    "ucr/DodgerLoopGame",
    "ucr/DodgerLoopWeekend",
    "ucr/MelbournePedestrian",
    "uea/JapaneseVowels",
]


def extended(X):
    """Bridge gaps by lines and repeat the last value after the end."""
    rows = pd.DataFrame(X.reshape(-1, X.shape[-1]))
    rows = rows.interpolate(axis=1, limit_direction="both").fillna(0)
    return rows.to_numpy(np.float32).reshape(len(X), -1, X.shape[-1])


def resized(X):
    """Bridge gaps by lines and interpolate every series to the longest length."""
    ends = [np.flatnonzero(~np.isnan(x).all(axis=0))[-1] + 1 for x in X]
    filled, share = extended(X), np.linspace(0, 1, X.shape[-1])
    return np.stack(
        [
            [np.interp(share, np.linspace(0, 1, n), channel[:n]) for channel in x]
            for x, n in zip(filled, ends, strict=True)
        ]
    ).astype(np.float32)


def flat(X):
    """Give every series as one row of features."""
    return X.reshape(len(X), -1)


def arms(seed):
    """List what is compared: representation of the prepared series, preparation."""
    raw = FunctionTransformer(flat)
    rocket = MiniRocket(random_state=seed, n_jobs=1)
    encoder = {"random_state": seed, "device": "cpu"}
    return {
        "SSLEncoder": (SSLEncoder(**encoder), None),
        "SSLEncoder untrained": (SSLEncoder(**encoder, max_epochs=0), None),
        "MiniRocket, extended": (rocket, extended),
        "MiniRocket, resized": (rocket, resized),
        "raw series, extended": (raw, extended),
        "raw series, resized": (raw, resized),
        "1-NN, extended": (raw, extended),
        "1-NN, resized": (raw, resized),
    }


def measure(path, arm, seed):
    """Fit one representation and probe it; return a row of the results."""
    X_train, y_train, X_test, y_test = load(path)
    X_train, X_test = (x[:, None] if x.ndim == 2 else x for x in (X_train, X_test))
    representation, prepare = arms(seed)[arm]
    start = time.process_time()
    if prepare is not None:
        X_train, X_test = prepare(X_train), prepare(X_test)
    train = representation.fit_transform(X_train)
    seconds = time.process_time() - start
    probe = KNeighborsClassifier(1) if arm.startswith("1-NN") else ridge_probe()
    accuracy = probe.fit(train, y_train).score(representation.transform(X_test), y_test)
    return {"accuracy": accuracy, "cpu_seconds": round(seconds, 1)}


def table(out):
    """Print the mean accuracy over the seeds, by data set."""
    results = pd.DataFrame(read_rows(out))
    means = results.groupby(["dataset", "method"], sort=False).mean()["accuracy"]
    by_dataset = means.unstack("method")
    by_dataset.loc["mean"] = by_dataset.mean()
    print(by_dataset.round(3).to_markdown())


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="needed unless --table")
    parser.add_argument("--out", type=Path, default=Path("gaps.jsonl"))
    parser.add_argument("--table", action="store_true", help="print and run nothing")
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keys = ("dataset", "method", "seed")
    done = {tuple(row[key] for key in keys) for row in read_rows(arguments.out)}
    for seed in [] if arguments.table else arguments.seeds:
        for dataset in arguments.datasets:
            for arm in arms(seed):
                run = dict(zip(keys, (dataset, arm, seed), strict=True))
                if tuple(run.values()) in done:
                    continue
                path = arguments.data / f"{dataset}.npz"
                append_row(arguments.out, run | measure(path, arm, seed))
    table(arguments.out)


if __name__ == "__main__":
    main()
