"""What the defaults gain: cross-validation inside the training parts of UCR data sets.

Test parts are not used. Representations are fitted without labels on the training part,
or on 1500 series of a larger one, and probed there by five-fold cross-validation.
``NAME:n`` imitates a small data set: encoder and probe see ``n`` series of the training
part, and its other series give the accuracy. Results are one JSON line per run. Runs
that are already in the file are not repeated, so it is safe to stop.

    python examples/benchmarks/ablation.py --data DIR --out results.jsonl
"""

import argparse
import math
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from common import append_row, load, read_rows, ridge_probe
from sklearn.model_selection import (
    StratifiedKFold,
    StratifiedShuffleSplit,
    cross_val_score,
)

from sktsrep import SSLEncoder, SSLVQTokenizer, _spectral
from sktsrep.augmentations import time_shift
from sktsrep.functional import limited_shape, resolve_frames
from sktsrep.nn import Encoder, SpectralEncoder
from sktsrep.objectives import VIbCReg
from sktsrep.quantizers import EMACodebook

DATASETS = ["FaceAll:60", "SwedishLeaf:60", "Adiac", "OSULeaf", "ShapesAll", "FordA"]
MAX_SERIES = 1500


def estimators(n_timepoints, n_series, n_steps, seed):
    """Make every arm of the comparison, by name."""
    n_fft, hop_length = resolve_frames("auto", None, n_timepoints)
    n_epochs = round(n_steps / math.ceil(n_series / 64))
    common = {"random_state": seed, "device": "cpu"}
    trained = {**common, "max_epochs": n_epochs}
    untrained = {**common, "max_epochs": 0}
    return {
        "SSLEncoder": SSLEncoder(**trained),
        "SSLEncoder, no noise": SSLEncoder(**trained, augmentations=time_shift),
        "SSLEncoder, no noise, parts only": SSLEncoder(
            **trained, augmentations=time_shift
        ),
        "SSLEncoder, shared shape whole": SSLEncoder(**trained),
        "SSLEncoder crop": SSLEncoder(**trained, augmentations="crop"),
        "SSLEncoder group_size=16": SSLEncoder(VIbCReg(group_size=16), **trained),
        "SSLEncoder untrained": SSLEncoder(**untrained),
        "SSLEncoder untrained, shared shape whole": SSLEncoder(**untrained),
        "SSLEncoder untrained, window of two hops": SSLEncoder(
            **untrained, n_fft=n_fft // 2, hop_length=hop_length
        ),
        "SSLVQTokenizer": SSLVQTokenizer(**trained),
        "SSLVQTokenizer, no noise": SSLVQTokenizer(**trained, augmentations=time_shift),
        "SSLVQTokenizer, shared shape whole": SSLVQTokenizer(**trained),
        "SSLVQTokenizer crop": SSLVQTokenizer(**trained, augmentations="crop"),
        "SSLVQTokenizer ssl=None": SSLVQTokenizer(None, **trained),
        "SSLVQTokenizer shift_probability=0": SSLVQTokenizer(
            **trained, shift_probability=0.0
        ),
        "SSLVQTokenizer ssl_weight=1": SSLVQTokenizer(**trained, ssl_weight=1.0),
        "SSLVQTokenizer group_size=16": SSLVQTokenizer(
            VIbCReg(group_size=16), **trained
        ),
        "SSLVQTokenizer n_codes=32": SSLVQTokenizer(
            quantizer=EMACodebook(32), **trained
        ),
        "SSLVQTokenizer n_codes=128": SSLVQTokenizer(
            quantizer=EMACodebook(128), **trained
        ),
        "SSLVQTokenizer n_codes=512": SSLVQTokenizer(
            quantizer=EMACodebook(512), **trained
        ),
        "SSLVQTokenizer max_tokens=8": SSLVQTokenizer(**trained, max_tokens=8),
        "SSLVQTokenizer untrained": SSLVQTokenizer(**untrained),
    }


def read(data, dataset):
    """Read series, labels, the rows to fit on, and the splits of the probe."""
    name, _, n_small = dataset.partition(":")
    X, y, _, _ = load(data / f"{name}.npz")
    if n_small:
        splits = StratifiedShuffleSplit(1, train_size=int(n_small), random_state=0)
        splits = list(splits.split(X, y))
        return X, y, splits[0][0], splits
    chosen = np.random.RandomState(0).permutation(len(X))[:MAX_SERIES]
    X, y = X[chosen], y[chosen]
    return X, y, slice(None), StratifiedKFold(5, shuffle=True, random_state=0)


def columns(estimator):
    """Name the summary and the map behind every feature, as two arrays."""
    encoder = estimator.net_.module_.encoder
    n_maps = len(encoder.sizes) * (1 + estimator.n_blocks)
    widths = [encoder.in_channels // 2] + n_maps * [estimator.hidden_dim]
    summaries = ["mean", "maximum", "minimum", "share"]
    maps = [(width, summaries) for width in widths]
    located = summaries + 4 * ["quarter"]
    n_latent = 2 if isinstance(estimator, SSLVQTokenizer) else 1
    maps += n_latent * [(encoder.out_dim, located)]
    kinds = [np.repeat(names, width) for width, names in maps]
    return np.concatenate(kinds), np.repeat(range(len(maps)), [len(k) for k in kinds])


def embeddings(estimator, X):
    """Compute features by level, and selections of them with something left out."""
    values = estimator.set_params(level="all").transform(X)
    kind, of = columns(estimator)
    z = of.max() - isinstance(estimator, SSLVQTokenizer)
    chosen = {"all": of >= 0, "latent": of == z}
    if isinstance(estimator, SSLVQTokenizer):
        chosen["tokens"] = of > z
    for level in list(chosen):
        for missing in ("quarter", "minimum"):
            chosen[f"{level} without {missing}"] = chosen[level] & (kind != missing)
    if isinstance(estimator, SSLEncoder):
        chosen["without share"] = kind != "share"
        chosen["without log amplitudes"] = of > 0
    selected = {level: values[:, features] for level, features in chosen.items()}
    if isinstance(estimator, SSLEncoder):
        selected |= block_outputs(estimator, X)
    return selected


def block_outputs(estimator, X):
    """Compute features of what blocks hand on, instead of what they add to it."""

    def activations(encoder, x):
        maps = []
        for entry, blocks in encoder.stages:
            for layer in (entry, *blocks):
                x = layer(x)
                maps.append(x)
        return [*maps, encoder.head(x)]

    with mock.patch.object(Encoder, "activations", activations):
        values = estimator.transform(X)
    _, of = columns(estimator)
    end_of_stage = (of % (estimator.n_blocks + 1) == 0) | (of == of.max())
    return {
        "outputs of blocks": values,
        "ends of stages only": values[:, end_of_stage],
    }


def poorer(arm):
    """Make the context in which an arm lacks what no parameter of it turns off.

    "parts only": the encoder sees no log amplitudes. "shared shape whole": only the
    channel mean is subtracted from series.
    """
    if arm.endswith("parts only"):
        no_logarithms = partial(SpectralEncoder, log_weight=0.0)
        return mock.patch.object(_spectral, "SpectralEncoder", no_logarithms)
    if arm.endswith("shared shape whole"):
        no_limit = partial(limited_shape, limit=math.inf)
        return mock.patch.object(_spectral, "limited_shape", no_limit)
    return nullcontext()


def measure(data, dataset, arm, n_steps, seed):
    """Fit one representation and probe it; return a row of the results."""
    X, y, fitted, splits = read(data, dataset)
    arms = estimators(X.shape[1], len(X[fitted]), n_steps, seed)
    estimator = arms[arm].fit(X[fitted])
    row = {"dataset": dataset, "seed": seed, "steps": n_steps, "method": arm}
    for level, values in embeddings(estimator, X).items():
        row[level] = cross_val_score(ridge_probe(), values, y, cv=splits).mean()
    if isinstance(estimator, SSLVQTokenizer):
        row["error"] = -estimator.score(X)
    return row


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("ablation.jsonl"))
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--arms", nargs="+", default=list(estimators(100, 100, 1, 0)))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    asked = {"steps": arguments.steps, "seed": arguments.seed}

    def known():
        rows = read_rows(arguments.out)
        return [row for row in rows if asked.items() <= row.items()]

    done = {(row["dataset"], row["method"]) for row in known()}
    for dataset in arguments.datasets:
        for arm in arguments.arms:
            if (dataset, arm) not in done:
                figures = (dataset, arm, arguments.steps, arguments.seed)
                with poorer(arm):
                    append_row(arguments.out, measure(arguments.data, *figures))
    results = pd.DataFrame(known()).set_index(["method", "dataset"])
    for level in results.columns.drop(list(asked)):
        table = results[level].unstack().dropna(how="all")
        table["mean"] = table.mean(axis=1, skipna=False)
        print(f"\n{level}\n\n{table.round(3).to_markdown()}")


if __name__ == "__main__":
    main()
