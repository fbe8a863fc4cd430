"""Torch modules: the parts of networks. Series are (batch, channels, time)."""

from sktsrep.nn.batch_norm import BatchNorm
from sktsrep.nn.codes import CodeEmbedding, CodeScores
from sktsrep.nn.convolutions import Decoder, Encoder, ResidualBlock
from sktsrep.nn.depth_head import DepthHead
from sktsrep.nn.finite_scalar_quantizer import FiniteScalarQuantizer
from sktsrep.nn.joint_embedding import (
    IterNorm,
    JointEmbedding,
    MovingAverage,
    ObjectiveNetwork,
    Projector,
)
from sktsrep.nn.latent_factors import LatentFactors
from sktsrep.nn.monitor import EmbeddingMonitor
from sktsrep.nn.pooling import (
    LATENT_SUMMARY_SIZE,
    POOL_SIZE,
    SUMMARY_SIZE,
    Pool,
    pool,
    summarize,
    summarize_latent,
)
from sktsrep.nn.quantizer import QuantizerModule
from sktsrep.nn.remade import Remade, arrays_of, remake, unfilled
from sktsrep.nn.residual_quantizer import ResidualQuantizer
from sktsrep.nn.spectral_encoder import STFT, SpectralEncoder, stage_sizes
from sktsrep.nn.transformer import (
    CausalTransformer,
    MaskedTransformer,
    TransformerLayer,
)
from sktsrep.nn.vector_quantizer import (
    EMAQuantizer,
    GradientQuantizer,
    VectorQuantizer,
)
from sktsrep.nn.window_scaler import WindowScaler

__all__ = [
    "LATENT_SUMMARY_SIZE",
    "POOL_SIZE",
    "STFT",
    "SUMMARY_SIZE",
    "BatchNorm",
    "CausalTransformer",
    "CodeEmbedding",
    "CodeScores",
    "Decoder",
    "DepthHead",
    "EMAQuantizer",
    "EmbeddingMonitor",
    "Encoder",
    "FiniteScalarQuantizer",
    "GradientQuantizer",
    "IterNorm",
    "JointEmbedding",
    "LatentFactors",
    "MaskedTransformer",
    "MovingAverage",
    "ObjectiveNetwork",
    "Pool",
    "Projector",
    "QuantizerModule",
    "Remade",
    "ResidualBlock",
    "ResidualQuantizer",
    "SpectralEncoder",
    "TransformerLayer",
    "VectorQuantizer",
    "WindowScaler",
    "arrays_of",
    "pool",
    "remake",
    "stage_sizes",
    "summarize",
    "summarize_latent",
    "unfilled",
]


def __dir__() -> list[str]:
    return __all__
