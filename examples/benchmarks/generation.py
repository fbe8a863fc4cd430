"""Generated series against real ones: stocks, ETTh1, energy and eleven UCR sets.

Rows are what stands in for generated series: those of the default ``SSLVQTokenizer``
and ``MaskGITSampler``; the tokenizer's reconstructions of training series; other real
series, which is the floor; blocks of training series joined, and whole training series
again, which any generator should beat; the untrained networks; and, on request,
TimeVQVAE in one and three times our CPU seconds. Published figures stand beside them.

Recordings are cut into windows of 24, 64 and 128 timepoints. The split "papers" is that
of published tables: the windows that are learned from are those that are compared with.
In "honest", blocks of the recording alternate between training and test. Its windows
overlap within blocks, so a judge that knows many blocks also tells real series apart:
read its floor first. UCR sets have their official split. All rows of a table compare
the same real series with equally many others, as far as the number matters.

All parameters are defaults, and no choice is made on a score of this table: choose on a
part of the training data. Results are one JSON line per run, and undefined metrics are
null. Runs that are already in the file are not repeated, so it is safe to stop.

    python examples/benchmarks/generation.py --data DIR --out generation.jsonl
    python examples/benchmarks/generation.py --data DIR --quick
    python examples/benchmarks/generation.py --table --out generation.jsonl
    python examples/benchmarks/generation.py --data DIR --quick --pictures FOLDER

The last draws 24 real series and 24 samples per table, side by side without saying
which is which; ``sides.txt`` in the folder tells. ``DIR`` holds ``generation/*.csv``
and ``ucr/*.npz``. One seed takes about eight hours of one core and ``--quick`` about
one, as estimated from single steps and two tables.
"""

import argparse
import dataclasses
import functools
import math
import multiprocessing
import sys
import time
from itertools import product
from pathlib import Path

import generation_peer as peer
import numpy as np
import pandas as pd
import torch
from common import UCR_DATASETS, append_row, read_rows
from generation_data import (
    PUBLISHED_UCR,
    RECORDINGS,
    Setting,
    block_bootstrap,
    make_task,
    published,
    whole_copies,
)
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from sktsrep import MaskGITSampler, SSLEncoder, SSLVQTokenizer
from sktsrep.fcn import FCNClassifier
from sktsrep.metrics import (
    autocorrelation_difference,
    classification_accuracy_score,
    context_fid,
    correlational_score,
    discriminative_score,
    frechet_distance,
    marginal_difference,
    memorization_ratio,
    roughness_ratio,
)

QUICK_RECORDINGS = ["stocks", "ETTh1"]
QUICK_UCR = ["GunPoint", "ECG5000"]
QUICK_WINDOWS = 1500
MAX_WINDOWS = 6000

N_JUDGES = 5  # trainings of the GRU judge whose mean is reported, as in the papers
QUICK_JUDGES = 2

# Series for likelihoods and nearest neighbors, which are slow and need few.
N_FEW = 1000

# ------------------------------------------------------------------------------ rows


@functools.lru_cache(maxsize=1)  # for the rows of one task
def fit_sampler(task, device, max_epochs):
    """Fit both stages; give the sampler and the CPU seconds it took."""
    common = {
        "random_state": task.setting.seed,
        "device": device,
        "max_epochs": max_epochs,
    }
    start = time.process_time()
    tokenizer = SSLVQTokenizer(**common).fit(task.X_train)
    sampler = MaskGITSampler(FrozenEstimator(tokenizer), **common)
    sampler.fit(task.X_train, task.y_train)
    return sampler, time.process_time() - start


def sampled(task, sampler, fit_seconds, **parameters):
    """Draw series of the labels of the floor; give them, and what it cost."""
    start = time.process_time()
    X = sampler.sample(len(task.X_floor), y=task.y_floor, **parameters)
    seconds = time.process_time() - start
    speed = len(X) / seconds
    return X, {"fit_seconds": fit_seconds, "samples_per_second": speed}


def our_row(task, device, max_epochs="auto"):
    """Sample from the default model, and compute its likelihoods."""
    sampler, seconds = fit_sampler(task, device, max_epochs)
    X, facts = sampled(task, sampler, seconds, random_state=task.setting.seed)
    parts = {"trained_nats": task.X_floor}
    if task.setting.split != "papers":
        parts["held_out_nats"] = task.X_real
    for name, part in parts.items():
        facts[name] = guarded(name, likelihood, sampler, part[:N_FEW])
    return X, facts


def likelihood(sampler, X):
    """Compute the mean pseudo-log-likelihood per token, in nats."""
    return sampler.score_samples(X).mean() / sampler.n_tokens_


def reconstructed_row(task, device):
    """Reconstruct training series."""
    sampler, _ = fit_sampler(task, device, "auto")
    return sampler.tokenizer_.reconstruct(task.X_floor), {}


def peer_row(task, times, out):
    """Sample from TimeVQVAE, trained in a multiple of our CPU seconds."""
    ours = dataclasses.asdict(task.setting) | {"method": "sktsrep"}
    (seconds,) = (
        row["fit_seconds"] for row in read_rows(out) if ours.items() <= row.items()
    )
    start = time.process_time()
    model = peer.Peer(times * seconds, task.setting.seed)
    model.fit(task.X_train, task.y_train)
    return sampled(task, model, time.process_time() - start)


def rows(device, out):
    """Make every row of a table, by name: functions that give series and facts."""
    return {
        "sktsrep": lambda task: our_row(task, device),
        "reconstructions": lambda task: reconstructed_row(task, device),
        "real": lambda task: (task.X_floor, {}),
        "block bootstrap": lambda task: (block_bootstrap(task), {}),
        "training windows again": lambda task: (whole_copies(task), {}),
        "untrained": lambda task: our_row(task, device, max_epochs=0),
        "TimeVQVAE x1": lambda task: peer_row(task, 1, out),
        "TimeVQVAE x3": lambda task: peer_row(task, 3, out),
    }


# --------------------------------------------------------------------------- metrics


@functools.lru_cache(maxsize=1)
def fit_encoder(task, device):
    """Fit the encoder of Context-FID on training series.

    Its latent map has about 500 features: enough series for a covariance.
    """
    encoder = SSLEncoder(level="latent", random_state=task.setting.seed, device=device)
    return FrozenEstimator(encoder.fit(task.X_train))


@functools.lru_cache(maxsize=1)
def fit_classifier(task, device):
    """Fit the FCN of published Frechet distances on training series."""
    network = FCNClassifier(random_state=task.setting.seed, device=device)
    return FrozenEstimator(network.fit(task.X_train, task.y_train))


def gru_score(real, generated, n_judges):
    """Compute TimeGAN's discriminative score, the mean of several trainings."""
    scores = [
        discriminative_score(real, generated, protocol="timegan", random_state=seed)
        for seed in range(n_judges)
    ]
    return np.mean(scores)


def outside_range(task, X):
    """Compute the share of days whose open or close is not between low and high."""
    # The file has six decimals; more than that is rounding.
    prices = np.round(unscaled(task, X), 6)
    opened, high, low, closed = (prices[:, channel] for channel in range(4))
    inside = [(low <= price) & (price <= high) for price in (opened, closed)]
    return 1 - np.mean(inside[0] & inside[1])


def volume_ratio(task, X):
    """Divide the 99 % quantile of traded volume by that of real windows."""
    volumes = [unscaled(task, part)[:, 5] for part in (X, task.X_real)]
    generated, real = (np.quantile(volume, 0.99) for volume in volumes)
    return generated / real


def unscaled(task, X):
    """Undo the scaling of a recording's windows."""
    return X * (task.high - task.low)[:, None] + task.low[:, None]


def metrics(task, X, device, n_judges):
    """Make the metrics of a row that are defined for the task, by name."""
    setting = task.setting
    n = min(len(task.X_real), len(X))
    pair = task.X_real[:n], X[:n]
    every = task.X_real, X  # for means, which do not depend on the number of series
    table = {
        "discriminative": lambda: discriminative_score(*pair),
        "frechet": lambda: frechet_distance(*pair),
        "context_fid": lambda: context_fid(*pair, fit_encoder(task, device)),
        "roughness": lambda: roughness_ratio(*every),
        "marginal": lambda: marginal_difference(*pair),
        "autocorrelation": lambda: autocorrelation_difference(*every),
    }
    if setting.split != "papers":  # without held-out windows it is undefined
        few = task.X_real[:N_FEW], X[:N_FEW]
        table["memorization"] = lambda: memorization_ratio(task.X_train, *few)
    if task.y_real is None:
        # Not on UCR sets: it takes hours on long series, and there are no figures.
        table["gru"] = lambda: gru_score(*pair, n_judges)
        table["correlational"] = lambda: correlational_score(*every)
    else:
        # Both classifiers see the same series on each side, in every row.
        labeled = task.X_real, task.y_real, X, task.y_floor
        cas = functools.partial(classification_accuracy_score, *labeled)
        table["frechet_fcn"] = lambda: frechet_distance(
            *pair, features=fit_classifier(task, device)
        )
        table["cas"] = cas
        table["cas_reverse"] = lambda: cas(train_on="real")
    if setting.dataset == "stocks":
        table["impossible"] = lambda: outside_range(task, X)
        table["volume_q99"] = lambda: volume_ratio(task, X)
    return table


def guarded(name, function, *arguments):
    """Compute a metric; None, with a message, where that fails.

    Hours of other runs are worth more than one figure.
    """
    try:
        value = float(function(*arguments))
    except Exception as error:
        print(f"{name} is undefined: {error}", file=sys.stderr)
        return None
    return value if math.isfinite(value) else None


# -------------------------------------------------------------------------- pictures

N_DRAWN = 24


def draw_pair(task, device, folder):
    """Draw real series and samples one above the other, on sides drawn by lot."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    name = task.setting.dataset
    sampler, _ = fit_sampler(task, device, "auto")
    X, _ = sampled(task, sampler, 0, random_state=task.setting.seed)
    rng = np.random.default_rng()
    pair = {"real": task.X_real, "samples": X}
    sides = rng.permutation(list(pair))
    figure, panels = plt.subplots(1, 2, figsize=(10, 10), sharey=True)
    for side, panel in zip(sides, panels, strict=True):
        series = pair[side][rng.permutation(len(pair[side]))[:N_DRAWN]]
        series = series.reshape(N_DRAWN, -1, series.shape[-1])[:, 0]
        panel.plot(series.T + 2 * series.std() * np.arange(N_DRAWN), "k", lw=0.7)
        panel.set(xlabel="timepoint", yticks=[])
    figure.tight_layout()
    file = f"{name}_{task.setting.length}_{task.setting.split}".replace("_None", "")
    figure.savefig(folder / f"{file}.png", dpi=80)
    plt.close(figure)
    with (folder / "sides.txt").open("a") as text:
        text.write(f"{file}: {' | '.join(sides)}\n")


# --------------------------------------------------------------------------- running


def settings(arguments):
    """List the tables to make: seeds, data sets, lengths and splits."""
    found = []
    for seed, dataset in product(arguments.seeds, arguments.datasets):
        if dataset not in RECORDINGS:
            found.append(Setting(dataset, None, "official", seed))
            continue
        cuts = product(arguments.lengths, ["papers", "honest"])
        found += [Setting(dataset, length, split, seed) for length, split in cuts]
    return found


def run_setting(setting, arguments):
    """Measure the rows of a table that are not in the file yet."""
    key = dataclasses.asdict(setting)
    done = {
        row["method"] for row in read_rows(arguments.out) if key.items() <= row.items()
    }
    missing = [method for method in arguments.rows if method not in done]
    if not missing:
        return
    make_row = rows(arguments.device, arguments.out)
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        task = make_task(setting, arguments.data, arguments.max_windows)
        for method in missing:
            X, facts = make_row[method](task)
            scores = metrics(task, X, arguments.device, arguments.judges)
            if method == "real":  # 0: they are training series
                scores.pop("memorization", None)
            row = {**key, "method": method, "n": min(len(X), len(task.X_real))}
            row |= {name: guarded(name, score) for name, score in scores.items()}
            append_row(arguments.out, row | facts)


def draw_all(arguments):
    """Draw a picture per table."""
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    for setting in settings(arguments):
        task = make_task(setting, arguments.data, arguments.max_windows)
        draw_pair(task, arguments.device, arguments.pictures)


def run(arguments):
    """Make all tables, several at a time, each in a process of its own."""
    calls = [(setting, arguments) for setting in settings(arguments)]
    if arguments.jobs == 1:
        for call in calls:
            run_setting(*call)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.jobs) as pool:
        pool.starmap(run_setting, calls, chunksize=1)


# ------------------------------------------------------------------------- reporting


def table(out):
    """Print the means over seeds: a table per recording and cut, then the UCR sets."""
    results = pd.DataFrame(read_rows(out))
    official = results["split"] == "official"
    for (dataset, length, split), part in results[~official].groupby(
        ["dataset", "length", "split"], sort=False
    ):
        means = averaged(part, ["method"])
        if split == "papers":
            others = pd.DataFrame(published(dataset, length)).set_index("method")
            means = pd.concat([means, others])
        print(f"\n{dataset}, windows of {length:.0f}, split {split}\n")
        print_table(means)
    print(
        "\nPublished rows come from other evaluators: compare their Context-FID and "
        "correlational\nscores with one another only."
    )
    if official.any():
        ucr_tables(averaged(results[official], ["method", "dataset"]))


def averaged(results, keys):
    """Average over seeds, without columns that are empty."""
    numbers = results.drop(columns=["seed", "length"]).dropna(axis=1, how="all")
    return numbers.groupby(keys, sort=False).mean(numeric_only=True)


def ucr_tables(means):
    """Print means over UCR data sets, and the main columns by data set."""
    print("\nUCR, mean over data sets\n")
    print_table(means.groupby("method", sort=False).mean())
    print(f"\n{PUBLISHED_UCR}")
    for column in ("frechet_fcn", "discriminative", "cas", "memorization", "roughness"):
        print(f"\n{column}\n")
        print_table(means[column].unstack("method"))


def print_table(frame):
    """Print a frame as Markdown, with four significant digits."""
    print(frame.map(lambda value: f"{value:.4g}").replace("nan", "-").to_markdown())


def parse():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="needed unless --table")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="four sets, few windows")
    parser.add_argument("--table", action="store_true", help="print and run nothing")
    parser.add_argument("--pictures", type=Path, help="draw to this folder, no table")
    names = [*RECORDINGS, *UCR_DATASETS]
    parser.add_argument("--datasets", nargs="+", help=f"of {names}, or any UCR set")
    parser.add_argument("--lengths", type=int, nargs="+")
    every_row = list(rows(None, None))
    without_peer = [row for row in every_row if not row.startswith("TimeVQVAE")]
    parser.add_argument("--rows", nargs="+", choices=every_row, default=without_peer)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="cpu", help="costs are in CPU seconds")
    parser.add_argument("--threads", type=int, default=1, help="of each job")
    parser.add_argument("--jobs", type=int, default=2, help="tables at a time")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.out = arguments.out or Path(f"generation{'_quick' * quick}.jsonl")
    arguments.datasets = arguments.datasets or (
        QUICK_RECORDINGS + QUICK_UCR if quick else names
    )
    arguments.lengths = arguments.lengths or ([24] if quick else [24, 64, 128])
    arguments.max_windows = QUICK_WINDOWS if quick else MAX_WINDOWS
    arguments.judges = QUICK_JUDGES if quick else N_JUDGES
    if arguments.data is None and not arguments.table:
        parser.error("--data is needed to run anything")
    if set(arguments.rows) - set(without_peer):
        check_peer(parser, arguments.rows)
    return arguments


def check_peer(parser, chosen):
    """Stop if the rows of TimeVQVAE cannot be made."""
    if peer.VQVAE is None:
        parser.error(
            "TimeVQVAE is not installed: pip install --ignore-requires-python "
            "--no-deps timevqvae && pip install einops"
        )
    if "sktsrep" not in chosen:
        parser.error("TimeVQVAE's rows need the CPU seconds of the row sktsrep")


def main():
    """Run what is missing, then print the tables."""
    arguments = parse()
    if arguments.pictures:
        draw_all(arguments)
        return
    if not arguments.table:
        run(arguments)
    table(arguments.out)


if __name__ == "__main__":
    main()
