"""Quantizers compared: reconstruction, use of codes, tokens as features, and samples.

Splits are the official ones; all parameters but the quantizer are defaults. Tokenizer
and sampler see the training part; the errors, the accuracy of the ridge probe on
``level="tokens"`` and the Frechet distances are those of the test part. The sampler
draws as many series as the training part has, of the same classes. ``floor`` is the
Frechet distance of the training part itself. Results are one JSON line per run. Runs
that are already in the file are not repeated, so it is safe to stop.

    python examples/benchmarks/quantizers.py --data DIR --out results.jsonl

``DIR`` holds ``<name>.npz`` with ``X_train, y_train, X_test, y_test``.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch
from common import append_row, load, read_rows, ridge_probe, standardized_error
from sklearn.frozen import FrozenEstimator

from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep.metrics import (
    RandomConvolutionFeatures,
    codebook_usage,
    frechet_distance,
    perplexity,
)
from sktsrep.quantizers import FSQ, EMACodebook, GradientCodebook, ResidualVQ

DATASETS = ["GunPoint", "ECG5000", "ShapesAll"]


def tokenizers(seed, device):
    """Make every arm of the comparison, by name."""
    common = {"random_state": seed, "device": device}
    arms = {
        type(quantizer).__name__: SSLVQTokenizer(quantizer=quantizer, **common)
        for quantizer in (EMACodebook(), GradientCodebook(), FSQ(), ResidualVQ())
    }
    arms["EMACodebook untrained"] = SSLVQTokenizer(max_epochs=0, **common)
    return arms


def measure(path, arm, seed, device):
    """Fit a tokenizer and a sampler; return a row of the results."""
    X_train, y_train, X_test, y_test = load(path)
    tokenizer = tokenizers(seed, device)[arm].set_params(level="tokens")
    start = time.perf_counter()
    tokenizer.fit(X_train)
    fitted = time.perf_counter()
    sampler = MaskGITSampler(
        FrozenEstimator(tokenizer), random_state=seed, device=device
    )
    sampler.fit(X_train, y_train)
    sampled = time.perf_counter()
    tokens = tokenizer.encode(X_train)
    n_codes = len(tokenizer.codebook_)
    probe = ridge_probe().fit(tokenizer.transform(X_train), y_train)
    X_generated = sampler.sample(len(y_train), y=y_train, random_state=seed)
    features = FrozenEstimator(RandomConvolutionFeatures().fit(X_train))
    return {
        "dataset": path.stem,
        "seed": seed,
        "method": arm,
        "error": standardized_error(tokenizer, X_train, X_test),
        "n_codes": n_codes,
        "perplexity": perplexity(tokens),
        "usage": codebook_usage(tokens, n_codes),
        "tokens": tokens.shape[1],
        "ridge": probe.score(tokenizer.transform(X_test), y_test),
        "frechet": frechet_distance(X_test, X_generated, features=features),
        "floor": frechet_distance(X_test, X_train, features=features),
        "tokenizer_seconds": round(fitted - start, 1),
        "sampler_seconds": round(sampled - fitted, 1),
    }


def run(arguments):
    """Measure whatever is not in the file yet."""
    done = {
        (row["dataset"], row["seed"], row["method"]) for row in read_rows(arguments.out)
    }
    for seed in arguments.seeds:
        for dataset in arguments.datasets:
            for arm in arguments.arms:
                if (dataset, seed, arm) not in done:
                    path = arguments.data / f"{dataset}.npz"
                    row = measure(path, arm, seed, arguments.device)
                    append_row(arguments.out, row)


def table(out):
    """Print means over seeds, one row per data set and quantizer."""
    results = pd.DataFrame(read_rows(out)).drop(columns="seed")
    means = results.groupby(["dataset", "method"], sort=False).mean()
    print("\nmean over seeds\n")
    print(means.reset_index().round(3).to_markdown(index=False))


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("quantizers.jsonl"))
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--arms", nargs="+", default=list(tokenizers(0, "cpu")))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    run(arguments)
    table(arguments.out)


if __name__ == "__main__":
    main()
