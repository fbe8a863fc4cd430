"""Tables: representations under several probes, samplers under every metric."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, check_cv
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import (
    _safe_indexing,
    check_array,
    check_consistent_length,
    check_random_state,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from sktsrep.metrics.distances import context_fid, frechet_distance, mmd
from sktsrep.metrics.features import (
    RandomConvolutionFeatures,
    check_pair,
    default_classifier,
    draw_samples,
    with_axes_of,
)
from sktsrep.metrics.scores import (
    classification_accuracy_score,
    discriminative_score,
    inception_score,
    memorization_ratio,
    predictive_score,
)
from sktsrep.metrics.statistics import (
    autocorrelation_difference,
    kurtosis_difference,
    marginal_difference,
    skewness_difference,
)

__all__ = ["evaluate_representation", "evaluate_samples"]


def _default_probes(labels):
    """Probes for a training part; the penalty is chosen on parts of it."""
    fewest = np.unique(labels, return_counts=True)[1].min()
    if fewest < 2:
        raise ValueError(
            "A class has one series in a training part, but choosing C needs two: take "
            "fewer folds or other probes."
        )
    folds = StratifiedKFold(min(3, fewest), shuffle=True, random_state=0)

    def search(classifier, strengths):
        name = type(classifier).__name__.lower()
        pipe = make_pipeline(StandardScaler(), classifier)
        return GridSearchCV(pipe, {f"{name}__C": strengths}, cv=folds)

    return {
        "logistic regression": search(
            LogisticRegression(max_iter=10_000), np.logspace(-3, 3, 7)
        ),
        "linear SVC": search(
            LinearSVC(max_iter=100_000, random_state=0), np.logspace(-4, 1, 6)
        ),
        "5-NN": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
    }


def _few_shot_score(train, test, n_shots, scorer, seed, n_draws=20):
    """Nearest class mean of ``n_shots`` random series a class; mean of the draws."""
    rng = np.random.RandomState(seed)  # every representation has the same shots
    (Z, labels), (Z_test, labels_test) = train, test
    scaler = StandardScaler().set_output(transform="default").fit(Z)
    Z, Z_test = scaler.transform(Z), scaler.transform(Z_test)
    classes = np.unique(labels)
    rows_of = [np.flatnonzero(labels == label) for label in classes]
    scores = []
    for _ in range(n_draws):
        # Class means by hand: NearestCentroid wants spread within the classes.
        means = [Z[rng.permutation(rows)[:n_shots]].mean(axis=0) for rows in rows_of]
        nearest = KNeighborsClassifier(1).fit(means, classes)
        scores.append(scorer(nearest, Z_test, labels_test))
    return np.mean(scores)


def _probe_scores(train, test, probes, n_shots, scorer, seed):
    """Pairs of a probe's name and its score on the test part."""
    for name, probe in probes.items():
        yield name, scorer(clone(probe).fit(*train), *test)
    for n in n_shots:
        yield f"{n}-shot", _few_shot_score(train, test, n, scorer, seed)


def _untrained(estimator):
    """A clone whose training is one epoch of no step, or None where it has none."""
    if isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    copied = clone(estimator)
    params = copied.get_params()
    epochs = [name for name in params if name.split("__")[-1] == "max_epochs"]
    rates = [name for name in params if name.split("__")[-1] == "lr"]
    if not epochs or not rates:
        return None
    return copied.set_params(**dict.fromkeys(epochs, 1) | dict.fromkeys(rates, 1e-12))


def _flat(X):
    return np.asarray(X).reshape(len(X), -1)


def _with_baselines(estimators):
    raw = FunctionTransformer(_flat).set_output(transform="default")
    untrained = {f"{name}, untrained": _untrained(e) for name, e in estimators.items()}
    untrained = {name: e for name, e in untrained.items() if e is not None}
    return estimators | untrained | {"raw series": raw}


def _check_tasks(X, y):
    check_array(X, allow_nd=True, dtype=np.float64, input_name="X")
    tasks = dict(y) if isinstance(y, dict) else {"y": y}
    for name, labels in tasks.items():
        check_consistent_length(X, labels)
        check_classification_targets(labels)
        tasks[name] = column_or_1d(labels)
        if len(np.unique(tasks[name])) < 2:
            raise ValueError(f"Task {name!r} has one class: nothing to predict.")
    return tasks


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
    random_state=0,
):
    """Probe frozen representations by cross-validation, beside their baselines.

    In each fold a clone of the transformer is fitted on the training series, without
    labels, and classifiers are trained on its output; scaling and every choice of a
    penalty are part of the fold.

    Parameters
    ----------
    estimator : transformer or dict of str to transformer
        What makes the representation. A fitted one in a
        :class:`~sklearn.frozen.FrozenEstimator` stays as it is: it should not have
        seen ``X``.
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
            n_timepoints)
        Series.
    y : array-like of shape (n_samples,) or dict of str to those
        Labels, of one task or of several.
    probes : dict of str to classifier, default=None
        None is logistic regression and linear SVC, their C chosen by three inner
        folds, and 5 nearest neighbors, all on standardized features.
    n_shots : sequence of int, default=(1, 5)
        For each, the nearest class mean from that many labelled series a class (all of
        a class that has fewer), the mean of 20 draws. The scaling sees all series of
        the training part.
    cv : int, splitter or iterable, default=5
        Outer folds, the same for all tasks; an int stratifies by the first task.
    scoring : str or callable, default="accuracy"
        A scikit-learn scorer.
    baselines : bool, default=True
        Whether to add majority vote, the raw series and the untrained network: a
        clone with ``max_epochs=1`` and ``lr=1e-12``, where it has these parameters.
        Of a tokenizer, moving averages take the codebook on for that epoch.
    random_state : int, RandomState instance or None, default=0
        Draws the shots.

    Returns
    -------
    DataFrame
        Columns representation, task, probe, and mean, standard deviation (sd) and
        number (n) of the folds' scores. The training parts overlap: sd / sqrt(n) is
        less than the standard error.

    Notes
    -----
    NC-VQVAE's table has the linear SVC and 5-NN on the archive's one test part, the
    representation trained on its training part: ``cv=PredefinedSplit(...)`` with the
    two gives that protocol, and sd is then undefined.

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
    tasks = _check_tasks(X, y)
    first = next(iter(tasks.values()))
    folds = list(check_cv(cv, first, classifier=True).split(X, first))
    if not isinstance(estimator, dict):
        estimator = {type(estimator).__name__: estimator}
    if baselines:
        estimator = _with_baselines(estimator)
    scorer = get_scorer(scoring)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    # Before anything is fitted: they refuse folds with too few series of a class.
    probes_of = {
        (task, fold): _default_probes(labels[train]) if probes is None else probes
        for task, labels in tasks.items()
        for fold, (train, _) in enumerate(folds)
    }
    rows = []
    for representation, transformer in estimator.items():
        for fold, (rows_train, rows_test) in enumerate(folds):
            X_train, X_test = (
                _safe_indexing(X, rows) for rows in (rows_train, rows_test)
            )
            fitted = clone(transformer).fit(X_train, None)
            Z_train, Z_test = (
                np.asarray(fitted.transform(part)) for part in (X_train, X_test)
            )
            for task, labels in tasks.items():
                train, test = (Z_train, labels[rows_train]), (Z_test, labels[rows_test])
                chosen = probes_of[task, fold]
                scores = _probe_scores(train, test, chosen, n_shots, scorer, seed)
                rows += [(representation, task, *score) for score in scores]
    if baselines:
        rows += _majority_votes(tasks, folds, scorer)
    keys = ["representation", "task", "probe"]
    table = pd.DataFrame(rows, columns=[*keys, "score"])
    scores = table.groupby(keys, sort=False)["score"]
    return scores.agg(mean="mean", sd="std", n="count").reset_index()


def _majority_votes(tasks, folds, scorer):
    for task, labels in tasks.items():
        for train, test in folds:
            vote = DummyClassifier().fit(train[:, None], labels[train])
            score = scorer(vote, test[:, None], labels[test])
            yield "majority vote", task, "majority vote", score


def _against_test(X_test, y_test, features, encoder, classifier):
    """Functions of samples (and classes) that stand beside the test part."""
    metrics = {
        "frechet_distance": lambda X, y: frechet_distance(X_test, X, features=features),
        "frechet_distance, extrapolated": lambda X, y: frechet_distance(
            X_test, X, features=features, extrapolate=True
        ),
    }
    if encoder is not None:
        metrics["context_fid"] = lambda X, y: context_fid(X_test, X, encoder)
    for function in (
        mmd,
        marginal_difference,
        autocorrelation_difference,
        skewness_difference,
        kurtosis_difference,
        discriminative_score,
        predictive_score,
    ):
        metrics[function.__name__] = lambda X, y, f=function: f(X_test, X)
    if y_test is not None:
        metrics["classification_accuracy_score"] = lambda X, y: (
            classification_accuracy_score(X_test, y_test, X, y, classifier=classifier)
        )
    return metrics


def _against_train(X_train, X_test, y_train, classifier):
    """Functions of samples (and classes) that ask for the training part."""
    metrics = {
        "memorization_ratio": lambda X, y: memorization_ratio(X_train, X_test, X)
    }
    if y_train is not None:
        fitted = FrozenEstimator(clone(classifier).fit(X_train, y_train))
        metrics["inception_score"] = lambda X, y: inception_score(X, fitted)
        metrics["classification_accuracy_score, reverse"] = lambda X, y: (
            classification_accuracy_score(X, y, X_train, y_train, classifier=fitted)
        )
    return metrics


def _value(name, metric, X, y):
    """The metric; NaN and a warning where it is not defined."""
    try:
        return metric(X, y)
    except ValueError as error:
        warnings.warn(f"{name} is NaN: {error}", UserWarning, stacklevel=3)
        return np.nan


def evaluate_samples(
    sampler,
    X_train,
    X_test,
    y_train=None,
    y_test=None,
    *,
    features=None,
    encoder=None,
    classifier=None,
    random_state=0,
):
    """Every metric of a sampler, each beside what real series get.

    As many series are drawn as the training part has, of the same classes, and compared
    with the test part; the floor is what the training part itself gets in their place,
    at the same numbers.

    Parameters
    ----------
    sampler : generator
        Fitted on the training part, with ``sample(n_samples, random_state=...)`` and,
        when it knows classes, ``y``.
    X_train, X_test : array-like of shape (n_samples, n_timepoints) or (n_samples, \
            n_channels, n_timepoints)
        Real series: those that the sampler learned from, and others.
    y_train, y_test : array-like of shape (n_samples,), default=None
        Their classes, both or neither; needed for inception score and classification
        accuracy scores, the latter only of samplers that know classes.
    features : transformer, default=None
        Of the Frechet distance, fitted on the training part; None is
        :class:`~sktsrep.metrics.RandomConvolutionFeatures`.
    encoder : transformer, default=None
        Gives the embeddings of ``context_fid``, fitted on the training part; None
        leaves it out. For this and ``features``, a
        :class:`~sklearn.frozen.FrozenEstimator` stays as it is.
    classifier : classifier, default=None
        Of the scores with labels, as for
        :func:`~sktsrep.metrics.classification_accuracy_score`.
    random_state : int, RandomState instance or None, default=0
        Draws the samples.

    Returns
    -------
    DataFrame
        Columns metric, value, floor, and n, the number of samples. In the rows
        ``inception_score``, ``memorization_ratio`` and
        ``classification_accuracy_score, reverse``, floor is what the test part gets.
        Metrics that are not defined are NaN, with a warning that says why.

    Notes
    -----
    One draw of a sampler: differences between samplers that are smaller than those
    between two seeds mean nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.metrics import evaluate_samples
    >>> class Copies:
    ...     def sample(self, n_samples, random_state=None):
    ...         return X[:n_samples]
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(40)[:, None])
    >>> table = evaluate_samples(Copies(), X[:20], X[20:]).set_index("metric")
    >>> table.loc["memorization_ratio"].tolist()  # caught
    [0.0, 1.0, 20.0]
    """
    if (y_train is None) != (y_test is None):
        raise ValueError("Give y_train and y_test both, or neither.")
    check_pair(X_train, X_test, names=("X_train", "X_test"))
    X_new, y_new = draw_samples(sampler, len(X_train), y_train, random_state)
    check_pair(X_train, X_new, names=("X_train", "what was sampled"))
    X_new = with_axes_of(X_train, X_new)
    features = RandomConvolutionFeatures() if features is None else features
    features = FrozenEstimator(clone(features).fit(X_train, None))
    if encoder is not None:
        encoder = FrozenEstimator(clone(encoder).fit(X_train, None))
    classifier = default_classifier() if classifier is None else classifier
    beside_test = _against_test(X_test, y_test, features, encoder, classifier)
    beside_train = _against_train(X_train, X_test, y_train, classifier)
    real = [(name, f, X_train, y_train) for name, f in beside_test.items()]
    real += [(name, f, X_test, y_test) for name, f in beside_train.items()]
    rows = []
    for name, metric, X_real, y_real in real:
        if y_new is None and name.startswith("classification"):
            continue
        value = _value(name, metric, X_new, y_new)
        rows.append((name, value, _value(name, metric, X_real, y_real), len(X_new)))
    return pd.DataFrame(rows, columns=["metric", "value", "floor", "n"])
