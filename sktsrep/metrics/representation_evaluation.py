"""Table of representations under several probes, beside their baselines."""

from functools import partial
from inspect import Parameter, signature

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    check_cv,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import (
    _safe_indexing,
    check_consistent_length,
    check_random_state,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import has_fit_parameter

from sktsrep._inputs import as_array_like
from sktsrep._validation import check_positive_int
from sktsrep.metrics._checks import (
    check_labels,
    check_numbers,
    check_size,
    check_vectors,
    series_for,
    with_one_shape,
)

__all__ = ["evaluate_representation"]

_N_INNER_FOLDS = 3  # to choose C; enough, and possible with three series per class
_N_DRAWS = 20  # of shots, averaged, because a single draw is mostly chance


def _default_probes(labels, weighted):
    """Make probes for a training part; their penalties are chosen within it."""
    fewest = np.unique(labels, return_counts=True)[1].min()
    if fewest < 2:
        raise ValueError(
            "A class has one series in a training part, but choosing C needs two: use "
            "fewer folds or other probes."
        )
    n_folds = min(_N_INNER_FOLDS, fewest)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)

    def search(classifier, strengths):
        name = type(classifier).__name__.lower()
        pipe = make_pipeline(StandardScaler(), classifier)
        return GridSearchCV(pipe, {f"{name}__C": strengths}, cv=folds)

    # C a decade apart; the iterations let both solvers converge on hard tasks.
    probes = {
        "logistic regression": search(
            LogisticRegression(max_iter=10_000), np.logspace(-3, 3, 7)
        ),
        "linear SVC": search(
            LinearSVC(max_iter=100_000, random_state=0), np.logspace(-4, 1, 6)
        ),
    }
    if not weighted:  # neighbors take no weights
        neighbors = make_pipeline(StandardScaler(), KNeighborsClassifier(5))
        probes["5-NN"] = neighbors
    return probes


def _weight_parameters(probe):
    """Name the parameters of ``fit`` that give weights to a probe and its steps.

    The list is empty if the probe, or the last step of it, takes none.
    """
    if isinstance(probe, (GridSearchCV, RandomizedSearchCV)):
        return _weight_parameters(probe.estimator)
    if not isinstance(probe, Pipeline):
        return ["sample_weight"] if has_fit_parameter(probe, "sample_weight") else []
    names = {name: _weight_parameters(step) for name, step in probe.steps}
    if not names[probe.steps[-1][0]]:
        return []
    return [f"{name}__{inner}" for name in names for inner in names[name]]


def _fit_weighted(probe, Z, labels, weight):
    """Fit a clone of a probe, with weights if there are any."""
    if weight is None:
        return clone(probe).fit(Z, labels)
    parameters = dict.fromkeys(_weight_parameters(probe), weight)
    with config_context(enable_metadata_routing=False):
        return clone(probe).fit(Z, labels, **parameters)


def _score_weighted(scorer, fitted, Z, labels, weight):
    if weight is None:
        return scorer(fitted, Z, labels)
    with config_context(enable_metadata_routing=False):
        return scorer(fitted, Z, labels, sample_weight=weight)


def _few_shot_score(train, test, n_shots, score, seed):
    """Classify by the nearest mean of ``n_shots`` series per class; average draws."""
    rng = np.random.RandomState(seed)  # the same shots for every representation
    (Z, labels, weight), (Z_test, *labels_test) = train, test
    scaler = StandardScaler().set_output(transform="default")
    scaler.fit(Z, sample_weight=weight)
    Z, Z_test = scaler.transform(Z), scaler.transform(Z_test)
    weight = np.ones(len(Z)) if weight is None else weight
    classes = np.unique(labels[weight > 0])
    rows_of = [np.flatnonzero((labels == c) & (weight > 0)) for c in classes]
    scores = []
    for _ in range(_N_DRAWS):
        # Not NearestCentroid: it refuses classes without spread, as with one shot.
        shots = [rng.permutation(rows)[:n_shots] for rows in rows_of]
        means = [np.average(Z[s], axis=0, weights=weight[s]) for s in shots]
        nearest = KNeighborsClassifier(1).fit(means, classes)
        scores.append(score(nearest, Z_test, *labels_test))
    return np.mean(scores)


def _probe_scores(train, test, probes, n_shots, scorer, seed):
    """Yield the name of each probe and its score on the test part."""
    score = partial(_score_weighted, scorer)
    for name, probe in probes.items():
        yield name, score(_fit_weighted(probe, *train), *test)
    for n in n_shots:
        yield f"{n}-shot", _few_shot_score(train, test, n, score, seed)


def _untrained(estimator):
    """Clone an estimator without its training; None if it has no ``max_epochs``."""
    if isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    copied = clone(estimator)
    names = [name for name in copied.get_params() if _is_max_epochs(name)]
    return copied.set_params(**dict.fromkeys(names, 0)) if names else None


def _is_max_epochs(name):
    return name.split("__")[-1] == "max_epochs"


def _flat(X):
    return np.asarray(X).reshape(len(X), -1)


def _with_baselines(estimators):
    raw = FunctionTransformer(_flat).set_output(transform="default")
    untrained = {f"{name}, untrained": _untrained(e) for name, e in estimators.items()}
    untrained = {name: e for name, e in untrained.items() if e is not None}
    return estimators | untrained | {"raw series": raw}


def _check_series(X):
    """Check series; give them, and whether they have gaps: then, as one array."""
    numbers = check_numbers(X, "X", allow_nan=True)
    if numbers.ndim < 2:
        raise ValueError(
            "X must have shape (n_samples, n_timepoints) or (n_samples, n_channels, "
            f"n_timepoints), got shape {numbers.shape}."
        )
    has_gaps = bool(np.isnan(numbers).any())
    if has_gaps:
        (X,) = with_one_shape(X=X)
    check_size(numbers, "X")
    return as_array_like(X, "X", pad=True), has_gaps


def _check_tasks(n_samples, y):
    rows = range(n_samples)
    tasks = dict(y) if isinstance(y, dict) else {"y": y}
    if not tasks:
        raise ValueError("y must have labels of at least one task, got none.")
    for name, labels in tasks.items():
        labels = check_labels(labels, "y" if name == "y" else f"y[{name!r}]")
        check_consistent_length(rows, labels)
        check_classification_targets(labels)
        tasks[name] = labels
        if len(np.unique(labels)) < 2:
            raise ValueError(f"Task {name!r} has one class, so nothing to predict.")
    return tasks


def _check_shots(n_shots):
    """Check numbers of series per class."""
    if not np.iterable(n_shots):
        raise TypeError(f"n_shots must be a sequence of ints, got {n_shots!r} instead.")
    for i, number in enumerate(n_shots):
        check_positive_int(number, f"n_shots[{i}]")


def _check_weight(sample_weight, n_samples, folds):
    """Check weights: not negative, and some weight in both parts of every fold."""
    weight = check_numbers(sample_weight, "sample_weight")
    if weight.shape != (n_samples,) or weight.min() < 0:
        raise ValueError(
            f"sample_weight must hold {n_samples} weights of 0 or more, got shape "
            f"{weight.shape} and values from {weight.min()}."
        )
    if not all(weight[rows].any() for fold in folds for rows in fold):
        raise ValueError("sample_weight is 0 everywhere in a part of a fold.")
    check_size(weight, "sample_weight")
    return weight


def _check_weighable(probes, scorer):
    """Raise ValueError if a probe or the scorer takes no weights."""
    for name, probe in (probes or {}).items():
        if not _weight_parameters(probe):
            raise ValueError(
                f"Probe {name!r} takes no sample_weight in fit: leave out "
                "sample_weight, or give probes that take it."
            )
    parameters = signature(scorer).parameters
    takes_any = Parameter.VAR_KEYWORD in {p.kind for p in parameters.values()}
    if "sample_weight" not in parameters and not takes_any:
        raise ValueError(
            "scoring takes no sample_weight: leave out sample_weight, or give a scorer "
            "made by sklearn.metrics.make_scorer."
        )


def evaluate_representation(
    estimator,
    X,
    y,
    *,
    probes=None,
    n_shots=(1, 5),
    cv=5,
    scoring="accuracy",
    baselines=True,
    groups=None,
    sample_weight=None,
    random_state=0,
):
    """Cross-validate probes of frozen representations, beside their baselines.

    In each fold, a clone of the transformer is fitted on the training series without
    labels, and classifiers are trained on its output. Scaling and the choice of
    penalties are part of the fold.

    Parameters
    ----------
    estimator : transformer or dict of str to transformer
        Transformers that compute the representations. One that is fitted and wrapped in
        a :class:`~sklearn.frozen.FrozenEstimator` is not fitted again; it should not
        have seen ``X``.
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
            n_timepoints)
        Series. A list may hold series of unequal length. NaN means missing or, after
        the end of a series, not there. Transformers that take NaN see the series as
        they are. For others, as for the baseline of raw series, missing values are
        bridged by lines, and the last value is held after an end.
    y : array-like of shape (n_samples,) or dict of str to those
        Labels of one task, or of several by name.
    probes : dict of str to classifier, default=None
        None is logistic regression and linear SVC, with C chosen by three inner folds,
        and 5 nearest neighbors, all on standardized features.
    n_shots : sequence of int, default=(1, 5)
        Adds a nearest-class-mean probe for each number of labeled series per class (all
        series of a class that has fewer), averaged over 20 draws. It standardizes by
        the whole training part.
    cv : int, splitter or iterable, default=5
        Outer folds, the same for all tasks; an int stratifies by the first task.
    scoring : str or callable, default="accuracy"
        Scikit-learn scorer.
    baselines : bool, default=True
        Whether to add majority vote, raw series and the untrained network, which is a
        clone with ``max_epochs=0``, for estimators with this parameter.
    groups : array-like of shape (n_samples,), default=None
        Groups that outer folds keep together, such as subjects, for a splitter such as
        :class:`~sklearn.model_selection.GroupKFold`. The inner folds that choose C
        ignore them.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of 0 or more, for probes and scores. The representations are fitted
        without them. All probes must take ``sample_weight`` in ``fit``; the default
        probes are then without 5 nearest neighbors, and C is chosen by scores without
        weights.
    random_state : int, RandomState instance or None, default=0
        Draws the shots.

    Returns
    -------
    DataFrame
        Columns representation, task, probe, and the mean, standard deviation (sd) and
        number (n) of the scores over folds. Training parts overlap, so the standard
        error is larger than sd / sqrt(n).

    Notes
    -----
    NC-VQVAE fits the representation on the training part of a data set and scores
    linear SVC and 5-NN on its test part. For this protocol, concatenate both parts and
    pass ``cv=PredefinedSplit(...)``; sd is then undefined.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sktsrep.metrics import evaluate_representation
    >>> y = np.arange(20) % 2
    >>> X = np.sin(np.linspace(0, 9, 48) * (1 + y[:, None])) + np.arange(20)[:, None]
    >>> table = evaluate_representation(PCA(3), X, y, cv=2, n_shots=())
    >>> table.groupby("representation")["mean"].max().round(2)
    representation
    PCA              1.0
    majority vote    0.5
    raw series       1.0
    Name: mean, dtype: float64
    """
    X, has_gaps = _check_series(X)
    tasks = _check_tasks(len(X), y)
    _check_shots(n_shots)
    first = next(iter(tasks.values()))
    if groups is not None:
        groups = check_labels(groups, "groups")
        check_consistent_length(first, groups)
    rows = np.zeros(len(first))  # splitters look at the number of rows alone
    folds = list(check_cv(cv, first, classifier=True).split(rows, first, groups))
    if not isinstance(estimator, dict):
        estimator = {type(estimator).__name__: estimator}
    if baselines:
        estimator = _with_baselines(estimator)
    scorer = get_scorer(scoring)
    weight = sample_weight
    if weight is not None:
        _check_weighable(probes, scorer)
        weight = _check_weight(sample_weight, len(first), folds)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    # Before any fit, because default probes refuse folds with too few series per class.
    probes_by_fold = [
        {
            task: (
                _default_probes(labels[train], weight is not None)
                if probes is None
                else probes
            )
            for task, labels in tasks.items()
        }
        for train, _ in folds
    ]
    probe = partial(_probe_scores, n_shots=n_shots, scorer=scorer, seed=seed)
    rows = []
    for representation, transformer in estimator.items():
        for fold, probes_of in zip(folds, probes_by_fold, strict=True):
            Z = _represent(representation, transformer, X, fold, has_gaps)
            scores = _fold_scores(Z, tasks, weight, fold, probes_of, probe)
            rows += [(representation, *score) for score in scores]
    if baselines:
        rows += _majority_votes(tasks, weight, folds, scorer)
    keys = ["representation", "task", "probe"]
    table = pd.DataFrame(rows, columns=[*keys, "score"])
    scores = table.groupby(keys, sort=False)["score"]
    return scores.agg(mean="mean", sd="std", n="count").reset_index()


def _represent(name, transformer, X, fold, has_gaps):
    """Fit a representation on one fold; compute that of both parts."""
    X_train, X_test = (_safe_indexing(X, rows) for rows in fold)
    if not hasattr(transformer, "transform"):
        raise TypeError(
            f"estimator must be a transformer, but {name!r} is a "
            f"{type(transformer).__name__}, which has no transform."
        )
    if has_gaps:
        X_train, X_test = series_for(transformer, X_train=X_train, X_test=X_test)
    with np.errstate(all="ignore"):  # the result is checked
        fitted = clone(transformer).fit(X_train, None)
        Z = [np.asarray(fitted.transform(part)) for part in (X_train, X_test)]
    for z in Z:
        z_name = f"the output of estimator {name!r}"
        check_size(check_vectors(z, z_name), z_name)
    return Z


def _fold_scores(Z, tasks, weight, fold, probes_of, probe):
    """Yield task, probe and score of a representation on one fold."""
    for task, labels in tasks.items():
        train, test = (
            (z, labels[rows], None if weight is None else weight[rows])
            for z, rows in zip(Z, fold, strict=True)
        )
        for name, score in probe(train, test, probes_of[task]):
            yield task, name, score


def _majority_votes(tasks, weight, folds, scorer):
    for task, labels in tasks.items():
        for fold in folds:
            train, test = (
                (rows[:, None], labels[rows], None if weight is None else weight[rows])
                for rows in fold
            )
            vote = _fit_weighted(DummyClassifier(), *train)
            score = _score_weighted(scorer, vote, *test)
            yield "majority vote", task, "majority vote", score
