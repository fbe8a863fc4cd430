"""Memory that fits and transforms of large data take, above the process's start.

Series of 128 points are float32 in a memory map. Every run is a process of its own, so
that peaks are not mixed, and writes one line:

- "fit" is ``SSLEncoder().fit``. Memory is highest soon after the first step, so the
  training is stopped after ``--steps`` of them; 0 trains to the end.
- "transform" is ``transform(X, out=)`` of an untrained encoder into a memory map.

"private" is memory that only this process has, "file" are pages of mapped files, which
the system can take back: the series, the temporary file of the training data, and the
results. Peaks of both are read every 20 milliseconds, on Linux only.

Run `python examples/benchmarks/memory.py folder` with room for 1.5 GB. What is measured
already is not measured again.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import sklearn
from common import append_row, read_rows
from skorch.callbacks import Callback

from sktsrep import SSLEncoder

N_TIMEPOINTS = 128
BLOCK = 10_000
SECONDS = 0.02
GB = 1e9

# Measure, number of series, scikit-learn's working_memory in MiB, level of embeddings.
RUNS = [
    ("fit", 10_000, 1024, "all"),
    ("fit", 100_000, 1024, "all"),
    ("fit", 1_000_000, 1024, "all"),
    ("fit", 1_000_000, 64, "all"),
    ("transform", 10_000, 1024, "all"),
    ("transform", 100_000, 1024, "all"),
    ("transform", 1_000_000, 1024, "latent"),
]


def write_series(path, n_series):
    """Write random walks, a block at a time."""
    shape = n_series, N_TIMEPOINTS
    X = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    rng = np.random.default_rng(0)
    for start in range(0, n_series, BLOCK):
        part = X[start : start + BLOCK]
        part[...] = rng.standard_normal(part.shape, np.float32).cumsum(axis=1)


def pages():
    """Private memory and pages of files of this process, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    private, file, shared = (
        int(sizes[name].split()[0]) * 1024 / GB
        for name in ("RssAnon", "RssFile", "RssShmem")
    )
    return np.array([private, file + shared])


class Peak:
    """The highest of :func:`pages` in a block of code, above its start."""

    def __enter__(self):
        self.start = self.highest = pages()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        """Look until the block is over."""
        while not self.is_over.wait(SECONDS):
            self.highest = np.maximum(self.highest, pages())

    def __exit__(self, *error):
        self.is_over.set()
        self.thread.join()
        private, file = np.maximum(self.highest, pages()) - self.start
        self.row = {"private_gb": round(private, 3), "file_gb": round(file, 3)}


class StopAfter(Callback):
    """Time steps, and interrupt the training after some of them."""

    def __init__(self, n_steps):
        self.n_steps = n_steps
        self.begin = None

    def on_train_begin(self, net, **kwargs):
        """Called by skorch when the data are ready."""
        self.begin = self.end = time.perf_counter()

    def on_batch_end(self, net, **kwargs):
        """Called by skorch after a step."""
        self.end = time.perf_counter()
        if net.n_steps_ == self.n_steps:
            raise KeyboardInterrupt


def measure_fit(X, n_steps):
    """Seconds until the first step, and of a step."""
    stop = StopAfter(n_steps)
    encoder = SSLEncoder(device="cpu", random_state=0, callbacks=[stop])
    start, n_done = time.perf_counter(), n_steps
    try:
        encoder.fit(X)
        n_done = encoder.net_.n_steps_
    except KeyboardInterrupt:
        pass
    return {
        "steps": n_done,
        "seconds_before": round(stop.begin - start, 1),
        "seconds_per_step": round((stop.end - stop.begin) / n_done, 4),
    }


def measure_transform(X, encoder, path):
    """Seconds of all series."""
    shape = len(X), len(encoder.get_feature_names_out())
    out = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    start = time.perf_counter()
    encoder.transform(X, out=out)
    path.unlink()
    return {"n_features": shape[1], "seconds": round(time.perf_counter() - start, 1)}


def run(folder, measure, n_series, working_memory, level, n_steps):
    """Measure in this process, and print the result as JSON."""
    X = np.load(folder / f"{n_series}.npy", mmap_mode="r")
    # What torch makes only once is no matter of size.
    encoder = SSLEncoder(level=level, max_epochs=1, device="cpu", random_state=0)
    encoder.fit(np.array(X[:512]))
    encoder.transform(np.array(X[:512]))
    with sklearn.config_context(working_memory=working_memory), Peak() as peak:
        if measure == "fit":
            row = measure_fit(X, n_steps)
        else:
            row = measure_transform(X, encoder, folder / "embeddings.npy")
    row |= {"cpu_seconds": round(time.process_time(), 1), **peak.row}
    print(json.dumps(row))


def main():
    """Start a process per run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for series and results")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--run", help="index of the run to measure in this process")
    options = parser.parse_args()
    if options.run:
        run(options.folder, *RUNS[int(options.run)], options.steps)
        return
    options.folder.mkdir(exist_ok=True)
    results = options.folder / "memory.jsonl"
    for i, (measure, n_series, working_memory, level) in enumerate(RUNS):
        settings = {
            "measure": measure,
            "n_series": n_series,
            "working_memory": working_memory,
            "level": level,
            "n_steps": options.steps if measure == "fit" else None,
        }
        if any(settings.items() <= row.items() for row in read_rows(results)):
            continue
        path = options.folder / f"{n_series}.npy"
        if not path.exists():
            write_series(path, n_series)
        command = [sys.executable, __file__, str(options.folder), "--run", str(i)]
        command += ["--steps", str(options.steps)]
        output = subprocess.check_output(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        append_row(results, settings | json.loads(output))


if __name__ == "__main__":
    main()
