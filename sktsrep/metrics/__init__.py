"""Figures of merit: functions of arrays that return a float or an array."""

from sktsrep.metrics.distances import (
    DistanceEstimate,
    context_fid,
    frechet_distance,
    mmd,
)
from sktsrep.metrics.embeddings import alignment, effective_rank, uniformity
from sktsrep.metrics.features import RandomConvolutionFeatures
from sktsrep.metrics.information import (
    codebook_correlation,
    codebook_usage,
    entropy,
    kl_divergence,
    mutual_information,
    perplexity,
)
from sktsrep.metrics.representation_evaluation import evaluate_representation
from sktsrep.metrics.sample_evaluation import evaluate_samples
from sktsrep.metrics.scorers import (
    effective_rank_scorer,
    frechet_scorer,
    make_unsupervised_scorer,
    mmd_scorer,
    perplexity_scorer,
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
    correlational_score,
    kurtosis_difference,
    marginal_difference,
    roughness_ratio,
    skewness_difference,
)

__all__ = [
    "DistanceEstimate",
    "RandomConvolutionFeatures",
    "alignment",
    "autocorrelation_difference",
    "classification_accuracy_score",
    "codebook_correlation",
    "codebook_usage",
    "context_fid",
    "correlational_score",
    "discriminative_score",
    "effective_rank",
    "effective_rank_scorer",
    "entropy",
    "evaluate_representation",
    "evaluate_samples",
    "frechet_distance",
    "frechet_scorer",
    "inception_score",
    "kl_divergence",
    "kurtosis_difference",
    "make_unsupervised_scorer",
    "marginal_difference",
    "memorization_ratio",
    "mmd",
    "mmd_scorer",
    "mutual_information",
    "perplexity",
    "perplexity_scorer",
    "predictive_score",
    "roughness_ratio",
    "skewness_difference",
    "uniformity",
]


def __dir__() -> list[str]:
    return __all__
