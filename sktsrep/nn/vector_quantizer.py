"""Vector quantizers: the nearest code of a learned codebook."""

import torch
from torch import Tensor, nn

from sktsrep.functional import (
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    orthogonal_loss,
)
from sktsrep.nn.quantizer import QuantizerModule, straight_through, token_counts

__all__ = ["EMAQuantizer", "GradientQuantizer", "VectorQuantizer"]

# Averages have the decay n / (n + 10) at step n, until that is the quantizer's own.
_RAMP = 10


class VectorQuantizer(QuantizerModule):
    r"""Replace latent vectors by their nearest codes, with a straight-through gradient.

    ``z + sg(z_q - z)``: the encoder gets the decoder's gradient unchanged. The codebook
    never learns from the reconstruction: subclasses say what it learns from.

    Parameters
    ----------
    n_codes, dim : int
        Size of the codebook.
    init : {"kmeans", "normal"}
        How :meth:`start` makes codes from latent vectors: centers of clusters, or
        Gaussian draws of their mean and spread.
    decay : float
        Decay of the moving averages. It is at most ``n / (n + 10)`` at step ``n``:
        with a long memory from the start, the codes lose an encoder that moves fast.
    commitment_weight : float
        Weight of the commitment loss.
    revival_threshold : float
        A code is dead once its moving average of counts is below this share of the
        mean; it restarts at a random vector of the batch. 0 turns revival off.

    References
    ----------
    van den Oord et al. 2017, "VQ-VAE", arXiv 1711.00937, section 3 and appendix A.
    """

    counts: Tensor
    n_steps: Tensor

    def __init__(
        self,
        n_codes: int,
        dim: int,
        *,
        init: str = "kmeans",
        decay: float = 0.99,
        commitment_weight: float = 0.25,
        revival_threshold: float = 0.05,
    ) -> None:
        super().__init__(n_codes, dim)
        self.init = init
        self.decay = decay
        self.commitment_weight = commitment_weight
        self.revival_threshold = revival_threshold
        self.make_codebook(torch.randn(n_codes, dim))
        self.register_buffer("counts", torch.ones(n_codes))
        n_steps = torch.zeros((), dtype=torch.float64)
        self.register_buffer("n_steps", n_steps, persistent=False)

    def make_codebook(self, codes: Tensor) -> None:
        """Register ``codebook``, as a buffer or as a parameter."""
        raise NotImplementedError(f"{type(self).__name__} defines no codebook.")

    @torch.no_grad()
    def start(self, vectors: Tensor) -> None:
        """Take the codes from latent vectors (n_vectors, dim)."""
        make = {"kmeans": kmeans_codes, "normal": normal_codes}[self.init]
        self.set_codes(make(vectors, self.n_codes))

    def go_on(self) -> None:
        """Begin another training: the averages have their whole memory at once."""
        self.n_steps.fill_(_RAMP * self.decay / (1 - self.decay))

    @torch.no_grad()
    def set_codes(self, codes: Tensor) -> None:
        """Begin with the given codes (n_codes, dim), all of them equally used."""
        self.codebook.copy_(codes)
        self.counts.fill_(1)

    def encode(self, z: Tensor) -> Tensor:
        """Map (batch, dim, places) to the nearest codes' tokens (batch, places)."""
        return codebook_lookup(z.movedim(1, -1), self.codebook)

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Quantize; in training, move averages towards the batch, too."""
        tokens = self.encode(z.detach())
        z_q = self.lookup(tokens)
        terms = {"commitment_loss": self.commitment_weight * commitment_loss(z, z_q)}
        terms |= self.codebook_terms(z, z_q)
        quantized = straight_through(z, z_q)
        if self.training:
            self._follow(z.detach().movedim(1, -1).flatten(end_dim=1), tokens.flatten())
        return quantized, tokens, terms

    def codebook_terms(self, z: Tensor, z_q: Tensor) -> dict[str, Tensor]:
        """Loss terms that the codebook learns from."""
        return {}

    @torch.no_grad()
    def _follow(self, vectors: Tensor, tokens: Tensor) -> None:
        """Move averages towards a batch's vectors (n_vectors, dim)."""
        # Averages over few steps at first: codes must follow a fast encoder.
        self.n_steps += 1
        decay = (self.n_steps / (self.n_steps + _RAMP)).clamp(max=self.decay)
        rate = (1 - decay).float()
        # Shares of a uniform use: 1 means that a code has its fair part.
        fair = self.n_codes / len(tokens)
        self.counts.lerp_(token_counts(tokens, self.n_codes) * fair, rate)
        self.move_codes(vectors, tokens, fair, rate)
        if self.revival_threshold:
            # Masks instead of indices: no waiting for the device.
            dead = self.counts < self.revival_threshold
            choice = torch.randint(len(vectors), (len(dead),), device=vectors.device)
            self.revive(dead.unsqueeze(1), vectors[choice])
            self.counts.masked_fill_(dead, 1)

    def move_codes(
        self, vectors: Tensor, tokens: Tensor, fair: float, rate: Tensor
    ) -> None:
        """Move the codes without gradient; ``fair`` scales sums to fair use."""

    def revive(self, dead: Tensor, vectors: Tensor) -> None:
        """Put dead codes (n_codes, 1) to vectors (n_codes, dim)."""
        self.codebook.copy_(torch.where(dead, vectors, self.codebook))


class EMAQuantizer(VectorQuantizer):
    """Vector quantizer whose codes are moving averages of the vectors assigned to them.

    Parameters
    ----------
    n_codes, dim : int
        Size of the codebook.
    **params
        As of :class:`VectorQuantizer`.

    References
    ----------
    van den Oord et al. 2017, "VQ-VAE", arXiv 1711.00937, appendix A.1.

    Examples
    --------
    >>> import torch
    >>> quantizer = EMAQuantizer(n_codes=4, dim=2)
    >>> z_q, tokens, terms = quantizer(torch.randn(3, 2, 5))
    >>> z_q.shape, tokens.shape, sorted(terms)
    (torch.Size([3, 2, 5]), torch.Size([3, 5]), ['commitment_loss'])
    """

    sums: Tensor

    def make_codebook(self, codes: Tensor) -> None:
        """Register the codes and their running sums as buffers."""
        self.register_buffer("codebook", codes)
        self.register_buffer("sums", codes.clone())

    @torch.no_grad()
    def set_codes(self, codes: Tensor) -> None:
        """Begin with the given codes (n_codes, dim), all of them equally used."""
        super().set_codes(codes)
        self.sums.copy_(codes)

    def move_codes(
        self, vectors: Tensor, tokens: Tensor, fair: float, rate: Tensor
    ) -> None:
        """Move sums and codes towards the vectors, with Laplace smoothing."""
        sums = torch.zeros_like(self.sums).index_add_(0, tokens, vectors)
        self.sums.lerp_(sums * fair, rate)
        self.codebook.copy_(self.sums / self._smoothed_counts().unsqueeze(1))

    def _smoothed_counts(self, eps: float = 1e-5) -> Tensor:
        total = self.counts.sum()
        return (self.counts + eps) / (total + self.n_codes * eps) * total

    def revive(self, dead: Tensor, vectors: Tensor) -> None:
        """Put dead codes and their sums to the vectors."""
        super().revive(dead, vectors)
        self.sums.copy_(torch.where(dead, vectors, self.sums))


class GradientQuantizer(VectorQuantizer):
    """Vector quantizer whose codes learn from the codebook loss.

    Parameters
    ----------
    n_codes, dim : int
        Size of the codebook.
    orthogonal_weight : float
        Weight of the orthogonal regularization of the codes.
    **params
        As of :class:`VectorQuantizer`.

    References
    ----------
    van den Oord et al. 2017, "VQ-VAE", arXiv 1711.00937, equation 3.

    Examples
    --------
    >>> import torch
    >>> quantizer = GradientQuantizer(n_codes=4, dim=2, orthogonal_weight=0.1)
    >>> sorted(quantizer(torch.randn(3, 2, 5))[2])
    ['codebook_loss', 'commitment_loss', 'orthogonal_loss']
    """

    no_decay = ("codebook",)

    def __init__(
        self,
        n_codes: int,
        dim: int,
        *,
        orthogonal_weight: float = 0.0,
        init: str = "kmeans",
        decay: float = 0.99,
        commitment_weight: float = 0.25,
        revival_threshold: float = 0.05,
    ) -> None:
        super().__init__(
            n_codes,
            dim,
            init=init,
            decay=decay,
            commitment_weight=commitment_weight,
            revival_threshold=revival_threshold,
        )
        self.orthogonal_weight = orthogonal_weight

    def make_codebook(self, codes: Tensor) -> None:
        """Register the codes as a parameter."""
        self.codebook = nn.Parameter(codes)

    def codebook_terms(self, z: Tensor, z_q: Tensor) -> dict[str, Tensor]:
        """Codebook loss and, if weighted, orthogonal loss."""
        terms = {"codebook_loss": codebook_loss(z, z_q)}
        if self.orthogonal_weight:
            # A copy: revival must not touch what backward needs.
            orthogonal = orthogonal_loss(self.codebook.clone())
            terms["orthogonal_loss"] = self.orthogonal_weight * orthogonal
        return terms


def normal_codes(vectors: Tensor, n_codes: int) -> Tensor:
    """Gaussian codes with the mean and the spread of latent vectors."""
    spread = vectors.std(dim=0, correction=0)
    codes = torch.randn(n_codes, len(spread), device=vectors.device)
    return codes * spread + vectors.mean(dim=0)


def kmeans_codes(vectors: Tensor, n_codes: int) -> Tensor:
    """Centers of clusters of latent vectors, which a codebook starts from."""
    # Here, because it would slow down the import of sktsrep.
    from sklearn.cluster import MiniBatchKMeans

    spread = vectors.std(dim=0, correction=0)
    # Fewer vectors than codes: the other codes start beside random ones, so near that
    # they serve the same vectors until the encoder moves.
    choice = torch.randint(len(vectors), (n_codes,), device=vectors.device)
    draws = torch.randn(n_codes, len(spread), device=vectors.device)
    codes = vectors[choice] + 1e-2 * spread * draws
    n_clusters = min(n_codes, len(vectors.unique(dim=0)))
    seed = int(torch.randint(2**31 - 1, ()))
    # Codes move on in training: a few passes over the vectors are enough to start.
    kmeans = MiniBatchKMeans(n_clusters, random_state=seed, n_init=1, max_iter=20)
    centers = kmeans.fit(vectors.cpu().numpy()).cluster_centers_
    codes[:n_clusters] = torch.as_tensor(centers).to(codes)
    return codes
