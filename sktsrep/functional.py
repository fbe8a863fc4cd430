"""Losses, quantisation and schedules as pure functions of tensors.

Every self-supervised loss returns a dictionary of its weighted terms, so that a
training history can show each of them; their sum is the loss. Shapes: ``z`` and
``z_prime`` are ``(batch, features)``, the projections of two views.
"""

import math

import torch
import torch.nn.functional as F

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

# --------------------------------------------------------- time-frequency domain


def stft(x, n_fft, hop_length, window):
    """Short-time Fourier transform that can be inverted at every length.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series. Their last value is repeated up to a whole number of hops, so that no
        sample sits in the tail of the last window; outside they count as zero.
    n_fft : int
        Length of the window in timepoints.
    hop_length : int
        Timepoints between frames, less than ``n_fft``.
    window : Tensor of shape (n_fft,)
        The window.

    Returns
    -------
    Tensor of shape (batch, channels, n_fft // 2 + 1, frames), complex
        With ``frames = 1 + ceil(timepoints / hop_length)``; frame ``i`` is centred on
        timepoint ``i * hop_length``.

    Examples
    --------
    >>> import torch
    >>> stft(torch.ones(2, 1, 7), 8, 2, torch.hann_window(8)).shape
    torch.Size([2, 1, 5, 5])
    """
    batch, channels, n_timepoints = x.shape
    padding = -n_timepoints % hop_length
    padded = torch.cat([x, x[..., -1:].expand(-1, -1, padding)], dim=-1)
    spectrogram = torch.stft(
        # An odd window reaches one timepoint less far.
        F.pad(padded.flatten(end_dim=1), (0, n_fft % 2)),
        n_fft,
        hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrogram.unflatten(0, (batch, channels))


def istft(spectrogram, n_fft, hop_length, window, n_timepoints):
    """Inverse of :func:`stft`.

    Parameters
    ----------
    spectrogram : Tensor of shape (batch, channels, bins, frames), complex
        As :func:`stft` gives it.
    n_fft, hop_length, window
        As given to :func:`stft`.
    n_timepoints : int
        Length of the series.

    Returns
    -------
    Tensor of shape (batch, channels, timepoints)

    Examples
    --------
    >>> import torch
    >>> x, window = torch.arange(7.).reshape(1, 1, 7), torch.hann_window(8)
    >>> y = istft(stft(x, 8, 2, window), 8, 2, window, n_timepoints=7)
    >>> torch.allclose(x, y, atol=1e-5)
    True
    """
    series = torch.istft(
        spectrogram.flatten(end_dim=1),
        n_fft,
        hop_length,
        window=window,
        length=n_timepoints,
    )
    return series.unflatten(0, spectrogram.shape[:2])


# ------------------------------------------------------------------ helpers


def _squared_norm_of_product(a, b):
    """Squared Frobenius norm of ``a.T @ b`` by the smaller of two Gram matrices.

    ``||A^T B||^2 = <A A^T, B B^T>``, so that a batch smaller than the number of
    features never needs the (features x features) matrix.
    """
    batch, features = a.shape
    if batch < features:
        return ((a @ a.T) * (b @ b.T)).sum()
    return (a.T @ b).square().sum()


def _standard_deviation(z, eps):
    """Unbiased standard deviation of every feature; defined for a batch of one."""
    centred = z - z.mean(dim=0)
    variance = centred.square().sum(dim=0) / max(len(z) - 1, 1)
    return (variance + eps).sqrt()


def _variance_hinge(z, target=1.0, eps=1e-4):
    return F.relu(target - _standard_deviation(z, eps)).mean()


# ------------------------------------------------------- self-supervised losses


def barlow_twins_terms(z, z_prime, redundancy_weight=5e-3, eps=1e-5):
    r"""Barlow Twins: the cross-correlation of two views becomes the identity.

    .. math:: \sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2,\quad
              C = \hat Z^T \hat Z' / B

    where the columns of :math:`\hat Z` are standardised over the batch.

    Parameters
    ----------
    z, z_prime : Tensor of shape (batch, features)
        Projections of two views.
    redundancy_weight : float
        :math:`\lambda`.
    eps : float
        Added to the variances, so that constant features stay finite.

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
    batch = len(z)

    def standardise(x):
        return (x - x.mean(dim=0)) / (x.var(dim=0, correction=0) + eps).sqrt()

    z, z_prime = standardise(z), standardise(z_prime)
    diagonal = (z * z_prime).mean(dim=0)  # (features,)
    total = _squared_norm_of_product(z, z_prime) / batch**2
    off_diagonal = (total - diagonal.square().sum()).clamp(min=0)
    return {
        "invariance_loss": (1 - diagonal).square().sum(),
        "redundancy_loss": redundancy_weight * off_diagonal,
    }


def vicreg_terms(
    z, z_prime, invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0
):
    r"""VICReg: invariance, a hinge on the variance, no covariance.

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

    def covariance(x):
        batch, features = x.shape
        centred = (x - x.mean(dim=0)) / math.sqrt(max(batch - 1, 1))
        variances = centred.square().sum(dim=0)
        total = _squared_norm_of_product(centred, centred)
        return (total - variances.square().sum()).clamp(min=0) / features

    return {
        "invariance_loss": invariance_weight * F.mse_loss(z, z_prime),
        "variance_loss": variance_weight
        * (_variance_hinge(z) + _variance_hinge(z_prime)),
        "covariance_loss": covariance_weight * (covariance(z) + covariance(z_prime)),
    }


def vibcreg_terms(
    z, z_prime, invariance_weight=25.0, variance_weight=25.0, covariance_weight=200.0
):
    r"""VIbCReg: VICReg with a better conditioned feature decorrelation.

    The covariance term is taken on the **correlation** matrix :math:`C`, whose columns
    are centred by the batch mean and divided by their l2 norm, and averaged over the
    :math:`F^2` entries: :math:`\sum_{i \ne j} C_{ij}^2 / F^2`.

    Parameters
    ----------
    z, z_prime : Tensor of shape (batch, features)
        Projections of two views, after iterative normalisation.
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

    def decorrelation(x):
        centred = x - x.mean(dim=0)
        # Rounding of a constant column must not pass for correlation.
        unit = F.normalize(centred, dim=0, eps=1e-4)
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


def byol_terms(prediction, prediction_prime, target, target_prime):
    r"""BYOL: each view's prediction points where the target puts the other view.

    .. math:: [2 - 2\cos(q(z), \mathrm{sg}(\zeta'))] + [2 - 2\cos(q(z'),
              \mathrm{sg}(\zeta))]

    Parameters
    ----------
    prediction, prediction_prime : Tensor of shape (batch, features)
        The predictor's outputs for the two views (online network).
    target, target_prime : Tensor of shape (batch, features)
        The target network's projections of the same two views; no gradient flows
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

    def distance(p, t):
        return (2 - 2 * F.cosine_similarity(p, t.detach(), dim=-1)).mean()

    return {
        "similarity_loss": distance(prediction, target_prime)
        + distance(prediction_prime, target)
    }


def nt_xent_terms(z, z_prime, temperature=0.5):
    r"""SimCLR: normalised-temperature cross-entropy over all pairs of the batch.

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
    batch = len(z)
    unit = F.normalize(torch.cat([z, z_prime]), dim=1)  # (2 * batch, features)
    similarity = unit @ unit.T / temperature
    similarity = similarity.masked_fill(
        torch.eye(2 * batch, dtype=torch.bool, device=z.device), -torch.inf
    )
    partner = torch.arange(2 * batch, device=z.device).roll(batch)
    return {"contrastive_loss": F.cross_entropy(similarity, partner)}


def iterative_normalization(z, n_iterations=5, eps=1e-5):
    r"""Whiten a batch by Newton's iterations for the inverse square root.

    Parameters
    ----------
    z : Tensor of shape (..., batch, features)
        Features to centre and decorrelate over the batch; leading axes are apart.
    n_iterations : int
        Newton iterations; more come nearer to full whitening.
    eps : float
        Added to the covariance's diagonal.

    Returns
    -------
    whitened : Tensor of shape (..., batch, features)
        The batch, centred and whitened.
    mean : Tensor of shape (..., features)
        Batch mean.
    whitening : Tensor of shape (..., features, features)
        Symmetric matrix, about the inverse square root of the covariance.

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
    batch, features = z.shape[-2:]
    mean = z.mean(dim=-2)
    centred = z - mean.unsqueeze(-2)
    identity = torch.eye(features, dtype=z.dtype, device=z.device)
    covariance = centred.mT @ centred / batch + eps * identity
    # The iteration converges for matrices of norm below one: divide by the trace.
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
    normalised = covariance / trace
    root = identity.expand_as(covariance)
    # The coupled form: stable for any number of iterations, unlike the paper's.
    for _ in range(n_iterations):
        step = 1.5 * identity - 0.5 * (root @ normalised)
        normalised, root = normalised @ step, step @ root
    whitening = root / trace.sqrt()
    return centred @ whitening, mean, whitening


def cosine_momentum(progress, base=0.99):
    """Moving-average factor that grows from ``base`` to 1 on a cosine.

    Parameters
    ----------
    progress : float
        Share of training done, between 0 and 1.
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
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2


# ------------------------------------------------------------ vector quantisation


def codebook_lookup(z, codebook):
    """Index of the nearest code (Euclidean) for every latent vector.

    Parameters
    ----------
    z : Tensor of shape (..., dim)
        Latent vectors.
    codebook : Tensor of shape (n_codes, dim)
        Codes.

    Returns
    -------
    Tensor of shape (...), int64
        Indices; the lowest one among equally near codes.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu 2017, "VQ-VAE", arXiv 1711.00937, equation 1.

    Examples
    --------
    >>> import torch
    >>> codebook_lookup(torch.tensor([[0.9], [0.1]]), torch.tensor([[0.], [1.]]))
    tensor([1, 0])
    """
    # ||z||^2 is the same for every code: what is left is one matrix product.
    flat = z.reshape(-1, z.shape[-1])  # (vectors, dim)
    score = torch.addmm(codebook.square().sum(dim=1), flat, codebook.T, alpha=-2)
    return score.argmin(dim=1).view(z.shape[:-1])


def codebook_loss(z, z_q):
    """Mean squared distance that moves the codes to the encoder's output.

    Parameters
    ----------
    z, z_q : Tensor of any equal shape
        Latent vectors (no gradient) and their codes.

    Returns
    -------
    scalar Tensor

    References
    ----------
    van den Oord et al. 2017, arXiv 1711.00937, equation 3, second term.

    Examples
    --------
    >>> import torch
    >>> codebook_loss(torch.zeros(2, 2), torch.ones(2, 2))
    tensor(1.)
    """
    return F.mse_loss(z_q, z.detach())


def commitment_loss(z, z_q):
    """Mean squared distance that keeps the encoder's output near its codes.

    Parameters
    ----------
    z, z_q : Tensor of any equal shape
        Latent vectors and their codes (no gradient).

    Returns
    -------
    scalar Tensor

    References
    ----------
    van den Oord et al. 2017, arXiv 1711.00937, equation 3, third term.

    Examples
    --------
    >>> import torch
    >>> commitment_loss(torch.zeros(2, 2), torch.ones(2, 2))
    tensor(1.)
    """
    return F.mse_loss(z, z_q.detach())


def orthogonal_loss(codebook):
    r"""Orthogonal regularisation :math:`\|\hat E \hat E^T - I\|_F^2 / K^2`.

    Parameters
    ----------
    codebook : Tensor of shape (n_codes, dim)
        Codes; their l2-normalised rows are :math:`\hat E`.

    Returns
    -------
    scalar Tensor

    References
    ----------
    Shin et al. 2023, "Exploration into translation-equivariant image quantization",
    arXiv 2112.00384.

    Examples
    --------
    >>> import torch
    >>> orthogonal_loss(3 * torch.eye(4))
    tensor(0.)
    """
    n_codes = len(codebook)
    unit = F.normalize(codebook, dim=1)
    identity = torch.eye(n_codes, dtype=codebook.dtype, device=codebook.device)
    return (unit @ unit.T - identity).square().sum() / n_codes**2


def perplexity(counts):
    """Exponential of the entropy of a histogram: the number of codes really in use.

    Parameters
    ----------
    counts : Tensor of shape (n_codes,)
        Non-negative counts.

    Returns
    -------
    scalar Tensor
        Between 1 and ``n_codes``; 1 for an empty histogram.

    Examples
    --------
    >>> import torch
    >>> round(float(perplexity(torch.tensor([5., 5., 0.]))), 4)
    2.0
    """
    return torch.special.entr(counts / counts.sum().clamp(min=1e-30)).sum().exp()


def effective_rank(covariance):
    """Exponential of the entropy of the normalised singular values (RankMe).

    Parameters
    ----------
    covariance : Tensor of shape (features, features)
        Covariance of the features; its eigenvalues' roots are the singular values of
        the centred data.

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
    singular = torch.linalg.eigvalsh(covariance).clamp(min=0).sqrt()
    total = singular.sum()
    share = singular / total.clamp(min=torch.finfo(singular.dtype).tiny)
    return torch.special.entr(share).sum().exp() * (total > 0)


# ------------------------------------------------------- variational auto-encoder


def gaussian_kl(mean, log_variance):
    r"""KL divergence of a diagonal Gaussian from the standard normal, in nats.

    .. math:: \tfrac12 \sum_d (\mu_d^2 + \sigma_d^2 - \log \sigma_d^2 - 1)

    Parameters
    ----------
    mean, log_variance : Tensor of shape (batch, dim)
        Parameters of the posterior.

    Returns
    -------
    Tensor of shape (batch,)

    References
    ----------
    Kingma, Welling 2014, "Auto-encoding variational Bayes", arXiv 1312.6114,
    appendix B.

    Examples
    --------
    >>> import torch
    >>> gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3))
    tensor([0.])
    """
    terms = mean.square() + log_variance.exp() - log_variance - 1
    return 0.5 * terms.sum(dim=-1)


def gaussian_nll(x, mean, log_variance):
    r"""Negative log density of a Gaussian, summed over all but the first axis, in nats.

    Parameters
    ----------
    x, mean : Tensor of shape (batch, ...)
        Data and mean.
    log_variance : Tensor that broadcasts against ``x``
        Logarithm of the variance.

    Returns
    -------
    Tensor of shape (batch,)

    Examples
    --------
    >>> import torch
    >>> gaussian_nll(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(()))
    tensor([1.8379])
    """
    squared = (x - mean).square() * (-log_variance).exp()
    nll = 0.5 * (squared + log_variance + math.log(2 * math.pi))
    return nll.flatten(start_dim=1).sum(dim=1)


# ---------------------------------------------------------------- masked modelling

MASK_SCHEDULES = ("cosine", "linear", "square", "cubic", "sqrt")


def mask_fraction(progress, schedule="cosine"):
    r"""Share of tokens that is masked, :math:`\gamma(r)`, falling from 1 to 0.

    Parameters
    ----------
    progress : Tensor
        :math:`r`, between 0 and 1.
    schedule : {"cosine", "linear", "square", "cubic", "sqrt"}
        ``cos(pi r / 2)``, ``1 - r``, ``1 - r**2``, ``1 - r**3``, ``1 - sqrt(r)``.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        For an unknown schedule.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200, section 3.3.

    Examples
    --------
    >>> import torch
    >>> mask_fraction(torch.tensor([0., 0.5, 1.]), "linear")
    tensor([1.0000, 0.5000, 0.0000])
    """
    if schedule == "cosine":
        # cos(pi / 2) is not exactly zero in floating point.
        return torch.cos(progress * (math.pi / 2)).clamp(min=0)
    exponents = {"linear": 1.0, "square": 2.0, "cubic": 3.0, "sqrt": 0.5}
    if schedule not in exponents:
        raise ValueError(
            f"schedule must be one of {MASK_SCHEDULES}, got {schedule!r} instead."
        )
    return 1 - progress ** exponents[schedule]


def n_masked_tokens(step, n_steps, n_start, n_unknown, schedule="cosine"):
    """How many tokens stay masked after a step of iterative decoding.

    Parameters
    ----------
    step : int
        Step just done, from 1 to ``n_steps``.
    n_steps : int
        Number of decoding steps.
    n_start : Tensor of int64
        Tokens masked at the start, of every row.
    n_unknown : Tensor of int64
        Tokens masked before this step.
    schedule : str
        See :func:`mask_fraction`.

    Returns
    -------
    Tensor of int64
        ``floor(gamma(step / n_steps) * n_start)``, but at least 1 and at most
        ``n_unknown - 1``, so that every step settles a token, and 0 after the last.

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, section 3.2.

    Examples
    --------
    >>> import torch
    >>> n_masked_tokens(1, 4, torch.tensor([10, 1]), torch.tensor([10, 1]))
    tensor([9, 0])
    """
    if step >= n_steps:
        return torch.zeros_like(n_start)
    progress = torch.tensor(step / n_steps, dtype=torch.float64)
    n_masked = (mask_fraction(progress, schedule).item() * n_start).floor().long()
    return n_masked.clamp(min=1).minimum(n_unknown - 1).clamp(min=0)


def random_token_mask(
    n_samples, n_tokens, schedule="cosine", *, device=None, generator=None
):
    """Masks for training: each row has its own mask ratio and at least one mask.

    Row by row, ``ceil(gamma(r) * n_tokens)`` places with ``r`` uniform on [0, 1].

    Parameters
    ----------
    n_samples, n_tokens : int
        Shape of the mask.
    schedule : str
        See :func:`mask_fraction`.
    device : torch.device or None
        Where to draw.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of shape (n_samples, n_tokens), bool
        True where a token is to be masked.

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, section 3.1.

    Examples
    --------
    >>> mask = random_token_mask(8, 5)
    >>> mask.shape, bool(mask.any(dim=1).all())
    (torch.Size([8, 5]), True)
    """

    def uniform(*shape):
        return torch.rand(shape, device=device, generator=generator)

    ratio = mask_fraction(uniform(n_samples, 1), schedule)
    n_masked = (ratio * n_tokens).ceil().clamp(min=1)  # (n_samples, 1)
    rank = uniform(n_samples, n_tokens).argsort(dim=1).argsort(dim=1)
    return rank < n_masked


def masked_cross_entropy(logits, tokens, mask):
    """Categorical cross-entropy over the codes, at the masked places only.

    Parameters
    ----------
    logits : Tensor of shape (batch, n_tokens, n_codes)
        Scores of every code.
    tokens : Tensor of shape (batch, n_tokens), int64
        True codes.
    mask : Tensor of shape (batch, n_tokens), bool
        True where the model could not see the token.

    Returns
    -------
    scalar Tensor
        Mean over the masked places of the whole batch, in nats.

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, equation 1.

    Examples
    --------
    >>> import torch
    >>> logits, tokens = torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.int64)
    >>> masked_cross_entropy(logits, tokens, torch.tensor([[True, False]]))
    tensor(1.3863)
    """
    nats = F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
    return nats.masked_fill(~mask, 0).sum() / mask.sum()


def sample_categorical(logits, *, generator=None):
    """One draw per row by inverting the cumulative distribution, in float64.

    Parameters
    ----------
    logits : Tensor of shape (..., n_codes)
        Unnormalised log probabilities.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    tokens : Tensor of shape (...), int64
        Draws.
    log_probability : Tensor of shape (...), float64
        Log probability of each draw.

    Examples
    --------
    >>> import torch
    >>> tokens, _ = sample_categorical(torch.tensor([[-torch.inf, 0.0]]))
    >>> tokens
    tensor([1])
    """
    # A single uniform number a row: much cheaper than one exponential a class.
    log_p = logits.double().log_softmax(dim=-1)
    cumulative = log_p.exp().cumsum(dim=-1)
    # Stay below the total, which rounding may leave under one: the draw then never
    # lands on a code of probability zero.
    uniform = torch.rand(
        logits.shape[:-1], dtype=log_p.dtype, device=logits.device, generator=generator
    )
    threshold = uniform.unsqueeze(-1) * cumulative[..., -1:]
    tokens = torch.searchsorted(cumulative, threshold, right=True)
    tokens = tokens.clamp(max=logits.shape[-1] - 1)
    return tokens.squeeze(-1), log_p.gather(-1, tokens).squeeze(-1)


def remask(log_probability, unknown, n_masked, temperature=0.0, *, generator=None):
    """Choose which of the tokens just sampled are masked again: the least confident.

    Parameters
    ----------
    log_probability : Tensor of shape (batch, n_tokens), float64
        Log probability of the token sampled at each place.
    unknown : Tensor of shape (batch, n_tokens), bool
        True where a token was masked before the step. Others are never masked again.
    n_masked : Tensor of shape (batch,), int64
        How many to mask in every row; at most the row's number of unknown tokens.
    temperature : float
        Scale of the Gumbel noise added to the confidence.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of shape (batch, n_tokens), bool

    References
    ----------
    Chang et al. 2022, arXiv 2202.04200, section 3.2.

    Examples
    --------
    >>> import torch
    >>> log_p = torch.tensor([[-3., -1., -2.]], dtype=torch.float64)
    >>> remask(log_p, torch.tensor([[False, True, True]]), torch.tensor([1]))
    tensor([[False, False,  True]])
    """
    noise = torch.empty_like(log_probability).exponential_(generator=generator)
    confidence = log_probability - temperature * noise.log()  # Gumbel noise
    confidence = confidence.masked_fill(~unknown, torch.inf)
    rank = confidence.argsort(dim=1).argsort(dim=1)  # 0 for the least confident
    return unknown & (rank < n_masked.unsqueeze(1))
