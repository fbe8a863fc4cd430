"""Embeddings of sets that the pre-trained encoder has never seen, against MiniRocket.

Three encoders were trained as the shipped one, each without a third of the sets and of
their relatives (see `examples/pretraining/pretrain.py`). Every set is embedded by the
one that did not see it. Beside it stand the same network untrained, which is the floor,
and MiniRocket, which draws random kernels and needs no training either. Splits are the
official ones, and penalties are chosen on the training part.

    python examples/benchmarks/pretrained.py --data DIR --weights DIR --out FILE

``--weights`` holds ``fold0.safetensors`` to ``fold2.safetensors`` and
``untrained.safetensors``. Results are one JSON line per set and representation; those
that are in the file are not repeated. ``--table`` prints their means.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from aeon.transformations.collection.convolution_based import MiniRocket
from common import append_row, load, read_rows, ridge_probe
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sktsrep
from sktsrep import PretrainedEncoder
from sktsrep._gaps import bridge

sys.path.append(str(Path(__file__).parents[1] / "pretraining"))
from pretrain import N_FOLDS, folds

N_LABELS = 5  # of every class, in the probe with few labels
N_DRAWS = 5
MOST_VALUES = 800_000  # of a set: larger ones take long


class OtherWeights(PretrainedEncoder):
    """The pre-trained encoder with the weights of another file."""

    def __init__(self, path, scales=(128, 256, 512)):
        super().__init__(scales=scales, device="cpu")
        self.path = path

    def fit(self, X, y=None):
        super().fit(X)
        self.encoder_ = sktsrep.load(self.path)
        return self


def representations(weights, fold):
    """Make every arm of the comparison, by name."""
    unseen, untrained = weights / f"fold{fold}.safetensors", "untrained.safetensors"
    return {
        "pre-trained": OtherWeights(unseen),
        "untrained": OtherWeights(weights / untrained),
        "MiniRocket": MiniRocket(random_state=0, n_jobs=1),
    }


def few_labels(y, rng):
    """Choose some rows of every class."""
    rows = [rng.permutation(np.flatnonzero(y == label))[:N_LABELS] for label in set(y)]
    return np.concatenate(rows)


def probe(Z_train, y_train, Z_test, y_test):
    """Accuracies on the test part."""
    rng = np.random.default_rng(0)
    knn = KNeighborsClassifier(min(5, len(Z_train)))
    scores = {
        "ridge": ridge_probe().fit(Z_train, y_train).score(Z_test, y_test),
        "5-NN": make_pipeline(StandardScaler(), knn)
        .fit(Z_train, y_train)
        .score(Z_test, y_test),
    }
    draws = [few_labels(y_train, rng) for _ in range(N_DRAWS)]
    scores["5 labels a class"] = np.mean(
        [
            ridge_probe().fit(Z_train[rows], y_train[rows]).score(Z_test, y_test)
            for rows in draws
        ]
    )
    return {name: float(score) for name, score in scores.items()}


def evaluate(representation, X_train, y_train, X_test, y_test):
    """Embed both parts and probe."""
    if isinstance(representation, MiniRocket):  # it takes no missing values
        X_train, X_test = (bridge(X.astype(float)) for X in (X_train, X_test))
        if X_train.shape[-1] < 9:
            X_train, X_test = (np.repeat(X, 2, axis=-1) for X in (X_train, X_test))
    start = time.perf_counter()
    Z_train = np.asarray(representation.fit_transform(X_train))
    Z_test = np.asarray(representation.transform(X_test))
    seconds = time.perf_counter() - start
    scores = probe(Z_train, y_train, Z_test, y_test)
    return scores | {"n_features": Z_train.shape[1], "seconds": seconds}


def table(rows):
    """Print mean accuracies over the sets that every arm has."""
    frame = pd.DataFrame(rows)
    counts = frame.groupby(["archive", "dataset"])["arm"].transform("nunique")
    frame = frame[counts == counts.max()]
    columns = ["ridge", "5-NN", "5 labels a class", "seconds", "n_features"]
    means = frame.groupby(["archive", "arm"])[columns].mean()
    print(frame.groupby("archive")["dataset"].nunique())
    print(means.round(3).to_markdown())
    wide = frame.pivot(index=["archive", "dataset"], columns="arm", values="ridge")
    difference = wide["pre-trained"] - wide["MiniRocket"]
    print(
        "wins, ties, losses:", *((np.sign(difference) == s).sum() for s in (1, 0, -1))
    )


def main():
    """Run what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=range(N_FOLDS))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.table:
        table(read_rows(options.out))
        return
    paths = {path.stem: path for path in sorted(options.data.glob("u[ce][ra]/*.npz"))}
    done = {(row["dataset"], row["arm"]) for row in read_rows(options.out)}
    size = {name: sum(x.size for x in load(path)[::2]) for name, path in paths.items()}
    for name, fold in sorted(folds(paths).items(), key=lambda item: size[item[0]]):
        if fold not in options.folds or size[name] > MOST_VALUES:
            continue
        data = load(paths[name])
        for arm, representation in representations(options.weights, fold).items():
            if (name, arm) in done:
                continue
            row = {"dataset": name, "archive": paths[name].parent.name, "arm": arm}
            append_row(options.out, row | evaluate(representation, *data))


if __name__ == "__main__":
    main()
