"""Losses, quantization and schedules as pure functions of tensors."""

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
    masked_cross_entropy,
    n_masked_tokens,
    random_token_mask,
    remask,
    sample_categorical,
)
from sktsrep.functional.quantization import (
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    orthogonal_loss,
    perplexity,
)
from sktsrep.functional.spectral import istft, stft
from sktsrep.functional.variational import gaussian_kl, gaussian_nll

__all__ = [
    "MASK_SCHEDULES",
    "barlow_twins_terms",
    "byol_terms",
    "codebook_lookup",
    "codebook_loss",
    "commitment_loss",
    "cosine_momentum",
    "effective_rank",
    "gaussian_kl",
    "gaussian_nll",
    "istft",
    "iterative_normalization",
    "mask_fraction",
    "masked_cross_entropy",
    "n_masked_tokens",
    "nt_xent_terms",
    "orthogonal_loss",
    "perplexity",
    "random_token_mask",
    "remask",
    "sample_categorical",
    "stft",
    "vibcreg_terms",
    "vicreg_terms",
]
