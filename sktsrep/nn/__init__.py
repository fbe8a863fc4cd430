"""Torch modules. Series are (batch, channels, time)."""

from sktsrep.nn.convolutions import Decoder, Encoder, ResidualBlock
from sktsrep.nn.joint_embedding import IterNorm, MovingAverage, Projector
from sktsrep.nn.pooling import Pool, pool, summarize, summarize_latent
from sktsrep.nn.quantizer import VectorQuantizer
from sktsrep.nn.series import STFT, SeriesEncoder
from sktsrep.nn.training import EmbeddingMonitor, TrainingModule
from sktsrep.nn.transformer import MaskedTransformer, TransformerLayer

__all__ = [
    "STFT",
    "Decoder",
    "EmbeddingMonitor",
    "Encoder",
    "IterNorm",
    "MaskedTransformer",
    "MovingAverage",
    "Pool",
    "Projector",
    "ResidualBlock",
    "SeriesEncoder",
    "TrainingModule",
    "TransformerLayer",
    "VectorQuantizer",
    "pool",
    "summarize",
    "summarize_latent",
]
