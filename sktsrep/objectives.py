"""Self-supervised objectives: the parameters of a method and its loss terms.

An objective is a scikit-learn parameter object. It names its loss (``terms``) and what
the network needs for it: the projector's sizes and last normalization, a predictor, a
moving-average target. :class:`JointEmbedding` builds that network; encoders and
tokenizers know no method by name.
"""

from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import nn

from sktsrep.functional import (
    barlow_twins_terms,
    byol_terms,
    cosine_momentum,
    nt_xent_terms,
    vibcreg_terms,
    vicreg_terms,
)
from sktsrep.nn import IterNorm, MovingAverage, Pool, Projector, pool

__all__ = [
    "BYOL",
    "OBJECTIVES",
    "BarlowTwins",
    "JointEmbedding",
    "Objective",
    "SimCLR",
    "VICReg",
    "VIbCReg",
    "resolve_objective",
]

_NON_NEGATIVE = [Interval(Real, 0, None, closed="left")]
_POSITIVE = [Interval(Real, 0, None, closed="neither")]
_FRACTION = [Interval(Real, 0, 1, closed="both")]
_COUNT = [Interval(Integral, 1, None, closed="left")]


class Objective(BaseEstimator):
    """Base of all objectives; a new method is one subclass and one loss function.

    Subclasses set their parameters in ``__init__``, ``projector_dim`` among them, and
    define :meth:`terms`.
    """

    _parameter_constraints = {"projector_dim": _COUNT}

    def make_last_norm(self):
        """What follows the projector's last layer; None for nothing."""
        return None

    def make_predictor(self):
        """Predictor on top of the projector; None for none."""
        return None

    def target_momentum(self, progress):
        """Moving-average factor of the target network; None for no target."""
        return None

    def terms(self, z, z_prime):
        """Loss terms of two views' projections, (batch, projector_dim) each.

        With a target network, those of its projections follow. A dict of scalar
        tensors; names end in ``_loss``, and the sum is minimized.
        """
        raise TypeError(f"{type(self).__name__} defines no terms.")


class BarlowTwins(Objective):
    """Barlow Twins: redundancy reduction [1]_.

    Parameters
    ----------
    redundancy_weight : float, default=5e-3
        Weight of the off-diagonal part of the cross-correlation.
    projector_dim : int, default=256
        Width of the projector's three layers.

    References
    ----------
    .. [1] Zbontar et al. 2021, arXiv 2103.03230.

    Examples
    --------
    >>> BarlowTwins(redundancy_weight=0.01)
    BarlowTwins(redundancy_weight=0.01)
    """

    _parameter_constraints = {
        **Objective._parameter_constraints,
        "redundancy_weight": _NON_NEGATIVE,
    }

    def __init__(self, redundancy_weight=5e-3, projector_dim=256):
        self.redundancy_weight = redundancy_weight
        self.projector_dim = projector_dim

    def terms(self, z, z_prime):
        """See :func:`sktsrep.functional.barlow_twins_terms`."""
        return barlow_twins_terms(z, z_prime, self.redundancy_weight)


class VICReg(Objective):
    """Variance-invariance-covariance regularization [1]_.

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
    .. [1] Bardes, Ponce, LeCun 2022, arXiv 2105.04906.

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
        invariance_weight=25.0,
        variance_weight=25.0,
        covariance_weight=1.0,
        projector_dim=256,
    ):
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight
        self.projector_dim = projector_dim

    def _weights(self):
        return self.invariance_weight, self.variance_weight, self.covariance_weight

    def terms(self, z, z_prime):
        """See :func:`sktsrep.functional.vicreg_terms`."""
        return vicreg_terms(z, z_prime, *self._weights())


class VIbCReg(VICReg):
    """VICReg with better covariance: correlations and iterative normalization [1]_.

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
    .. [1] Lee, Aune 2021, arXiv 2109.00783.

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
        invariance_weight=25.0,
        variance_weight=25.0,
        covariance_weight=200.0,
        n_iterations=5,
        group_size=64,
        projector_dim=256,
    ):
        super().__init__(
            invariance_weight, variance_weight, covariance_weight, projector_dim
        )
        self.n_iterations = n_iterations
        self.group_size = group_size

    def make_last_norm(self):
        """Iterative normalization."""
        return IterNorm(self.projector_dim, self.n_iterations, self.group_size)

    def terms(self, z, z_prime):
        """See :func:`sktsrep.functional.vibcreg_terms`."""
        return vibcreg_terms(z, z_prime, *self._weights())


class BYOL(Objective):
    """Bootstrap your own latent: predict a slowly moving target network [1]_.

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
    .. [1] Grill et al. 2020, arXiv 2006.07733.

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

    def __init__(self, momentum=0.99, similarity_weight=1.0, projector_dim=256):
        self.momentum = momentum
        self.similarity_weight = similarity_weight
        self.projector_dim = projector_dim

    def make_predictor(self):
        """Two layers on top of the projector."""
        return Projector([self.projector_dim] * 3)

    def target_momentum(self, progress):
        """See :func:`sktsrep.functional.cosine_momentum`."""
        return cosine_momentum(progress, self.momentum)

    def terms(self, z, z_prime, target, target_prime):
        """See :func:`sktsrep.functional.byol_terms`."""
        terms = byol_terms(z, z_prime, target, target_prime)
        return {name: self.similarity_weight * term for name, term in terms.items()}


class SimCLR(Objective):
    """SimCLR: tell the pairs of a batch apart (NT-Xent), the contrastive method [1]_.

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
    .. [1] Chen et al. 2020, arXiv 2002.05709.

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

    def __init__(self, temperature=0.5, contrastive_weight=1.0, projector_dim=256):
        self.temperature = temperature
        self.contrastive_weight = contrastive_weight
        self.projector_dim = projector_dim

    def terms(self, z, z_prime):
        """See :func:`sktsrep.functional.nt_xent_terms`."""
        terms = nt_xent_terms(z, z_prime, self.temperature)
        return {name: self.contrastive_weight * term for name, term in terms.items()}


OBJECTIVES = {
    "barlow_twins": BarlowTwins,
    "byol": BYOL,
    "simclr": SimCLR,
    "vibcreg": VIbCReg,
    "vicreg": VICReg,
}


def resolve_objective(ssl):
    """The objective that an estimator's ``ssl`` stands for, its parameters checked.

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


class JointEmbedding(nn.Module):
    """What an objective adds to an encoder: projector, predictor, target network.

    Feature maps are pooled over time (mean and maximum) and projected; the objective
    compares the projections.

    Parameters
    ----------
    objective : Objective
        The method.
    encoder : nn.Module
        Maps a view to its feature map (batch, n_channels, time). Only a target network
        copies it; it is not trained from here.
    n_channels : int
        Channels of the feature map.

    Examples
    --------
    >>> import torch
    >>> encoder = torch.nn.Conv1d(1, 3, kernel_size=1)
    >>> head = JointEmbedding(SimCLR(projector_dim=8), encoder, 3)
    >>> view, other = torch.randn(2, 4, 1, 6)
    >>> list(head(encoder(view), encoder(other), view, other))
    ['contrastive_loss']
    """

    def __init__(self, objective, encoder, n_channels):
        super().__init__()
        self.objective = objective
        dims = [2 * n_channels] + 3 * [objective.projector_dim]
        self.projector = Projector(dims, objective.make_last_norm())
        self.predictor = objective.make_predictor()
        has_target = objective.target_momentum(0.0) is not None
        self.target = MovingAverage(self._online(encoder)) if has_target else None

    def _online(self, encoder):
        return nn.Sequential(encoder, Pool(), self.projector)

    def forward(self, z, z_prime, view, view_prime):
        """Loss terms of the feature maps ``z``, ``z_prime`` that the views gave."""
        # Correlations and whitening need more than bfloat16's eight bits.
        with torch.autocast(z.device.type, enabled=False):
            return self._terms(z.float(), z_prime.float(), view, view_prime)

    def _terms(self, z, z_prime, view, view_prime):
        p, p_prime = self.projector(pool(z)), self.projector(pool(z_prime))
        if self.predictor is not None:
            p, p_prime = self.predictor(p), self.predictor(p_prime)
        targets = ()
        if self.target is not None:
            targets = (self.target(view), self.target(view_prime))
        terms = self.objective.terms(p, p_prime, *targets)
        if not all(name.endswith("_loss") for name in terms):
            raise ValueError(
                f"Names of loss terms must end in '_loss', got {list(terms)} from "
                f"{type(self.objective).__name__}."
            )
        return terms

    def start(self, encoder):
        """Begin with the target network equal to ``encoder`` and the projector."""
        if self.target is not None:
            self.target.follow(self._online(encoder), momentum=0.0)

    def follow(self, encoder, progress):
        """Move the target network towards ``encoder`` and the projector."""
        if self.target is not None:
            momentum = self.objective.target_momentum(progress)
            self.target.follow(self._online(encoder), momentum)
