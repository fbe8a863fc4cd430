"""Anomalies of recordings: the UCR anomaly archive, NAB and SKAB.

A method learns from the beginning of a recording and scores the timepoints of the rest.
The beginning is the archive's training part (UCR), what NAB never scores (15 %, at most
750 timepoints), or the first 400 (SKAB, eight sensors). All methods see the same
windows: two dominant periods long, as the autocorrelation of the beginning has it, and
not longer than the archive's beginnings allow. No label chooses anything. Windows
overlap; a timepoint's score is the mean over its windows, those that have it in their
middle counting most.

A recording of the UCR archive has one anomaly. A method has found it when the most
unusual timepoint is no farther from it than it is long, or 100 timepoints. AUC-PR is
the average precision of timepoints, VUS-PR is explained in ``anomaly_scores.py``.
Results are one JSON line per run. Runs that are already in the file are not repeated,
so it is safe to stop.

    python examples/benchmarks/anomalies.py --archive ucr --data DIR --out results.jsonl

``DIR`` holds folders ``ucr``, ``nab`` and ``skab`` of ``<name>.npz``: ``x``,
``train_end`` and ``anomaly`` (begin and end); ``x`` and ``windows`` (begins and ends);
``X`` and ``label``.
"""

import argparse
import copy
import itertools
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from anomaly_scores import vus_pr
from common import append_row, read_rows
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep.anomaly import AnomalyDetector
from sktsrep.recordings import Windows

try:
    import stumpy
except ImportError:
    stumpy = None

SHORTEST = 32
LONGEST = {"ucr": 512, "nab": 64, "skab": 64}
N_STEPS = 8  # windows per window length
MOST_NEIGHBORS = 20_000
QUERIES_AT_ONCE = 512

DETECTOR = "AnomalyDetector"  # trains no network
TRAINED = {  # on request: minutes for every recording
    "AnomalyDetector of SSLVQTokenizer": SSLVQTokenizer,
    "AnomalyDetector of MaskGITSampler": MaskGITSampler,
}
METHODS = [
    DETECTOR,
    "matrix profile",
    "nearest window",
    "nearest window, z-normalized",
    "PCA",
    "isolation forest",
    "largest step",
]


# --------------------------------------------------------------------------- recordings


def load(path):
    """Read a recording, where its beginning ends, and which timepoints are anomalous.

    The recording is (n_timepoints,) or (n_timepoints, n_channels).
    """
    with np.load(path) as file:
        if "label" in file:
            x, train_end, labels = file["X"].astype(float), 400, file["label"] == 1
            scale = x[:train_end].std(axis=0)  # sensors have units of their own
            return (x - x[:train_end].mean(axis=0)) / scale, train_end, labels
        x = file["x"].astype(float)
        if "windows" in file:
            anomalies = file["windows"]
            train_end = min(int(0.15 * len(x)), 750)
        else:
            anomalies, train_end = [file["anomaly"]], int(file["train_end"])
    labels = np.zeros(len(x), dtype=bool)
    for begin, end in anomalies:
        labels[begin:end] = True
    return x, train_end, labels


def window_length(x_train, longest):
    """Two dominant periods, or the median of those of the channels."""
    channels = x_train.reshape(len(x_train), -1).T
    periods = [dominant_period(channel, longest // 2) for channel in channels]
    return int(np.clip(2 * np.median(periods), SHORTEST, longest))


def dominant_period(x, longest):
    """Find the lag of the highest peak of the autocorrelation, or the longest."""
    x = x - x.mean()
    most = min(longest, len(x) // 4)
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[: most + 1] / np.arange(len(x), 0, -1)[: most + 1]
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    peaks = peaks[correlation[peaks] > 0]
    return int(peaks[correlation[peaks].argmax()]) if len(peaks) else most


# ------------------------------------------------------------------------------ methods


def flat(windows):
    """Put the channels of every window one after the other."""
    return windows.reshape(len(windows), -1)


def nearest_window(x_train, windows, normalize):
    """Distance of every window to the nearest one of the training part."""
    memory = np.lib.stride_tricks.sliding_window_view(x_train, windows.shape[-1], 0)
    memory = memory[:: -(-len(memory) // MOST_NEIGHBORS)]
    if normalize:
        memory, windows = z_normalized(memory), z_normalized(windows)
    memory, windows = flat(memory), flat(windows)
    squares = np.square(memory).sum(axis=1)
    distances = []
    for start in range(0, len(windows), QUERIES_AT_ONCE):
        part = windows[start : start + QUERIES_AT_ONCE]
        nearest = (squares - 2 * part @ memory.T).min(axis=1)
        distances.append(nearest + np.square(part).sum(axis=1))
    return np.sqrt(np.maximum(np.concatenate(distances), 0))


def z_normalized(windows):
    """Give channels of windows mean 0 and deviation 1, or 0 where they are constant."""
    windows = windows - windows.mean(axis=-1, keepdims=True)
    deviation = windows.std(axis=-1, keepdims=True)
    return windows / np.where(deviation > 1e-8, deviation, np.inf)


def pca_error(X_train, X):
    """Squared error of windows in the space of 90 % of the training variance."""
    pca = PCA(0.9, svd_solver="full").fit(flat(X_train))
    error = pca.inverse_transform(pca.transform(flat(X))) - flat(X)
    return np.square(error).reshape(len(X), -1, X.shape[-1]).mean(axis=1)


def isolation(X_train, X, seed):
    """Score windows by an isolation forest."""
    forest = IsolationForest(random_state=seed).fit(flat(X_train))
    return -forest.score_samples(flat(X))


def detector_scores(detector, X_train, X):
    """Score timepoints by all components of a detector, by some, and by each alone."""
    detector.fit(X_train)
    yield "", -detector.score_timepoints(X)
    for names in [*([name] for name in detector.scores_), ["shape", "values"]]:
        some = copy.copy(detector)
        some.scores_ = tuple(names)  # calibrated one by one: one fit serves all
        yield f": {' and '.join(names)}", -some.score_timepoints(X)


def window_scores(method, x_train, X_train, X, seed):
    """Give names and scores of windows or of their timepoints, high if unusual."""
    if method == DETECTOR:
        return detector_scores(AnomalyDetector(), X_train, X)
    if method in TRAINED:
        detector = AnomalyDetector(TRAINED[method](), random_state=seed)
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
        steps = np.abs(np.diff(x, axis=0))[train_end - 1 :]
        yield "", steps.reshape(len(steps), -1).mean(axis=1)
    elif method == "matrix profile":
        profile = stumpy.stump(rest, length, x_train, ignore_trivial=False)[:, 0]
        profile = profile.astype(float)
        centered = np.full(len(rest), profile.min())
        centered[length // 2 :][: len(profile)] = profile
        yield "", centered[train_end - first :]
    else:
        windows = Windows(length, step=max(1, length // N_STEPS))
        X_train, X = windows.fit_transform(x_train), windows.transform(rest)
        for name, scores in window_scores(method, x_train, X_train, X, seed):
            yield name, windows.inverse_scores(scores, rest)[train_end - first :]


def measure(path, archive, method, seed):
    """Score one recording; give a row of results per score that the method has."""
    x, train_end, labels = load(path)
    length = window_length(x[:train_end], LONGEST[archive])
    start = time.perf_counter()
    for name, scores in timepoint_scores(method, x, train_end, length, seed):
        seconds = time.perf_counter() - start
        row = {
            "archive": archive,
            "dataset": path.stem,
            "seed": seed,
            "method": method + name,
            "length": length,
            "auc_pr": round(average_precision_score(labels[train_end:], scores), 4),
            "vus_pr": round(vus_pr(labels[train_end:], scores), 4),
            "seconds": round(seconds, 2),
        }
        yield row | (find(labels, train_end, scores) if archive == "ucr" else {})


def find(labels, train_end, scores):
    """Tell the most unusual timepoint, and whether it is near the one anomaly."""
    anomaly = np.flatnonzero(labels)
    tolerance = max(100, len(anomaly))
    place = train_end + int(np.argmax(scores))
    found = anomaly[0] - tolerance <= place <= anomaly[-1] + tolerance
    return {"place": place, "found": int(found)}


def runs(arguments):
    """List recordings, seeds and methods that are not in the file yet."""
    done = {
        (row["dataset"], row["seed"], row["method"]) for row in read_rows(arguments.out)
    }
    chosen = tuple(arguments.datasets or [""])  # every name begins with an empty one
    for path in sorted((arguments.data / arguments.archive).glob("*.npz")):
        x, train_end, labels = load(path)
        if not path.stem.startswith(chosen) or not labels[train_end:].any():
            continue
        for seed, method in itertools.product(arguments.seeds, arguments.methods):
            # The matrix profile is that of a single channel.
            is_out = method == "matrix profile" and (stumpy is None or x.ndim > 1)
            if not is_out and (path.stem, seed, method) not in done:
                yield path, seed, method


def run(arguments):
    """Measure whatever is not in the file yet."""
    for path, seed, method in runs(arguments):
        rows = list(measure(path, arguments.archive, method, seed))
        # The row that tells that a method is done comes last.
        for row in reversed(rows):
            append_row(arguments.out, row)


def table(out):
    """Print the means of every method, archive by archive."""
    results = pd.DataFrame(read_rows(out)).drop_duplicates(
        ["dataset", "seed", "method"], keep="last"
    )
    for archive, rows in results.groupby("archive"):
        by_method = rows.groupby("method", sort=False)
        measures = {"found", "vus_pr", "auc_pr"} & set(rows.dropna(axis=1, how="all"))
        summary = by_method[sorted(measures)].mean().round(3)
        summary.insert(0, "recordings", by_method["dataset"].nunique())
        summary["seconds"] = by_method["seconds"].mean().round(1)
        print(f"\n{archive}\n")
        print(summary.sort_values("vus_pr", ascending=False).to_markdown())


def main():
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", choices=LONGEST, default="ucr")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("anomalies.jsonl"))
    parser.add_argument(
        "--datasets", nargs="+", help="how names begin, such as 001; all if none"
    )
    choices = [*METHODS, *TRAINED]
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
