"""Networks that are trained: each knows its own loss."""

from sktsrep.networks.autoencoder import Autoencoder
from sktsrep.networks.base import TrainingModule
from sktsrep.networks.causal_prior import CausalPrior
from sktsrep.networks.fcn import FullyConvolutionalNetwork
from sktsrep.networks.fine_tuned import FineTunedNetwork
from sktsrep.networks.joint_encoder import JointEncoder
from sktsrep.networks.masked_prior import MaskedPrior
from sktsrep.networks.variational import VariationalAutoencoder

__all__ = [
    "Autoencoder",
    "CausalPrior",
    "FineTunedNetwork",
    "FullyConvolutionalNetwork",
    "JointEncoder",
    "MaskedPrior",
    "TrainingModule",
    "VariationalAutoencoder",
]


def __dir__() -> list[str]:
    return __all__
