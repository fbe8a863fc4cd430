"""A GPU in earnest: what a step costs, what a fit takes, and whether it is right.

It needs no data and no network. It runs the tests that are for GPUs, then times, on
synthetic series:

- steps of the tokenizer and of the MaskGIT sampler, small and large. "eager" launches
  every kernel by itself, "recorded" is what ``fit`` does by default, with CUDA graphs,
  and "compiled" is ``compile=True``, recorded too;
- whole fits with default parameters on 500 series of 140 timepoints, as many as
  ECG5000 has, and sampling of 10,000 series.

Shares of the peak are those of a product of two matrices of 8192 x 8192 in bfloat16,
measured in the same run. Operations are counted by torch.

Run `python examples/benchmarks/gpu.py` on a machine with a CUDA device.
"""

import argparse
import itertools
import json
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

import sktsrep
from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep._training import net as net_module

ROOT = Path(__file__).parents[2]
STEPS_PER_EPOCH = 10
EPOCHS = 6
TESTS = (
    "pytest -q -m gpu -n 6 -p no:benchmark -W ignore::DeprecationWarning "
    "tests/test_gpu.py tests/test_common.py tests/test_validation.py"
)
MODES = ["recorded", "eager", "compiled"]
SETTINGS = dict(device="cuda", random_state=0, validation_fraction=None)
LARGE = dict(hidden_dim=1024, n_layers=12, n_heads=16, batch_size=512, amp=True)


def make_series(n_series, n_timepoints=140):
    """Draw noisy sums of three waves, and labels."""
    rng = np.random.default_rng(0)
    cycles, phase = rng.uniform([[[2]], [[0]]], [[[20]], [[7]]], (2, n_series, 3))
    angle = cycles[..., None] * np.linspace(0, 2 * np.pi, n_timepoints)
    X = np.sin(angle + phase[..., None]).sum(axis=1)
    X += 0.3 * rng.standard_normal(X.shape)
    return X.astype(np.float32), (cycles[:, 0] > 11).astype(int)


def seconds(function):
    """Time a call, waiting for the device before and after."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    torch.cuda.synchronize()
    return time.perf_counter() - start, result


def peak():
    """Operations per second of a large product of matrices in bfloat16."""
    a, b = torch.randn(2, 8192, 8192, device="cuda", dtype=torch.bfloat16)
    times = [seconds(lambda: [a @ b for _ in range(10)])[0] / 10 for _ in range(4)]
    return 2 * 8192**3 / min(times)


class CountOperations(Callback):
    """Count the floating-point operations of the first step of a training."""

    def on_batch_begin(self, net, training=False, **kwargs):
        if training and net.n_steps_ == 0:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()

    def on_batch_end(self, net, training=False, **kwargs):
        if training and net.n_steps_ == 1:
            self.counter.__exit__(None, None, None)


def operations(make, batch, *data):
    """Floating-point operations of a step."""
    count = CountOperations()
    make(max_epochs=1, callbacks=[count], **SETTINGS).fit(*(x[:batch] for x in data))
    return count.counter.get_total_flops()


def steps(make, mode, *data):
    """Fit for some epochs, and give the seconds of a step."""
    estimator = make(max_epochs=EPOCHS, compile=mode == "compiled", **SETTINGS)
    recorded = net_module.can_be_recorded
    if mode == "eager":
        net_module.can_be_recorded = lambda net: False
    try:
        estimator.fit(*data)
    finally:
        net_module.can_be_recorded = recorded
    return statistics.median(estimator.history_["dur"][2:]) / STEPS_PER_EPOCH


def measure_steps(modes):
    """Yield a row per network and mode."""
    highest = peak()
    yield {"measure": "peak", "tflops": highest / 1e12}
    tokenizer = SSLVQTokenizer(ssl=None, max_epochs=2, **SETTINGS)
    tokenizer = FrozenEstimator(tokenizer.fit(make_series(1000)[0]))
    networks = {
        "stage 1, default": (SSLVQTokenizer, {}, 128),
        "stage 1, ssl=None": (SSLVQTokenizer, dict(ssl=None), 128),
        "stage 1, hidden_dim=512, batch 512, amp": (
            SSLVQTokenizer,
            dict(hidden_dim=512, batch_size=512, amp=True),
            512,
        ),
        "stage 2, default": (MaskGITSampler, dict(tokenizer=tokenizer), 128),
        "stage 2, width 1024, 12 layers, batch 512, amp": (
            MaskGITSampler,
            dict(tokenizer=tokenizer, **LARGE),
            512,
        ),
    }
    for mode, (name, (cls, params, batch)) in itertools.product(
        modes, networks.items()
    ):
        X, y = make_series(STEPS_PER_EPOCH * batch)
        data = (X,) if cls is SSLVQTokenizer else (X, y)
        make = partial(cls, **params)
        duration = steps(make, mode, *data)
        yield {
            "measure": name,
            "mode": mode,
            "steps_per_second": 1 / duration,
            "share_of_peak": operations(make, batch, *data) / duration / highest,
        }


def measure_fits():
    """Yield seconds of default fits, and of sampling."""
    X, y = make_series(500)
    seconds(lambda: SSLVQTokenizer(max_epochs=2, **SETTINGS).fit(X))  # loads libraries
    duration, tokenizer = seconds(
        lambda: SSLVQTokenizer(device="cuda", random_state=0).fit(X)
    )
    yield {"measure": "SSLVQTokenizer().fit", "seconds": duration}
    sampler = MaskGITSampler(FrozenEstimator(tokenizer), device="cuda", random_state=0)
    duration, sampler = seconds(lambda: sampler.fit(X, y))
    yield {"measure": "MaskGITSampler().fit", "seconds": duration}
    sampler.sample(1024)
    duration, _ = seconds(lambda: sampler.sample(10_000, random_state=0))
    yield {"measure": "sample(10_000)", "seconds": duration}
    many = np.tile(X, (200, 1))
    for method in ("transform", "encode"):
        duration, _ = seconds(lambda method=method: getattr(tokenizer, method)(many))
        yield {"measure": f"{method} of 100,000 series", "seconds": duration}


def machine():
    """Describe hardware and versions."""
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "sktsrep": sktsrep.__version__,
    }


def main():
    """Test and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", nargs="*", choices=MODES, default=MODES)
    parser.add_argument("--no-tests", action="store_true")
    options = parser.parse_args()
    print(json.dumps(machine()), flush=True)
    if not options.no_tests:
        command = f"{sys.executable} -m {TESTS}"
        subprocess.run(command.split(), cwd=ROOT, check=False)
    for measure in (measure_fits(), measure_steps(options.modes)):
        for row in measure:
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
