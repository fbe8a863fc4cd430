"""Forecasts by draws: do their intervals hold what follows?

Test series are known up to a half, three quarters or seven eighths of their length. Of
twenty draws per series, the interval between the quantiles 0.1 and 0.9 is to hold eight
of ten values. The continuous ranked probability score (CRPS) rewards draws that are
near and spread as they should; it is in standard deviations, as is the mean absolute
error of the median. Recordings are cut into windows of 24, split as "honest" in
``generation.py``; UCR sets have their official split. At most 200 test series count.

"Last value" goes on by changes of random training series between the same times, and
"training series" are random ones. All parameters are defaults.

Results are one JSON line per run. Runs that are already in the file are not repeated,
so it is safe to stop.

    python examples/benchmarks/forecasts.py --data DIR --out forecasts.jsonl
    python examples/benchmarks/forecasts.py --table --out forecasts.jsonl

``DIR`` holds ``generation/*.csv`` and ``ucr/*.npz``. A sampler takes four to eight
minutes of one core to fit.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import append_row, read_rows
from generation import QUICK_WINDOWS, fit_sampler
from generation_data import RECORDINGS, Setting, make_task
from scipy.stats import norm

from sktsrep import GaussianImputer

DATASETS = ["stocks", "GunPoint", "ECG5000"]
LENGTH = 24
N_DRAWS = 20
MOST_SERIES = 200
SHARES = {"half": 2, "quarter": 4, "eighth": 8}
SEED = 0

# ------------------------------------------------------------------------- the methods


def sampler(task, past, horizon):
    """Draw by this package's generator, fitted once per data set."""
    model, _ = fit_sampler(task, "cpu", "auto")
    levels = (np.arange(N_DRAWS) + 0.5) / N_DRAWS
    return model.forecast(
        past, horizon, n_draws=N_DRAWS, quantiles=levels, random_state=SEED
    )


def gaussian(task, past, horizon):
    """Spread values as this package's Gaussian process does."""
    future = np.full((*past.shape[:-1], horizon), np.nan, past.dtype)
    series = np.concatenate([past, future], axis=-1)
    mean, std = GaussianImputer().fit(task.X_train).impute(series, return_std=True)
    levels = (np.arange(N_DRAWS) + 0.5) / N_DRAWS
    spread = np.multiply.outer(norm.ppf(levels), std[..., -horizon:])
    return mean[..., -horizon:] + spread


def last_value(task, past, horizon):
    """Add changes of training series to the last value."""
    drawn = random_training(task, past)
    changes = drawn[..., -horizon:] - drawn[..., -horizon - 1, None]
    return past[..., -1:] + changes


def training_series(task, past, horizon):
    """Ignore the past."""
    return random_training(task, past)[..., -horizon:]


def random_training(task, past):
    """Draw training series, (n_draws, n_samples, ...)."""
    rng = np.random.default_rng(SEED)
    return task.X_train[rng.integers(len(task.X_train), size=(N_DRAWS, len(past)))]


METHODS = {
    "MaskGITSampler": sampler,
    "GaussianImputer": gaussian,
    "last value": last_value,
    "training series": training_series,
}

# ----------------------------------------------------------------------------- running


def scores(draws, future, deviation):
    """Make the scores of draws (n_draws, n_samples, ...) by name."""
    low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
    between = np.abs(draws[:, None] - draws).mean(axis=(0, 1))
    crps = np.abs(draws - future).mean(axis=0) - between / 2
    return {
        "covered": float(((low <= future) & (future <= high)).mean()),
        "CRPS": float((crps / deviation).mean()),
        "error": float((np.abs(middle - future) / deviation).mean()),
    }


def run(dataset, arguments):
    """Measure what is not in the file yet."""
    is_recording = dataset in RECORDINGS
    setting = Setting(
        dataset,
        LENGTH if is_recording else None,
        "honest" if is_recording else "official",
        SEED,
    )
    task = make_task(setting, arguments.data, QUICK_WINDOWS)
    X = task.X_real[:: -(-len(task.X_real) // MOST_SERIES)]
    deviation = task.X_train.std(axis=(0, -1))[..., None]
    done = {
        row["method"] for row in read_rows(arguments.out) if row["dataset"] == dataset
    }
    for name in arguments.methods:
        if name in done:
            continue
        row = {"dataset": dataset, "method": name}
        for share, divisor in SHARES.items():
            horizon = X.shape[-1] // divisor
            draws = METHODS[name](task, X[..., :-horizon], horizon)
            found = scores(draws, X[..., -horizon:], deviation)
            row |= {f"{share}: {key}": value for key, value in found.items()}
        append_row(arguments.out, row)


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="needed unless --table")
    parser.add_argument("--out", type=Path, default=Path("forecasts.jsonl"))
    parser.add_argument("--table", action="store_true", help="print and run nothing")
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    if not arguments.table:
        if arguments.data is None:
            parser.error("--data is needed to run anything")
        torch.set_num_threads(1)
        for dataset in arguments.datasets:
            run(dataset, arguments)
    results = pd.DataFrame(read_rows(arguments.out)).set_index(["dataset", "method"])
    print(results.map(lambda value: f"{value:.3f}").to_markdown())


if __name__ == "__main__":
    main()
