"""What ``generation.py`` needs: windows, splits, copied series, published figures."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from common import load

RECORDINGS = {
    "stocks": "stock_data.csv",
    "ETTh1": "ETTh1.csv",
    "energy": "energy_data.csv",
}

# Series on each side of a metric: judges and distances take minutes with more.
MAX_COMPARED = 3000


@dataclass(frozen=True)
class Setting:
    """Name a table: a data set, how it is cut and split, and a seed.

    ``length`` is None for UCR data sets, whose series are not cut.
    """

    dataset: str
    length: int | None
    split: str
    seed: int


@dataclass(eq=False)  # compared by identity, so that functions can be cached
class Task:
    """Hold the series of a setting.

    Models and copies learn from ``X_train``. What they give is compared with
    ``X_real``. ``X_floor`` is other real series, whose number and labels the generated
    ones have. Labels are None for recordings. ``low`` and ``high`` are the range of
    every channel before it was scaled.
    """

    setting: Setting
    X_train: np.ndarray
    X_real: np.ndarray
    X_floor: np.ndarray
    y_train: np.ndarray | None = None
    y_real: np.ndarray | None = None
    y_floor: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


# --------------------------------------------------------------- windows and splits


def make_task(setting, data, max_windows):
    """Read the series of a setting."""
    rng = np.random.default_rng(setting.seed)
    if setting.split == "official":
        return official_task(setting, data, rng)
    values, low, high = read_recording(data, setting.dataset)
    split = {"papers": papers_parts, "honest": honest_parts}[setting.split]
    parts = split(values, setting.length, max_windows, rng)
    return Task(setting, *parts, low=low, high=high)


def official_task(setting, data, rng):
    """Read a UCR data set in its official split, in random order."""
    path = data / "ucr" / f"{setting.dataset}.npz"
    X_train, y_train, X_test, y_test = load(path)
    test = rng.permutation(len(X_test))[:MAX_COMPARED]
    train = rng.permutation(len(X_train))[:MAX_COMPARED]
    return Task(
        setting,
        X_train,
        X_test[test],
        X_train[train],
        y_train,
        y_test[test],
        y_train[train],
    )


def read_recording(data, name):
    """Read a recording (n_timepoints, n_channels) scaled to [0, 1], and its range."""
    table = pd.read_csv(data / "generation" / RECORDINGS[name])
    values = table.drop(columns="date", errors="ignore").to_numpy(np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    return (values - low) / (high - low), low, high


def papers_parts(values, length, max_windows, rng):
    """Train on all windows and compare with them, as published tables do.

    The floor compares two random halves, so that all rows have half of the windows.
    """
    X = thinned(windows(values, length), max_windows)
    n = min(len(X) // 2, MAX_COMPARED)
    rows = rng.permutation(len(X))[: 2 * n]
    return X, X[rows[:n]], X[rows[n:]]


def honest_parts(values, length, max_windows, rng):
    """Train on some blocks of the recording, and compare with others."""
    train, test = (
        thinned(
            np.concatenate([windows(block, length) for block in blocks]), max_windows
        )
        for blocks in alternating_blocks(values, length)
    )
    real = test[rng.permutation(len(test))[:MAX_COMPARED]]
    return train, real, train[rng.permutation(len(train))[:MAX_COMPARED]]


def alternating_blocks(values, length):
    """Cut a recording into blocks for training and for test, in turns.

    Between two blocks, as many timepoints as a window has are left out. The first 80 %
    against the last 20 % would not do: prices rise and seasons change, so that even the
    real parts are told apart at 0.35 to 0.49. Short blocks drift least.
    """
    size = max(4 * length, 200)
    starts = range(0, len(values) - length + 1, size + length)
    blocks = [values[start : start + size] for start in starts]
    return blocks[::2], blocks[1::2]


def windows(values, length):
    """Cut windows (n_windows, n_channels, length) with stride 1."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0)


def thinned(X, n):
    """Keep at most ``n`` evenly spaced windows."""
    return X[np.linspace(0, len(X) - 1, min(n, len(X))).round().astype(int)]


# -------------------------------------------------------------------- copied series


def whole_copies(task):
    """Draw training series again, of the labels that generated ones have."""
    return task.X_train[donors(task, np.random.default_rng(task.setting.seed))]


def block_bootstrap(task, n_blocks=3):
    """Join blocks of random training series of a class, each at its place in time."""
    rng = np.random.default_rng(task.setting.seed)
    X = np.empty_like(task.X_floor)
    edges = np.linspace(0, X.shape[-1], n_blocks + 1).round().astype(int)
    for start, stop in pairwise(edges):
        X[..., start:stop] = task.X_train[donors(task, rng)][..., start:stop]
    return X


def donors(task, rng):
    """Draw one training series per generated one, of the same class."""
    if task.y_train is None:
        return rng.integers(len(task.X_train), size=len(task.X_floor))
    return [rng.choice(np.flatnonzero(task.y_train == label)) for label in task.y_floor]


# ---------------------------------------------------------------- published figures

# GRU discriminative score / Context-FID / correlational score.
#
# "WFM": Wavelet Flow Matching for Time Series (ETH, 2026) ran all methods with one
# evaluator, on standardized windows. "own": each method's authors; TimeGAN's and
# TimeVAE's from Diffusion-TS, FlowTS's, SDFlow's and MSDformer's from later papers.
# ST-Diff's scaling or evaluator must differ: its predictive score on energy is below
# that of real data. Context-FID takes a TS2Vec encoder, whose unit is not ours.
PUBLISHED = """
source method            length stocks          ETTh1           energy
WFM    Diffusion-TS      24     .083/.175/.015  .074/.137/.053  .120/.090/.902
WFM    SigDiffusion      24     .364/3.285/.172 .355/2.473/.186 .500/4.241/7.579
WFM    FourierDiffusion  24     .018/.039/.013  .018/.025/.052  .118/.217/1.312
WFM    WaveletDiff       24     .009/.020/.005  .014/.026/.054  .311/.482/1.234
WFM    FlowTS            24     .014/.017/.015  .008/.025/.044  .079/.042/.957
WFM    WFM               24     .012/.005/.007  .005/.005/.042  .098/.010/.890
WFM    Diffusion-TS      64     .107/.354       .090/.267       .203/.085
WFM    FourierDiffusion  64     .017/.111       .043/.089       .178/.446
WFM    WaveletDiff       64     .003/.059       .024/.104       .435/.438
WFM    FlowTS            64     .011/.038       .017/.052       .116/.172
WFM    WFM               64     .010/.014       .005/.012       .312/.079
WFM    Diffusion-TS      128    .118/.611       .165/.994       .231/.074
WFM    FourierDiffusion  128    .041/.272       .095/.319       .301/.837
WFM    WaveletDiff       128    .015/.112       .010/.158       .463/.501
WFM    FlowTS            128    .020/.063       .009/.097       .296/.260
WFM    WFM               128    .007/.043       .007/.037       .411/.123
own    TimeGAN           24     .102/.103/.063  .114/.300/.210  .236/.767/4.010
own    TimeVAE           24     .145/.215/.095  .209/.805/.111  .499/1.631/1.688
own    Diffusion-TS      24     .067/.147/.004  .061/.116/.049  .122/.089/.856
own    ImagenTime        24     .037            -               .040
own    PaD-TS            24     .055            -               .078
own    FlowTS            24     .019            .011            .053
own    SDFlow            24     .003            -               .007
own    MSDformer         24     .005            -               .010
own    ST-Diff           24     .015/.040/.003  .005/.050/.047  .009/.025/.592
"""

PUBLISHED_UCR = (
    "Published means over the eleven sets, with their own FCN and numbers of series: "
    "TimeVQVAE FID 4.26, CAS 0.874; NC-VQVAE (VIbCReg, noise) FID 8.36, CAS 0.834."
)


def published(dataset, length):
    """Give the published figures as rows of a table."""
    header, *lines = PUBLISHED.strip().splitlines()
    table = [dict(zip(header.split(), line.split(), strict=True)) for line in lines]
    names = ["gru", "context_fid", "correlational"]
    return [
        {"method": f"{row['method']} (published, {row['source']})"}
        | dict(zip(names, map(float, row[dataset].split("/")), strict=False))
        for row in table
        if int(row["length"]) == length and row[dataset] != "-"
    ]
