"""Scorers for model selection without labels."""

from sklearn.utils._param_validation import StrOptions, validate_params

from sktsrep.metrics.distances import frechet_distance, mmd
from sktsrep.metrics.embeddings import effective_rank
from sktsrep.metrics.information import perplexity

__all__ = [
    "effective_rank_scorer",
    "frechet_scorer",
    "make_unsupervised_scorer",
    "mmd_scorer",
    "perplexity_scorer",
]


class _UnsupervisedScorer:
    """Score the response of an estimator to ``X``; ignore labels."""

    def __init__(self, metric, response_method, sign, kwargs):
        self.metric = metric
        self.response_method = response_method
        self.sign = sign
        self.kwargs = kwargs

    def __call__(self, estimator, X, y=None):
        response = getattr(estimator, self.response_method, None)
        if response is None:
            raise TypeError(
                f"estimator must have {self.response_method!r}, which "
                f"{type(estimator).__name__} lacks."
            )
        if self.response_method == "sample":
            value = self.metric(X, response(len(X), random_state=0), **self.kwargs)
        else:
            value = self.metric(response(X), **self.kwargs)
        return self.sign * value

    def __repr__(self):
        name = getattr(self.metric, "__name__", repr(self.metric))
        arguments = [name, f"response_method={self.response_method!r}"]
        arguments += [f"greater_is_better={self.sign > 0}"]
        arguments += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"make_unsupervised_scorer({', '.join(arguments)})"


@validate_params(
    {
        "metric": [callable],
        "response_method": [StrOptions({"transform", "encode", "sample"})],
        "greater_is_better": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_unsupervised_scorer(
    metric, *, response_method="transform", greater_is_better=True, **kwargs
):
    """Make a scorer without labels for ``GridSearchCV`` and ``cross_validate``.

    Use it for samplers and encoders like :func:`sklearn.metrics.make_scorer` for
    predictors.

    Parameters
    ----------
    metric : callable
        Called as ``metric(X, X_generated)`` for ``"sample"``, otherwise as
        ``metric(response)``.
    response_method : {"transform", "encode", "sample"}, default="transform"
        Method whose response is scored: embeddings, tokens, or as many generated series
        as ``X`` has.
    greater_is_better : bool, default=True
        False flips the sign, so that higher is always better.
    **kwargs
        Further arguments of the metric.

    Returns
    -------
    callable
        Scorer with the signature ``(estimator, X, y=None)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sktsrep.metrics import make_unsupervised_scorer, uniformity
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> scorer = make_unsupervised_scorer(uniformity, greater_is_better=False)
    >>> scorer(PCA(2).fit(X), X) > 0
    True
    """
    sign = 1 if greater_is_better else -1
    return _UnsupervisedScorer(metric, response_method, sign, kwargs)


frechet_scorer = make_unsupervised_scorer(
    frechet_distance, response_method="sample", greater_is_better=False
)


mmd_scorer = make_unsupervised_scorer(
    mmd, response_method="sample", greater_is_better=False
)


effective_rank_scorer = make_unsupervised_scorer(effective_rank)


perplexity_scorer = make_unsupervised_scorer(perplexity, response_method="encode")
