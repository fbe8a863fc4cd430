"""Scorers of a search."""

import pickle
from functools import partial

from estimators import tiny_tokenizer, tiny_vae, waves
from sklearn.model_selection import (
    GridSearchCV,
    cross_validate,
)

from sktsrep import metrics


def test_scorers():
    X, _ = waves(40)
    search = GridSearchCV(
        tiny_vae(), {"latent_dim": [1, 3]}, scoring=metrics.frechet_scorer, cv=2
    ).fit(X)
    assert (search.cv_results_["mean_test_score"] <= 0).all()
    scores = cross_validate(
        tiny_tokenizer(),
        X,
        cv=2,
        scoring={
            "rank": metrics.effective_rank_scorer,
            "perplexity": pickle.loads(pickle.dumps(metrics.perplexity_scorer)),
        },
    )
    assert (scores["test_rank"] > 0).all()
    assert (scores["test_perplexity"] >= 1).all()
    assert "greater_is_better=False" in repr(metrics.mmd_scorer)
    unbiased = partial(metrics.mmd, unbiased=True)
    scorer = metrics.make_unsupervised_scorer(unbiased, response_method="sample")
    assert "unbiased=True" in repr(GridSearchCV(tiny_vae(), {}, scoring=scorer))
