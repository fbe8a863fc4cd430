"""Train what `SSLEncoder.from_pretrained` and `SSLVQTokenizer.from_pretrained` give.

It sees series of many sets at once, without labels: the training parts of UCR and UEA
sets, each channel a series of its own, and random walks and waves that nobody recorded.
Every series is resampled to one of a few lengths and standardized. Test parts are never
read.

    python examples/pretraining/pretrain.py --data DIR --out base.safetensors
    python examples/pretraining/pretrain.py --data DIR --model tokenizer \\
        --out base_tokenizer.safetensors

``DIR`` holds ``ucr/<name>.npz`` and ``uea/<name>.npz``, with ``X_train``. ``--fold``
leaves out a third of the sets, for a model that has never seen them; relatives, such
as the two Cricket sets, are left out together. A training that was stopped goes on from
its ``.checkpoint``.
"""

import argparse
import re
from pathlib import Path

import numpy as np
import torch

from sktsrep import SSLEncoder, SSLVQTokenizer

# What to train, on series of which lengths, in how many steps. The places of a latent
# map are made for the longest series; tokens tell of no more than eight timepoints.
MODELS = {
    "encoder": (SSLEncoder, (128, 256, 512), 2000),
    "tokenizer": (SSLVQTokenizer, (128, 256), 3000),
}

N_FOLDS = 3
BATCH_SIZE = 64
MOST_SERIES = 200  # of a set
N_SYNTHETIC = 3000

# Sets of the same recordings, sensors or study begin alike.
RELATIVES = (
    "AllGesture|PickupGesture|ShakeGesture|GesturePebble",
    "BME|UMD",
    "Beef|Coffee|EthanolLevel|Ham|Meat|OliveOil|Strawberry|Wine",
    "BeetleFly|BirdChicken",
    "Computers|ElectricDevices|LargeKitchen|Refrigeration|ScreenType|SmallKitchen",
    "Cricket",
    "DistalPhalanx|MiddlePhalanx|ProximalPhalanx|Phalanges|Herring",
    "DodgerLoop|Chinatown|MelbournePedestrian",
    "ECG|TwoLeadECG|AtrialFibrillation",
    "EOG",
    "FiftyWords|WordSynonyms",
    "Ford",
    "Freezer|House",
    "GestureMidAir",
    "GunPoint",
    "Haptics|InlineSkate",
    "InsectEPG",
    "Lightning",
    "PLAID",
    "Pig",
    "ShapesAll|Symbols|FaceAll|OSULeaf|SwedishLeaf|ArrowHead",
    "Sony",
    "SyntheticControl|TwoPatterns|ShapeletSim|SmoothSubspace",
    "ToeSegmentation",
    "UWave",
    "Worms",
)


def family(name):
    """Name what a set shares with its relatives; that of the set where it has none."""
    for i, prefixes in enumerate(RELATIVES):
        if re.match(prefixes, name):
            return f"family {i}"
    return name


def folds(names):
    """Spread families of sets evenly over folds: a dict from name to fold."""
    members = {}
    for name in sorted(names):
        members.setdefault(family(name), []).append(name)
    order = np.random.default_rng(0).permutation(sorted(members))
    largest_first = sorted(order, key=lambda key: -len(members[key]))
    filled, result = [0] * N_FOLDS, {}
    for key in largest_first:
        fold = int(np.argmin(filled))
        filled[fold] += len(members[key])
        result |= dict.fromkeys(members[key], fold)
    return result


def resample(series, length):
    """Interpolate a series linearly to a length, and standardize it."""
    places = np.linspace(0, len(series) - 1, length)
    series = np.interp(places, np.arange(len(series)), series)
    return (series - series.mean()) / (series.std() + 1e-8)


def channels(path, rng):
    """Some series of the training part of a set, each channel by itself."""
    with np.load(path) as file:
        X = file["X_train"]
    X = X.reshape(-1, X.shape[-1])
    chosen = rng.permutation(len(X))[:MOST_SERIES]
    for series in X[np.sort(chosen)].astype(float):
        known = np.flatnonzero(np.isfinite(series))
        if len(known) < 8:
            continue
        times = np.arange(known[-1] + 1)  # the end of a shorter series is padding
        yield np.interp(times, known, series[known])


def synthetic(rng):
    """Draw a series: smooth, rough, periodic, or of several regimes, with noise."""
    n = int(rng.integers(64, 1024))
    time = np.linspace(0, 1, n)
    walk = rng.normal(size=n).cumsum()
    width = int(rng.integers(1, n // 4))
    smooth = np.convolve(rng.normal(size=n + width), np.hanning(width + 2), "same")[:n]
    phase = 2 * np.pi * (rng.uniform(1, 30) * time + rng.uniform())
    wave = [np.sin, lambda p: np.sign(np.sin(p)), lambda p: p % 1][rng.integers(3)]
    parts = np.stack([walk, smooth, wave(phase)])
    parts /= parts.std(axis=1, keepdims=True) + 1e-8
    if rng.random() < 0.3:  # regimes
        parts *= np.repeat(rng.exponential(size=(3, 8)), -(-n // 8), axis=1)[:, :n]
    mixed = rng.dirichlet([0.5] * 3) @ parts
    return mixed + rng.exponential(0.1) * rng.normal(size=n)


def make_data(data, fold, lengths):
    """Series of some lengths, ended by NaN, that a model is trained on."""
    rng = np.random.default_rng(0)
    paths = {path.stem: path for path in sorted(data.glob("u[ce][ra]/*.npz"))}
    left_out = folds(paths)
    series = [synthetic(rng) for _ in range(N_SYNTHETIC)]
    for name, path in paths.items():
        found = list(channels(path, rng))  # always, so that folds draw alike
        if left_out[name] != fold:
            series += found
    X = np.full((len(series), max(lengths)), np.nan, dtype=np.float32)
    for row, values in zip(X, series, strict=True):
        length = rng.choice(lengths)
        row[:length] = resample(values, length)
    return X


def main():
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, default="encoder")
    parser.add_argument("--fold", type=int, help="third of the sets to leave out")
    parser.add_argument("--steps", type=int, help="the model's own by default")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    make_model, lengths, n_steps = MODELS[options.model]
    n_steps = n_steps if options.steps is None else options.steps
    X = make_data(options.data, options.fold, lengths)
    print(f"{len(X)} series")
    model = make_model(
        n_fft=16,
        batch_size=BATCH_SIZE,
        max_epochs=round(n_steps * BATCH_SIZE / len(X)),
        device=options.device,
        random_state=0,
        verbose=1,
        checkpoint=options.out.with_suffix(".checkpoint"),
    )
    model.fit(X)
    model.set_params(checkpoint=None, verbose=0)
    model.save(options.out)


if __name__ == "__main__":
    main()
