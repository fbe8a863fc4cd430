"""Anomalies of recordings: top-1 accuracy on the UCR anomaly archive.

Every recording has a training part and one anomaly after it. A method names the most
unusual timepoint of the rest; it has found the anomaly when it is no farther from it
than the anomaly is long, or 100 timepoints. All methods see the same windows: two
dominant periods long, as the autocorrelation of the training part has it, and at most
512 timepoints. No label chooses anything. Windows overlap; a timepoint's score is the
mean over its windows, those that have it in their middle counting most. Results are one
JSON line per run. Runs that are already in the file are not repeated, so it is safe to
stop.

    python examples/benchmarks/anomalies.py --data DIR --out anomalies.jsonl

``DIR`` holds ``<name>.npz`` with ``x``, ``train_end`` and ``anomaly``, begin and end.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import append_row, read_rows
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from sktsrep import MaskGITSampler
from sktsrep.anomaly import AnomalyDetector
from sktsrep.recordings import Windows

try:
    import stumpy
except ImportError:
    stumpy = None

SHORTEST, LONGEST = 32, 512
N_STEPS = 8  # windows per window length
MOST_NEIGHBORS = 20_000
QUERIES_AT_ONCE = 512

DETECTOR = "AnomalyDetector"
SAMPLER = "AnomalyDetector of MaskGITSampler"
METHODS = [
    DETECTOR,
    "matrix profile",
    "nearest window",
    "nearest window, z-normalized",
    "PCA",
    "isolation forest",
    "largest step",
]


def dominant_period(x):
    """Find the lag of the highest peak of the autocorrelation, or the longest."""
    x = x - x.mean()
    most = min(LONGEST // 2, len(x) // 4)
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[: most + 1] / np.arange(len(x), 0, -1)[: most + 1]
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    peaks = peaks[correlation[peaks] > 0]
    return int(peaks[correlation[peaks].argmax()]) if len(peaks) else most


# ------------------------------------------------------------------------------ methods


def nearest_window(x_train, windows, normalize):
    """Distance of every window to the nearest one of the training part."""
    memory = np.lib.stride_tricks.sliding_window_view(x_train, windows.shape[1])
    memory = memory[:: -(-len(memory) // MOST_NEIGHBORS)]
    if normalize:
        memory, windows = z_normalized(memory), z_normalized(windows)
    squares = np.square(memory).sum(axis=1)
    distances = []
    for start in range(0, len(windows), QUERIES_AT_ONCE):
        part = windows[start : start + QUERIES_AT_ONCE]
        nearest = (squares - 2 * part @ memory.T).min(axis=1)
        distances.append(nearest + np.square(part).sum(axis=1))
    return np.sqrt(np.maximum(np.concatenate(distances), 0))


def z_normalized(windows):
    """Give every window mean 0 and deviation 1, or 0 where it is constant."""
    windows = windows - windows.mean(axis=1, keepdims=True)
    deviation = windows.std(axis=1, keepdims=True)
    return windows / np.where(deviation > 1e-8, deviation, np.inf)


def pca_error(X_train, X):
    """Squared error of windows in the space of 90 % of the training variance."""
    pca = PCA(0.9, svd_solver="full").fit(X_train)
    return np.square(pca.inverse_transform(pca.transform(X)) - X)


def isolation(X_train, X, seed):
    """Score windows by an isolation forest."""
    forest = IsolationForest(random_state=seed).fit(X_train)
    return -forest.score_samples(X)


def detector_scores(detector, X_train, X):
    """Score timepoints by all components of a detector, and by each alone."""
    detector.fit(X_train)
    yield "", -detector.score_timepoints(X)
    names = detector.scores_
    for name in names:
        alone = copy.copy(detector)
        alone.scores_ = (name,)  # each is calibrated on its own: one fit serves all
        yield f": {name}", -alone.score_timepoints(X)


def window_scores(method, x_train, X_train, X, seed):
    """Give names and scores of windows or of their timepoints, high if unusual."""
    if method == DETECTOR:
        return detector_scores(AnomalyDetector(random_state=seed), X_train, X)
    if method == SAMPLER:
        detector = AnomalyDetector(MaskGITSampler(), random_state=seed)
        return detector_scores(detector, X_train, X)
    if method.startswith("nearest window"):
        scores = nearest_window(x_train, X, normalize="z-normalized" in method)
    elif method == "PCA":
        scores = pca_error(X_train, X)
    else:
        scores = isolation(X_train, X, seed)
    return [("", scores)]


# -------------------------------------------------------------------------- measurement


def timepoint_scores(method, x, train_end, length, seed):
    """Give names and scores of the timepoints after the training part."""
    x_train = x[:train_end]
    # Windows reach back: the first timepoints stand in the middle of some, too.
    first = train_end - length + 1
    rest = x[first:]
    if method == "largest step":
        yield "", np.abs(np.diff(x))[train_end - 1 :]
    elif method == "matrix profile":
        profile = stumpy.stump(rest, length, x_train, ignore_trivial=False)[:, 0]
        centered = np.full(len(rest), -np.inf)
        centered[length // 2 :][: len(profile)] = profile
        yield "", centered[train_end - first :]
    else:
        windows = Windows(length, step=max(1, length // N_STEPS))
        X_train, X = windows.fit_transform(x_train), windows.transform(rest)
        for name, scores in window_scores(method, x_train, X_train, X, seed):
            yield name, windows.inverse_scores(scores, rest)[train_end - first :]


def measure(path, method, seed):
    """Score one recording; give a row of results per score that the method has."""
    with np.load(path) as file:
        x, train_end = file["x"].astype(float), int(file["train_end"])
        begin, end = (int(place) for place in file["anomaly"])
    period = dominant_period(x[:train_end])
    length = int(np.clip(2 * period, SHORTEST, LONGEST))
    tolerance = max(100, end - begin)
    start = time.perf_counter()
    for name, scores in timepoint_scores(method, x, train_end, length, seed):
        place = train_end + int(np.argmax(scores))
        yield {
            "dataset": path.stem,
            "seed": seed,
            "method": method + name,
            "length": length,
            "place": place,
            "found": int(begin - tolerance <= place <= end - 1 + tolerance),
            "seconds": round(time.perf_counter() - start, 2),
        }


def run(arguments):
    """Measure whatever is not in the file yet."""
    done = {
        (row["dataset"], row["seed"], row["method"]) for row in read_rows(arguments.out)
    }
    for path in sorted(arguments.data.glob("*.npz")):
        if arguments.datasets and path.stem[:3] not in arguments.datasets:
            continue
        for seed in arguments.seeds:
            for method in arguments.methods:
                if method == "matrix profile" and stumpy is None:
                    continue
                if (path.stem, seed, method) in done:
                    continue
                rows = list(measure(path, method, seed))
                # The row that tells that a method is done comes last.
                for row in reversed(rows):
                    append_row(arguments.out, row)


def table(out):
    """Print the share of recordings in which each method finds the anomaly."""
    results = pd.DataFrame(read_rows(out)).drop_duplicates(
        ["dataset", "seed", "method"], keep="last"
    )
    by_method = results.groupby("method", sort=False)
    summary = pd.DataFrame(
        {
            "recordings": by_method["dataset"].nunique(),
            "found": by_method["found"].mean().round(3),
            "seconds": by_method["seconds"].mean().round(1),
        }
    )
    print(summary.sort_values("found", ascending=False).to_markdown())


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("anomalies.jsonl"))
    parser.add_argument(
        "--datasets", nargs="+", help="numbers such as 001; all if none"
    )
    choices = [*METHODS, SAMPLER]
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=choices)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not arguments.table:
        if arguments.data is None:
            parser.error("--data is needed to run what is missing")
        run(arguments)
    table(arguments.out)


if __name__ == "__main__":
    main()
