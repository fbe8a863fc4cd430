"""Losses, quantization, schedules and scaling as pure functions of tensors."""

from sktsrep.functional.classification import weighted_cross_entropy
from sktsrep.functional.guidance import drop_classes, guide
from sktsrep.functional.joint_embedding import (
    barlow_twins_terms,
    byol_terms,
    cosine_momentum,
    effective_rank,
    iterative_normalization,
    nt_xent_terms,
    vibcreg_terms,
    vicreg_terms,
)
from sktsrep.functional.masking import (
    MASK_SCHEDULES,
    mask_fraction,
    n_masked_tokens,
    random_token_mask,
    remask,
    sample_categorical,
)
from sktsrep.functional.quantization import (
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    finite_scalar_round,
    finite_scalar_tokens,
    finite_scalar_values,
    orthogonal_loss,
    perplexity,
)
from sktsrep.functional.scaling import (
    channel_scale,
    fallback_scale,
    guarded_scale,
    limited_shape,
    outlying,
    shared_shape,
)
from sktsrep.functional.spectral import istft, resolve_frames, stft
from sktsrep.functional.variational import gaussian_kl, gaussian_nll

__all__ = [
    "MASK_SCHEDULES",
    "barlow_twins_terms",
    "byol_terms",
    "channel_scale",
    "codebook_lookup",
    "codebook_loss",
    "commitment_loss",
    "cosine_momentum",
    "drop_classes",
    "effective_rank",
    "fallback_scale",
    "finite_scalar_round",
    "finite_scalar_tokens",
    "finite_scalar_values",
    "gaussian_kl",
    "gaussian_nll",
    "guarded_scale",
    "guide",
    "istft",
    "iterative_normalization",
    "limited_shape",
    "mask_fraction",
    "n_masked_tokens",
    "nt_xent_terms",
    "orthogonal_loss",
    "outlying",
    "perplexity",
    "random_token_mask",
    "remask",
    "resolve_frames",
    "sample_categorical",
    "shared_shape",
    "stft",
    "vibcreg_terms",
    "vicreg_terms",
    "weighted_cross_entropy",
]


def __dir__() -> list[str]:
    return __all__
