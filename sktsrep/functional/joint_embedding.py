"""Self-supervised losses of two views, and their helpers.

Every loss returns a dictionary of its weighted terms, so that a training history can
show each of them; their sum is the loss. ``z`` and ``z_prime`` are the projections of
two views, each of shape ``(batch, features)``.
"""

import math
import sys

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep.functional._checks import (
    check_count,
    check_number,
    check_same,
    check_tensor,
)

__all__ = [
    "barlow_twins_terms",
    "byol_terms",
    "cosine_momentum",
    "effective_rank",
    "iterative_normalization",
    "nt_xent_terms",
    "vibcreg_terms",
    "vicreg_terms",
]


def _check_views(z: Tensor, z_prime: Tensor) -> None:
    check_tensor(z, "z", "batch, features")
    check_tensor(z_prime, "z_prime", "batch, features")
    check_same(z, z_prime, "z and z_prime")


def _check_weights(invariance: float, variance: float, covariance: float) -> None:
    check_number(invariance, "invariance_weight", 0)
    check_number(variance, "variance_weight", 0)
    check_number(covariance, "covariance_weight", 0)


def _squared_norm_of_product(a: Tensor, b: Tensor) -> Tensor:
    """Compute the squared Frobenius norm of ``a.T @ b`` from the smaller Gram matrix.

    Because ``||A^T B||^2 = <A A^T, B B^T>``, a batch smaller than the number of
    features never needs the (features x features) matrix.
    """
    batch, features = a.shape
    if batch < features:
        return ((a @ a.T) * (b @ b.T)).sum()
    return (a.T @ b).square().sum()


def _standard_deviation(z: Tensor, eps: float) -> Tensor:
    """Compute the unbiased standard deviation per feature, even for a batch of one."""
    centered = z - z.mean(dim=0)
    variance = centered.square().sum(dim=0) / max(len(z) - 1, 1)  # (features,)
    return (variance + eps).sqrt()


def _variance_hinge(z: Tensor, target: float = 1.0, eps: float = 1e-4) -> Tensor:
    # Target and eps are those of VICReg's pseudocode.
    return F.relu(target - _standard_deviation(z, eps)).mean()


def barlow_twins_terms(
    z: Tensor, z_prime: Tensor, redundancy_weight: float = 5e-3, eps: float = 1e-5
) -> dict[str, Tensor]:
    r"""Barlow Twins loss: distance of the cross-correlation from the identity.

    .. math:: \sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2,\quad
              C = \hat Z^T \hat Z' / B

    where the columns of :math:`\hat Z` are standardized over the batch.

    Parameters
    ----------
    z, z_prime : Tensor of shape (batch, features)
        Projections of two views.
    redundancy_weight : float
        :math:`\lambda`.
    eps : float
        Added to the variances, so that constant features stay finite; the default is
        that of batch normalization, which the authors' code uses.

    Returns
    -------
    dict of str to scalar Tensor
        ``"invariance_loss"`` and ``"redundancy_loss"``.

    References
    ----------
    Zbontar et al. 2021, "Barlow Twins", arXiv 2103.03230, equations 1 and 2.

    Examples
    --------
    >>> import torch
    >>> z = torch.tensor([[1., 1.], [1., -1.], [-1., 1.], [-1., -1.]])
    >>> bool(sum(barlow_twins_terms(z, z).values()) < 1e-8)
    True
    """
    _check_views(z, z_prime)
    check_number(redundancy_weight, "redundancy_weight", 0)
    check_number(eps, "eps", 0)
    batch = len(z)

    def standardize(x: Tensor) -> Tensor:
        return (x - x.mean(dim=0)) / (x.var(dim=0, correction=0) + eps).sqrt()

    z, z_prime = standardize(z), standardize(z_prime)
    diagonal = (z * z_prime).mean(dim=0)  # (features,)
    total = _squared_norm_of_product(z, z_prime) / batch**2
    off_diagonal = (total - diagonal.square().sum()).clamp(min=0)
    return {
        "invariance_loss": (1 - diagonal).square().sum(),
        "redundancy_loss": redundancy_weight * off_diagonal,
    }


def vicreg_terms(
    z: Tensor,
    z_prime: Tensor,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> dict[str, Tensor]:
    r"""VICReg loss: invariance, a hinge on the variance, and covariance.

    .. math:: \lambda s(Z, Z') + \mu [v(Z) + v(Z')] + \nu [c(Z) + c(Z')]

    with :math:`s` the mean squared difference, :math:`v` the mean over features of
    :math:`\max(0, 1 - \sqrt{\mathrm{Var} + \epsilon})` and
    :math:`c = \sum_{i \ne j} \mathrm{Cov}_{ij}^2 / F`.

    Parameters
    ----------
    z, z_prime : Tensor of shape (batch, features)
        Projections of two views.
    invariance_weight, variance_weight, covariance_weight : float
        :math:`\lambda, \mu, \nu`.

    Returns
    -------
    dict of str to scalar Tensor
        ``"invariance_loss"``, ``"variance_loss"`` and ``"covariance_loss"``.

    Notes
    -----
    As in the paper, the variance terms of both branches are **summed**. The authors'
    code averages them: ``variance_weight=12.5`` gives its loss.

    References
    ----------
    Bardes, Ponce, LeCun 2022, "VICReg", arXiv 2105.04906, equations 1 to 6.

    Examples
    --------
    >>> import torch
    >>> z = 2 * torch.tensor([[1., 1.], [1., -1.], [-1., 1.], [-1., -1.]])
    >>> [round(float(v), 4) for v in vicreg_terms(z, z).values()]
    [0.0, 0.0, 0.0]
    """
    _check_views(z, z_prime)
    _check_weights(invariance_weight, variance_weight, covariance_weight)

    def covariance(x: Tensor) -> Tensor:
        batch, features = x.shape
        centered = (x - x.mean(dim=0)) / math.sqrt(max(batch - 1, 1))
        variances = centered.square().sum(dim=0)  # (features,)
        total = _squared_norm_of_product(centered, centered)
        return (total - variances.square().sum()).clamp(min=0) / features

    return {
        "invariance_loss": invariance_weight * F.mse_loss(z, z_prime),
        "variance_loss": variance_weight
        * (_variance_hinge(z) + _variance_hinge(z_prime)),
        "covariance_loss": covariance_weight * (covariance(z) + covariance(z_prime)),
    }


def vibcreg_terms(
    z: Tensor,
    z_prime: Tensor,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 200.0,
) -> dict[str, Tensor]:
    r"""VIbCReg loss: VICReg with a better-conditioned feature decorrelation.

    The covariance term uses the **correlation** matrix :math:`C` of the features, which
    are centered by the batch mean and divided by their l2 norm. It is averaged over the
    :math:`F^2` entries: :math:`\sum_{i \ne j} C_{ij}^2 / F^2`.

    Parameters
    ----------
    z, z_prime : Tensor of shape (batch, features)
        Projections of two views, after iterative normalization.
    invariance_weight, variance_weight, covariance_weight : float
        Weights of the three terms; those of both branches are summed.

    Returns
    -------
    dict of str to scalar Tensor
        ``"invariance_loss"``, ``"variance_loss"`` and ``"covariance_loss"``.

    References
    ----------
    Lee, Aune 2021, "VIbCReg", arXiv 2109.00783, section 3.

    Examples
    --------
    >>> import torch
    >>> z = torch.randn(8, 3)
    >>> doubled = vibcreg_terms(2 * z, 2 * z)["covariance_loss"]
    >>> torch.allclose(doubled, vibcreg_terms(z, z)["covariance_loss"])
    True
    """
    _check_views(z, z_prime)
    _check_weights(invariance_weight, variance_weight, covariance_weight)

    def decorrelation(x: Tensor) -> Tensor:
        centered = x - x.mean(dim=0)
        # A large eps keeps the rounding errors of a constant column from looking like
        # correlation.
        unit = F.normalize(centered, dim=0, eps=1e-4)
        diagonal = unit.square().sum(dim=0)
        total = _squared_norm_of_product(unit, unit)
        return (total - diagonal.square().sum()).clamp(min=0) / x.shape[1] ** 2

    return {
        "invariance_loss": invariance_weight * F.mse_loss(z, z_prime),
        "variance_loss": variance_weight
        * (_variance_hinge(z) + _variance_hinge(z_prime)),
        "covariance_loss": covariance_weight
        * (decorrelation(z) + decorrelation(z_prime)),
    }


def byol_terms(
    prediction: Tensor, prediction_prime: Tensor, target: Tensor, target_prime: Tensor
) -> dict[str, Tensor]:
    r"""BYOL loss: distance of each view's prediction from the other view's target.

    .. math:: [2 - 2\cos(q(z), \mathrm{sg}(\zeta'))] + [2 - 2\cos(q(z'),
              \mathrm{sg}(\zeta))]

    Parameters
    ----------
    prediction, prediction_prime : Tensor of shape (batch, features)
        Outputs of the online network's predictor for the two views.
    target, target_prime : Tensor of shape (batch, features)
        Projections of the same two views by the target network. No gradient flows
        through them.

    Returns
    -------
    dict of str to scalar Tensor
        ``"similarity_loss"``, between 0 and 8.

    References
    ----------
    Grill et al. 2020, "Bootstrap your own latent", arXiv 2006.07733, equation 2.

    Examples
    --------
    >>> import torch
    >>> z = torch.randn(4, 3)
    >>> bool(byol_terms(z, z, z, z)["similarity_loss"].abs() < 1e-5)
    True
    """
    check_tensor(prediction, "prediction", "batch, features")
    for name, x in (
        ("prediction_prime", prediction_prime),
        ("target", target),
        ("target_prime", target_prime),
    ):
        check_tensor(x, name, "batch, features")
        check_same(prediction, x, f"prediction and {name}")

    def distance(p: Tensor, t: Tensor) -> Tensor:
        return (2 - 2 * F.cosine_similarity(p, t.detach(), dim=-1)).mean()

    return {
        "similarity_loss": distance(prediction, target_prime)
        + distance(prediction_prime, target)
    }


def nt_xent_terms(
    z: Tensor, z_prime: Tensor, temperature: float = 0.5
) -> dict[str, Tensor]:
    r"""SimCLR loss: normalized-temperature cross-entropy over all pairs of the batch.

    Each of the :math:`2B` projections must find its partner among the other
    :math:`2B - 1` by cosine similarity divided by the temperature.

    Parameters
    ----------
    z, z_prime : Tensor of shape (batch, features)
        Projections of two views.
    temperature : float
        Positive; small values sharpen the comparison.

    Returns
    -------
    dict of str to scalar Tensor
        ``"contrastive_loss"``, in nats.

    References
    ----------
    Chen et al. 2020, "SimCLR", arXiv 2002.05709, equation 1.

    Examples
    --------
    >>> import torch
    >>> z = torch.eye(4)
    >>> bool(nt_xent_terms(z, z, temperature=0.05)["contrastive_loss"] < 1e-6)
    True
    """
    _check_views(z, z_prime)
    check_number(temperature, "temperature", sys.float_info.min)
    batch = len(z)
    unit = F.normalize(torch.cat([z, z_prime]), dim=1)  # (2 * batch, features)
    similarity = unit @ unit.T / temperature  # (2 * batch, 2 * batch)
    similarity = similarity.masked_fill(
        torch.eye(2 * batch, dtype=torch.bool, device=z.device), -torch.inf
    )
    partner = torch.arange(2 * batch, device=z.device).roll(batch)
    return {"contrastive_loss": F.cross_entropy(similarity, partner)}


def iterative_normalization(
    z: Tensor, n_iterations: int = 5, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Whiten a batch with Newton iterations for the inverse square root.

    Parameters
    ----------
    z : Tensor of shape (..., batch, features)
        Features to center and decorrelate over the batch. Leading axes hold separate
        batches.
    n_iterations : int
        Number of Newton iterations; more of them whiten more fully.
    eps : float
        Added to the diagonal of the covariance, so that constant features stay finite;
        the default is that of the authors' code.

    Returns
    -------
    whitened : Tensor of shape (..., batch, features)
        The batch, centered and whitened.
    mean : Tensor of shape (..., features)
        Mean of the batch.
    whitening : Tensor of shape (..., features, features)
        Symmetric matrix that approximates the inverse square root of the covariance.

    References
    ----------
    Huang et al. 2019, "Iterative Normalization", arXiv 1904.03441, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> z = torch.tensor([[1., 1.], [1., -1.], [-1., 1.], [-1., -1.]])
    >>> mixed = z @ torch.tensor([[2., 1.], [0., 1.]])
    >>> white, _, _ = iterative_normalization(mixed, n_iterations=10)
    >>> torch.allclose(white.T @ white / 4, torch.eye(2), atol=1e-3)
    True
    """
    check_tensor(z, "z", "..., batch, features")
    check_count(n_iterations, "n_iterations", 0)
    check_number(eps, "eps", 0)
    batch, features = z.shape[-2:]
    mean = z.mean(dim=-2)  # (..., features)
    centered = z - mean.unsqueeze(-2)
    identity = torch.eye(features, dtype=z.dtype, device=z.device)
    covariance = centered.mT @ centered / batch + eps * identity
    # Dividing by the trace brings the norm below one, where the iteration converges.
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
    normalized = covariance / trace
    root = identity.expand_as(covariance)
    # Unlike the paper's form, the coupled form is stable for any number of iterations.
    for _ in range(n_iterations):
        step = 1.5 * identity - 0.5 * (root @ normalized)
        normalized, root = normalized @ step, step @ root
    whitening = root / trace.sqrt()  # (..., features, features)
    return centered @ whitening, mean, whitening


def cosine_momentum(progress: float, base: float = 0.99) -> float:
    """Compute a moving-average factor that rises from ``base`` to 1 along a cosine.

    Parameters
    ----------
    progress : float
        Completed share of the training, between 0 and 1.
    base : float
        Factor at the start.

    Returns
    -------
    float

    References
    ----------
    Grill et al. 2020, arXiv 2006.07733, section 3.2.

    Examples
    --------
    >>> cosine_momentum(0.0), cosine_momentum(1.0)
    (0.99, 1.0)
    """
    check_number(progress, "progress", 0, 1)
    check_number(base, "base", 0, 1)
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2


def effective_rank(covariance: Tensor) -> Tensor:
    """Compute the effective rank (RankMe) of features from their covariance.

    This is the exponential of the entropy of the normalized singular values.

    Parameters
    ----------
    covariance : Tensor of shape (features, features)
        Covariance of the features. Except for a common factor, the square roots of its
        eigenvalues are the singular values of the centered data.

    Returns
    -------
    scalar Tensor
        Between 1 and ``features``; 0 when the features are constant.

    References
    ----------
    Roy, Vetterli 2007, "The effective rank"; Garrido et al. 2023, "RankMe",
    arXiv 2210.02885.

    Examples
    --------
    >>> import torch
    >>> round(float(effective_rank(torch.eye(3))), 4)
    3.0
    """
    check_tensor(covariance, "covariance", "features, features", "single")
    if covariance.shape[0] != covariance.shape[1]:
        raise ValueError(
            f"covariance must be square, got {tuple(covariance.shape)} instead."
        )
    eigenvalues: Tensor = torch.linalg.eigvalsh(covariance)  # (features,)
    singular = eigenvalues.clamp(min=0).sqrt()  # rounding may make some negative
    total = singular.sum()
    share = singular / total.clamp(min=torch.finfo(singular.dtype).tiny)
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy.exp() * (total > 0)
