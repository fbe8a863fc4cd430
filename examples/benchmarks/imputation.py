"""Gaps of ETTh1: points, blocks and whole channels, by all that fills them.

Windows of 48 hours and seven channels, as in TSI-Bench (arXiv 2406.12747): the first 14
months to learn from, the last five to fill, cut without overlap; channels are
standardized by the training part. Hidden are 10 % single values; blocks of 12 or 24
hours in all channels; such a block in every channel, at its own place; or one channel.
The error is the mean absolute one of hidden values, in standard deviations. All see the
same gaps. Parameters are defaults, and nothing is chosen here.

SAITS is that of PyPOTS, with one layer of width 256 and early stopping on the five
months between. It has an environment of its own and is made only on request.

Results are one JSON line per run. Runs that are already in the file are not repeated,
so it is safe to stop.

    python examples/benchmarks/imputation.py --data DIR --out imputation.jsonl
    python examples/benchmarks/imputation.py --table --out imputation.jsonl

``DIR`` holds ``generation/ETTh1.csv``.
"""

import argparse
import functools
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import append_row, read_rows
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from sktsrep import GaussianImputer, MaskGITSampler, SSLVQTokenizer
from sktsrep.recordings import Windows

try:
    from pypots.imputation import SAITS
except ImportError:
    SAITS = None

LENGTH = 48
N_DRAWS = 16

# --------------------------------------------------------------------------- the task


def read(data):
    """Read training, validation and test part, standardized by the first."""
    frame = pd.read_csv(data / "generation" / "ETTh1.csv", index_col="date")
    months = pd.to_datetime(frame.index).to_period("M")
    first = months.unique()
    parts = [
        frame[months < first[14]],
        frame[(months >= first[14]) & (months < first[19])],
        frame[months >= first[19]],
    ]
    mean, deviation = parts[0].mean(), parts[0].std(ddof=0)
    return [((part - mean) / deviation).to_numpy(np.float32) for part in parts]


def cut(recording, step):
    """Cut windows (n_windows, n_channels, length)."""
    return np.ascontiguousarray(Windows(LENGTH, step=step).fit_transform(recording))


def hidden_blocks(shape, length, rng, n_places):
    """Hide a block per window, at one place or at one per channel."""
    starts = rng.integers(0, LENGTH - length + 1, size=(shape[0], n_places, 1))
    time = np.arange(LENGTH)
    return np.broadcast_to((starts <= time) & (time < starts + length), shape)


def hidden_channel(shape, rng):
    """Hide one channel per window."""
    chosen = rng.integers(shape[1], size=(shape[0], 1, 1))
    return np.broadcast_to(np.arange(shape[1])[:, None] == chosen, shape)


def gaps(shape, seed):
    """Make the masks by name."""
    rng = np.random.default_rng(seed)
    return {
        "10 % points": rng.random(shape) < 0.1,
        "block of 12": hidden_blocks(shape, 12, rng, 1),
        "block of 24": hidden_blocks(shape, 24, rng, 1),
        "12 per channel": hidden_blocks(shape, 12, rng, shape[1]),
        "24 per channel": hidden_blocks(shape, 24, rng, shape[1]),
        "a channel": hidden_channel(shape, rng),
    }


# ------------------------------------------------------------------------- the methods


def lines(train, validation, seed):
    """Interpolate; a channel that is missing gets its mean."""

    def fill(X):
        rows = pd.DataFrame(X.reshape(-1, X.shape[-1]))
        rows = rows.interpolate(axis=1, limit_direction="both").fillna(0)
        return rows.to_numpy().reshape(X.shape)

    return fill


def by_window(imputer):
    """Make a method of scikit-learn's imputers, for which a window is a row."""

    def method(train, validation, seed):
        imputer.fit(train.reshape(len(train), -1))
        return lambda X: imputer.transform(X.reshape(len(X), -1)).reshape(X.shape)

    return method


def by_time(imputer):
    """Make a method of scikit-learn's imputers, for which a timepoint is a row."""

    def method(train, validation, seed):
        # Every second window shares half of its time with the one before.
        imputer.fit(train[:: LENGTH // 2].swapaxes(1, 2).reshape(-1, train.shape[1]))

        def fill(X):
            rows = imputer.transform(X.swapaxes(1, 2).reshape(-1, X.shape[1]))
            return rows.reshape(len(X), LENGTH, -1).swapaxes(1, 2)

        return fill

    return method


def gaussian(train, validation, seed):
    """Fit this package's imputer."""
    return GaussianImputer().fit(train).impute


def sampler(train, validation, seed, n_draws):
    """Fit this package's generator; fill by one draw or by the mean of several."""
    model = fitted_sampler(seed, train.tobytes())
    return functools.partial(model.impute, n_draws=n_draws)


@functools.lru_cache(maxsize=1)
def fitted_sampler(seed, content):
    """Fit both stages once for both rows, on every second window."""
    train = np.frombuffer(content, np.float32).reshape(-1, 7, LENGTH)
    tokenizer = SSLVQTokenizer(random_state=seed, device="cpu")
    sampler = MaskGITSampler(tokenizer, random_state=seed, device="cpu")
    return sampler.fit(train[::2])


def saits(train, validation, seed):
    """Fit SAITS on windows that do not overlap."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)

    def as_set(X):
        X = X.swapaxes(1, 2)
        missing = rng.random(X.shape) < 0.1
        return {"X": np.where(missing, np.nan, X), "X_ori": X}

    model = SAITS(
        LENGTH,
        train.shape[1],
        n_layers=1,
        d_model=256,
        n_heads=4,
        d_k=64,
        d_v=64,
        d_ffn=512,
        epochs=100,
        patience=10,
        device="cpu",
        verbose=False,
    )
    model.fit(as_set(train[::LENGTH]), as_set(validation))

    def fill(X):
        filled = model.predict({"X": X.swapaxes(1, 2)})["imputation"]
        return filled.swapaxes(1, 2)

    return fill


METHODS = {
    "mean": by_window(SimpleImputer()),
    "lines": lines,
    "KNNImputer, windows": by_window(KNNImputer()),
    "IterativeImputer, timepoints": by_time(IterativeImputer(random_state=0)),
    "GaussianImputer": gaussian,
    "MaskGITSampler, one draw": functools.partial(sampler, n_draws=1),
    "MaskGITSampler, mean of 16": functools.partial(sampler, n_draws=N_DRAWS),
    "SAITS": saits,
}

# ----------------------------------------------------------------------------- running


def run(arguments):
    """Measure what is not in the file yet."""
    train, validation, test = read(arguments.data)
    train, validation = cut(train, 1), cut(validation, LENGTH)
    test = cut(test[: len(test) // LENGTH * LENGTH], LENGTH)
    for seed in arguments.seeds:
        masks = gaps(test.shape, seed)
        done = {
            row["method"] for row in read_rows(arguments.out) if row["seed"] == seed
        }
        for name in arguments.methods:
            if name in done:
                continue
            start = time.process_time()
            fill = METHODS[name](train, validation, seed)
            fit_seconds = time.process_time() - start
            row = {"method": name, "seed": seed}
            for gap, mask in masks.items():
                filled = fill(np.where(mask, np.nan, test))
                row[gap] = float(np.abs(filled - test)[mask].mean())
            row |= {"fit": fit_seconds}
            row |= {"fill": time.process_time() - start - fit_seconds}
            append_row(arguments.out, row)


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="needed unless --table")
    parser.add_argument("--out", type=Path, default=Path("imputation.jsonl"))
    parser.add_argument("--table", action="store_true", help="print and run nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    ours = [name for name in METHODS if name != "SAITS"]
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=ours)
    arguments = parser.parse_args()
    if not arguments.table:
        if arguments.data is None:
            parser.error("--data is needed to run anything")
        if "SAITS" in arguments.methods and SAITS is None:
            parser.error("SAITS is not installed: pip install pypots")
        torch.set_num_threads(1)
        run(arguments)
    results = pd.DataFrame(read_rows(arguments.out))
    means = results.drop(columns="seed").groupby("method", sort=False).mean()
    print(means.map(lambda value: f"{value:.3g}").to_markdown())


if __name__ == "__main__":
    main()
