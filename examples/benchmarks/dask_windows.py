"""A recording of a million windows, embedded by two workers of Dask.

The recording is a random walk in a memory map. It is cut into windows of 128 points
every 32, in blocks of 2,000, as the documentation's page on large data has it. The
encoder is untrained, because weights do not change the work.

Run `python examples/benchmarks/dask_windows.py folder` with room for 2.5 GB.
"""

import argparse
import os
import shutil
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from common import append_row
from distributed import Client, LocalCluster

import sktsrep
from sktsrep import SSLEncoder, Windows

LENGTH, STEP, BLOCK = 128, 32, 2000


def write_recording(path, n_windows):
    """Write the recording, a block at a time."""
    n_points = (n_windows - 1) * STEP + LENGTH
    recording = np.lib.format.open_memmap(path, "w+", np.float32, (n_points,))
    rng, level = np.random.default_rng(0), 0.0
    for start in range(0, n_points, 1_000_000):
        part = recording[start : start + 1_000_000]
        part[...] = level + rng.standard_normal(len(part)).cumsum()
        level = float(part[-1])


def read_block(path, block_id):
    """Cut one block of windows out of the recording."""
    start = block_id[0] * BLOCK * STEP
    stop = start + (BLOCK - 1) * STEP + LENGTH
    part = np.load(path, mmap_mode="r")[start:stop]
    return Windows(LENGTH, step=STEP).fit_transform(part)


def embeddings_of(path, model, n_windows):
    """Make the task graph."""
    series = da.map_blocks(
        lambda block_id: read_block(path, block_id),
        chunks=((BLOCK,) * (n_windows // BLOCK), (LENGTH,)),
        meta=np.empty((0, LENGTH), np.float32),
    )
    embed = sktsrep.block_function(model)
    empty = embed(np.empty((0, LENGTH), np.float32))
    return series.map_blocks(
        embed, meta=empty, chunks=(series.chunks[0], *empty.shape[1:])
    )


def status(model):
    """Memory of a worker in GB: peak so far, and private memory now."""
    sktsrep.block_function(model)(np.zeros((2, LENGTH), np.float32))  # opens the model
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return [int(sizes[name].split()[0]) * 1024 / 1e9 for name in ("VmHWM", "RssAnon")]


def main():
    """Measure and write one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for recording, model and results")
    parser.add_argument("--windows", type=int, default=1_000_000)
    options = parser.parse_args()
    folder, n_windows = options.folder, options.windows
    folder.mkdir(exist_ok=True)
    path, model = folder / "recording.npy", folder / "model.safetensors"
    write_recording(path, n_windows)
    some = read_block(path, (0,))
    encoder = SSLEncoder(level="latent", max_epochs=0, device="cpu", random_state=0)
    encoder.fit(some).save(model)
    embeddings = embeddings_of(path, model, n_windows)
    target = folder / "embeddings"
    shutil.rmtree(target, ignore_errors=True)
    begin = time.perf_counter()
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        before = client.run(status, model)
        start, cpu = time.perf_counter(), cpu_seconds(client)
        da.to_npy_stack(str(target), embeddings)
        seconds, cpu = time.perf_counter() - start, cpu_seconds(client) - cpu
        after = client.run(status, model)
    stack = da.from_npy_stack(str(target))
    expected = encoder.transform(read_block(path, (7,)))
    is_same = np.array_equal(stack[7 * BLOCK : 8 * BLOCK].compute(), expected)
    row = {
        "n_windows": n_windows,
        "n_features": stack.shape[1],
        "seconds": round(seconds, 1),
        "seconds_to_start": round(start - begin, 1),
        "worker_cpu_seconds": round(cpu, 1),
        "peak_gb": [round(values[0], 3) for values in after.values()],
        "peak_above_model_gb": [
            round(after[worker][0] - before[worker][0], 3) for worker in after
        ],
        "private_gb": [round(values[1], 3) for values in after.values()],
        "same_bits": bool(is_same),
    }
    append_row(folder / "dask_windows.jsonl", row)


def cpu_seconds(client):
    """Processor seconds of all workers."""
    return sum(client.run(lambda: sum(os.times()[:2])).values())


if __name__ == "__main__":
    dask.config.set(
        {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
    )
    main()
