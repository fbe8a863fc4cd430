"""Self-supervised objectives: the parameters of a method and its loss terms.

An objective is a scikit-learn parameter object. It names its loss (``terms``) and makes
the network that is trained beside the encoder: by default a projector, its last
normalization, a predictor and a moving-average target. Encoders and tokenizers know no
method by name.
"""

from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from sktsrep._doc_link import DocLinkMixin
from sktsrep.functional import (
    barlow_twins_terms,
    byol_terms,
    cosine_momentum,
    nt_xent_terms,
    vibcreg_terms,
    vicreg_terms,
)
from sktsrep.nn import (
    POOL_SIZE,
    IterNorm,
    JointEmbedding,
    ObjectiveNetwork,
    Projector,
)

__all__ = [
    "BYOL",
    "OBJECTIVES",
    "BarlowTwins",
    "Objective",
    "SimCLR",
    "VICReg",
    "VIbCReg",
    "resolve_objective",
]


def __dir__() -> list[str]:
    return __all__


_NON_NEGATIVE = [Interval(Real, 0, None, closed="left")]
_POSITIVE = [Interval(Real, 0, None, closed="neither")]
_FRACTION = [Interval(Real, 0, 1, closed="both")]
_COUNT = [Interval(Integral, 1, None, closed="left")]


class Objective(DocLinkMixin, BaseEstimator):
    """Base of all objectives; a new method is one subclass and one loss function.

    Subclasses set their parameters in ``__init__`` and define :meth:`terms`. The
    default network compares projections of pooled feature maps: it needs a
    ``projector_dim``. A method with parameters of its own, a queue, or losses on
    positions overrides :meth:`make_network`.
    """

    _parameter_constraints: dict = {"projector_dim": _COUNT}

    projector_dim: int

    def make_network(self, encoder: nn.Module, n_channels: int) -> ObjectiveNetwork:
        """Make what is trained beside the encoder.

        Parameters
        ----------
        encoder : nn.Module
            Maps a view (batch, channels, time) to a feature map. The network must not
            register it as its own.
        n_channels : int
            Channels of the feature map.

        Returns
        -------
        ObjectiveNetwork
            Gives the arguments of :meth:`terms`.
        """
        dims = [POOL_SIZE * n_channels] + 3 * [self.projector_dim]
        projector = Projector(dims, self.make_last_norm())
        has_target = self.target_momentum(0.0) is not None
        momentum = self.target_momentum if has_target else None
        return JointEmbedding(encoder, projector, self.make_predictor(), momentum)

    def make_last_norm(self) -> nn.Module | None:
        """Make what follows the projector's last layer; None for nothing."""
        return None

    def make_predictor(self) -> nn.Module | None:
        """Make the predictor on top of the projector; None for none."""
        return None

    def target_momentum(self, progress: float) -> float | None:
        """Moving-average factor of the target network; None for no target."""
        return None

    def terms(self, *compared: Tensor) -> dict[str, Tensor]:
        """Compute the loss terms of what the network gives.

        The default network gives two views' projections, (batch, projector_dim) each;
        with a target network, its two projections follow. The result is a dict of
        scalar tensors whose names end in ``_loss``; their sum is minimized.
        """
        raise TypeError(f"{type(self).__name__} defines no terms.")

    def losses(
        self,
        network: ObjectiveNetwork,
        z: Tensor,
        z_prime: Tensor,
        view: Tensor,
        view_prime: Tensor,
    ) -> dict[str, Tensor]:
        """Compute :meth:`terms` of two feature maps and the views they came from.

        Raises
        ------
        ValueError
            When the name of a term does not end in ``_loss``.
        """
        # Correlations and whitening need more than bfloat16's eight bits.
        with torch.autocast(z.device.type, enabled=False):
            terms = self.terms(*network(z.float(), z_prime.float(), view, view_prime))
        if not all(name.endswith("_loss") for name in terms):
            raise ValueError(
                f"Names of loss terms must end in '_loss', got {list(terms)} from "
                f"{type(self).__name__}."
            )
        return terms


class BarlowTwins(Objective):
    """Barlow Twins: redundancy reduction.

    Parameters
    ----------
    redundancy_weight : float, default=5e-3
        Weight of the off-diagonal part of the cross-correlation.
    projector_dim : int, default=256
        Width of the projector's three layers.

    References
    ----------
    Zbontar et al. 2021, arXiv 2103.03230.

    Examples
    --------
    >>> BarlowTwins(redundancy_weight=0.01)
    BarlowTwins(redundancy_weight=0.01)
    """

    _parameter_constraints = {
        **Objective._parameter_constraints,
        "redundancy_weight": _NON_NEGATIVE,
    }

    def __init__(
        self, redundancy_weight: float = 5e-3, projector_dim: int = 256
    ) -> None:
        self.redundancy_weight = redundancy_weight
        self.projector_dim = projector_dim

    def terms(self, z: Tensor, z_prime: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """See :func:`sktsrep.functional.barlow_twins_terms`."""
        return barlow_twins_terms(z, z_prime, self.redundancy_weight)


class VICReg(Objective):
    """Variance-invariance-covariance regularization.

    Parameters
    ----------
    invariance_weight : float, default=25
        Weight of the mean squared difference of the views.
    variance_weight : float, default=25
        Weight of the variance hinges; those of both views are summed, as in the
        paper (its code averages them, which is 12.5 here).
    covariance_weight : float, default=1
        Weight of the squared covariances; those of both views are summed.
    projector_dim : int, default=256
        Width of the projector's three layers.

    References
    ----------
    Bardes, Ponce, LeCun 2022, arXiv 2105.04906.

    Examples
    --------
    >>> VICReg(covariance_weight=2.0)
    VICReg(covariance_weight=2.0)
    """

    _parameter_constraints = {
        **Objective._parameter_constraints,
        "invariance_weight": _NON_NEGATIVE,
        "variance_weight": _NON_NEGATIVE,
        "covariance_weight": _NON_NEGATIVE,
    }

    def __init__(
        self,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        projector_dim: int = 256,
    ) -> None:
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight
        self.projector_dim = projector_dim

    def _weights(self) -> tuple[float, float, float]:
        return self.invariance_weight, self.variance_weight, self.covariance_weight

    def terms(self, z: Tensor, z_prime: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """See :func:`sktsrep.functional.vicreg_terms`."""
        return vicreg_terms(z, z_prime, *self._weights())


class VIbCReg(VICReg):
    """VICReg with better covariance: correlations and iterative normalization.

    Parameters
    ----------
    invariance_weight : float, default=25
        Weight of the mean squared difference of the views.
    variance_weight : float, default=25
        Weight of the variance hinges; those of both views are summed.
    covariance_weight : float, default=200
        Weight of the mean squared correlations; those of both views are summed.
    n_iterations : int, default=5
        Newton iterations of the projector's last normalization.
    group_size : int, default=64
        Features that it whitens together, as in the authors' code. With fewer series
        than that, 16 may give better tokens and a worse reconstruction.
    projector_dim : int, default=256
        Width of the projector's three layers.

    References
    ----------
    Lee, Aune 2021, arXiv 2109.00783.

    Examples
    --------
    >>> VIbCReg(covariance_weight=100.0)
    VIbCReg(covariance_weight=100.0)
    """

    _parameter_constraints = {
        **VICReg._parameter_constraints,
        "n_iterations": _COUNT,
        "group_size": _COUNT,
    }

    def __init__(
        self,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 200.0,
        n_iterations: int = 5,
        group_size: int = 64,
        projector_dim: int = 256,
    ) -> None:
        super().__init__(
            invariance_weight, variance_weight, covariance_weight, projector_dim
        )
        self.n_iterations = n_iterations
        self.group_size = group_size

    def make_last_norm(self) -> nn.Module:
        """Make the iterative normalization."""
        return IterNorm(self.projector_dim, self.n_iterations, self.group_size)

    def terms(self, z: Tensor, z_prime: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """See :func:`sktsrep.functional.vibcreg_terms`."""
        return vibcreg_terms(z, z_prime, *self._weights())


class BYOL(Objective):
    """Bootstrap your own latent: predict a slowly moving target network.

    Parameters
    ----------
    momentum : float, default=0.99
        Moving-average factor of the target at the start; it grows to 1 on a cosine.
    similarity_weight : float, default=1.0
        Weight of the loss.
    projector_dim : int, default=256
        Width of the projector's three layers and of the predictor.

    References
    ----------
    Grill et al. 2020, arXiv 2006.07733.

    Examples
    --------
    >>> BYOL(momentum=0.95)
    BYOL(momentum=0.95)
    """

    _parameter_constraints = {
        **Objective._parameter_constraints,
        "momentum": _FRACTION,
        "similarity_weight": _NON_NEGATIVE,
    }

    def __init__(
        self,
        momentum: float = 0.99,
        similarity_weight: float = 1.0,
        projector_dim: int = 256,
    ) -> None:
        self.momentum = momentum
        self.similarity_weight = similarity_weight
        self.projector_dim = projector_dim

    def make_predictor(self) -> nn.Module:
        """Make two layers on top of the projector."""
        return Projector([self.projector_dim] * 3)

    def target_momentum(self, progress: float) -> float:
        """See :func:`sktsrep.functional.cosine_momentum`."""
        return cosine_momentum(progress, self.momentum)

    def terms(  # type: ignore[override]
        self, z: Tensor, z_prime: Tensor, target: Tensor, target_prime: Tensor
    ) -> dict[str, Tensor]:
        """See :func:`sktsrep.functional.byol_terms`."""
        terms = byol_terms(z, z_prime, target, target_prime)
        return {name: self.similarity_weight * term for name, term in terms.items()}


class SimCLR(Objective):
    """SimCLR: tell the pairs of a batch apart (NT-Xent), the contrastive method.

    Parameters
    ----------
    temperature : float, default=0.5
        Divides the cosine similarities.
    contrastive_weight : float, default=1.0
        Weight of the loss.
    projector_dim : int, default=256
        Width of the projector's three layers.

    References
    ----------
    Chen et al. 2020, arXiv 2002.05709.

    Examples
    --------
    >>> SimCLR(temperature=0.2)
    SimCLR(temperature=0.2)
    """

    _parameter_constraints = {
        **Objective._parameter_constraints,
        "temperature": _POSITIVE,
        "contrastive_weight": _NON_NEGATIVE,
    }

    def __init__(
        self,
        temperature: float = 0.5,
        contrastive_weight: float = 1.0,
        projector_dim: int = 256,
    ) -> None:
        self.temperature = temperature
        self.contrastive_weight = contrastive_weight
        self.projector_dim = projector_dim

    def terms(self, z: Tensor, z_prime: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """See :func:`sktsrep.functional.nt_xent_terms`."""
        terms = nt_xent_terms(z, z_prime, self.temperature)
        return {name: self.contrastive_weight * term for name, term in terms.items()}


OBJECTIVES: dict[str, type[Objective]] = {
    "barlow_twins": BarlowTwins,
    "byol": BYOL,
    "simclr": SimCLR,
    "vibcreg": VIbCReg,
    "vicreg": VICReg,
}


def resolve_objective(ssl: str | Objective | None) -> Objective | None:
    """Find the objective that an estimator's ``ssl`` means; check its parameters.

    Parameters
    ----------
    ssl : str, Objective or None
        A key of ``OBJECTIVES``, an objective, or None.

    Returns
    -------
    Objective or None

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> resolve_objective("vicreg")
    VICReg()
    """
    if ssl is None:
        return None
    if isinstance(ssl, str) and ssl not in OBJECTIVES:
        raise ValueError(
            f"ssl must name one of {sorted(OBJECTIVES)}, got {ssl!r} instead."
        )
    objective = OBJECTIVES[ssl]() if isinstance(ssl, str) else ssl
    objective._validate_params()
    return objective
