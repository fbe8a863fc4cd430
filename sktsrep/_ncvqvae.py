"""The two networks of NC-VQVAE: auto-encoder of series, masked prior of tokens."""

import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans

from sktsrep.augmentations import augment, time_shift
from sktsrep.functional import (
    masked_cross_entropy,
    n_masked_tokens,
    random_token_mask,
    remask,
    sample_categorical,
)
from sktsrep.nn import (
    Decoder,
    EmbeddingMonitor,
    MaskedTransformer,
    SeriesEncoder,
    TrainingModule,
    VectorQuantizer,
    pool,
    summarize_latent,
)
from sktsrep.objectives import JointEmbedding

__all__ = ["Autoencoder", "MaskedPrior"]


class Autoencoder(TrainingModule):
    """NC-VQVAE's first stage; ``forward`` gives the loss terms of a batch of series."""

    def __init__(
        self,
        *,
        code_dim,
        objective,
        augmentations,
        ssl_weight,
        augmented_weight,
        shift_probability,
        quantizer,
        codebook_init,
        **backbone,
    ):
        super().__init__()
        self.n_timepoints = backbone["n_timepoints"]
        self.codebook_init = codebook_init
        self.augmentations = augmentations
        self.ssl_weight = ssl_weight
        self.augmented_weight = augmented_weight
        self.shift_probability = shift_probability
        self.encoder = SeriesEncoder(out_dim=code_dim, **backbone)
        self.quantizer = VectorQuantizer(dim=code_dim, **quantizer)
        self.decoder = Decoder(
            code_dim,
            backbone["hidden_dim"],
            self.encoder.in_channels,
            self.encoder.sizes[::-1],
            backbone["n_blocks"],
        )
        self.joint_embedding = None
        if objective is not None:
            self.joint_embedding = JointEmbedding(objective, self.encoder, code_dim)
        self.monitor = EmbeddingMonitor(2 * code_dim)

    def start(self, x):
        """Take what encoder, target network and codebook need from the data."""
        self.encoder.start(x)
        if self.joint_embedding is not None:
            self.joint_embedding.start(self.encoder)
        self._start_codebook(x)

    @torch.no_grad()
    def _start_codebook(self, x, max_vectors=20_000):
        """Codes from data: k-means centers of the untrained encoder's output."""
        n_codes, code_dim = self.quantizer.codebook.shape
        rows = torch.randperm(len(x), device=x.device)
        rows = rows[: max(1, max_vectors // self.encoder.sizes[-1])]
        z = torch.cat([self.encoder(x[chunk]) for chunk in rows.split(256)])
        vectors = z.movedim(1, -1).flatten(end_dim=1)  # (vectors, code_dim)
        spread = vectors.std(dim=0, correction=0)
        if self.codebook_init == "normal":
            codes = torch.randn(n_codes, code_dim, device=x.device) * spread
            return self.quantizer.start(codes + vectors.mean(dim=0))
        # Fewer vectors than codes: the rest of the codes start beside random ones.
        choice = torch.randint(len(vectors), (n_codes,), device=x.device)
        jitter = 1e-2 * spread * torch.randn(n_codes, code_dim, device=x.device)
        codes = vectors[choice] + jitter
        distinct = vectors.unique(dim=0)
        n_clusters = min(n_codes, len(distinct))
        seed = int(torch.randint(2**31 - 1, ()))
        kmeans = MiniBatchKMeans(n_clusters, random_state=seed, n_init=1, max_iter=20)
        centers = kmeans.fit(vectors.cpu().numpy()).cluster_centers_
        codes[:n_clusters] = torch.as_tensor(centers).to(codes)
        return self.quantizer.start(codes)

    def decode(self, z):
        """(batch, code_dim, tokens) -> spectrogram and series."""
        spectrogram = self.decoder(z).float()
        return spectrogram, self.encoder.series(spectrogram, self.n_timepoints)

    def decode_tokens(self, tokens):
        """(batch, tokens) -> series."""
        return self.decode(self.quantizer.lookup(tokens))[1]

    def tokens(self, x):
        """Series -> tokens."""
        return self.quantizer.encode(self.encoder(x))

    def embed(self, x, features):
        """Series -> pooled features (batch, n_features)."""
        if features == "latent":
            return summarize_latent(self.encoder(x))
        if features == "tokens":
            return summarize_latent(self.quantizer.lookup(self.tokens(x)))
        activations = self.encoder.activations(x)
        z_q = self.quantizer.lookup(self.quantizer.encode(activations[-1]))
        summary = self.encoder.summarize(activations)
        return torch.cat([summary, summarize_latent(z_q)], dim=1)

    def forward(self, x):
        """Loss terms of standardized series (batch, channels, time)."""
        x = self._shift_some(x)
        spectrogram = self.encoder.spectrogram(x)
        z = self.encoder.latent(spectrogram)
        z_q, _, terms = self.quantizer(z)
        decoded, series = self.decode(z_q)
        self.monitor(pool(z_q))
        terms["time_loss"] = F.mse_loss(series, x)
        terms["frequency_loss"] = F.mse_loss(decoded, spectrogram)
        if self.joint_embedding is not None:
            terms |= self._joint_terms(x, z_q)
        return terms

    def _shift_some(self, x):
        if not self.training:  # held-out series are judged as they are
            return x
        # Few series are soon learned by heart; moved, they are new at every step.
        moved = torch.rand(len(x), 1, 1, device=x.device) < self.shift_probability
        return torch.where(moved, time_shift(x), x)

    def _joint_terms(self, x, z_q):
        view = augment(x, self.augmentations)
        z_view = self.encoder(view)
        terms = {}
        if self.augmented_weight:
            series = self.decode(z_view)[1]
            terms["augmented_loss"] = self.augmented_weight * F.mse_loss(series, view)
        joint = self.joint_embedding(z_q, z_view, x, view)
        return terms | {name: self.ssl_weight * term for name, term in joint.items()}

    def after_step(self, progress):
        if self.joint_embedding is not None:
            self.joint_embedding.follow(self.encoder, progress)

    def epoch_metrics(self):
        return self.quantizer.epoch_metrics() | self.monitor.epoch_metrics()


class MaskedPrior(TrainingModule):
    """MaskGIT's second stage; ``forward`` gives the loss of a batch of tokens."""

    def __init__(self, *, class_dropout, schedule, **transformer):
        super().__init__()
        self.class_dropout = class_dropout
        self.schedule = schedule
        self.transformer = MaskedTransformer(**transformer)

    def forward(self, tokens, classes):
        """Cross-entropy at random masked places of (batch, n_tokens)."""
        mask = random_token_mask(*tokens.shape, self.schedule, device=tokens.device)
        if self.training and self.class_dropout:
            dropped = torch.rand(len(classes), device=classes.device)
            no_class = torch.full_like(classes, self.transformer.n_classes)
            classes = torch.where(dropped < self.class_dropout, no_class, classes)
        logits = self.transformer(tokens, mask, classes).float()
        return {"token_loss": masked_cross_entropy(logits, tokens, mask)}

    def decoding_steps(
        self,
        tokens,
        unknown,
        classes,
        *,
        n_steps,
        schedule,
        temperature,
        guidance_scale,
    ):
        """Tokens and which are unknown, after each of ``n_steps`` parallel steps."""
        n_start = unknown.sum(dim=1)  # (batch,)
        for step in range(1, n_steps + 1):
            sampled, log_probability = sample_categorical(
                self._guided_logits(tokens, unknown, classes, guidance_scale)
            )
            tokens = torch.where(unknown, sampled, tokens)
            n_masked = n_masked_tokens(
                step, n_steps, n_start, unknown.sum(dim=1), schedule
            )
            randomness = temperature * (1 - step / n_steps)
            unknown = remask(log_probability, unknown, n_masked, randomness)
            yield tokens, unknown

    def _guided_logits(self, tokens, mask, classes, guidance_scale):
        if guidance_scale == 1 or not self.transformer.n_classes:
            return self.transformer(tokens, mask, classes)
        # Both kinds of scores in one batch of double size.
        no_class = torch.full_like(classes, self.transformer.n_classes)
        with_class, without = self.transformer(
            tokens.repeat(2, 1), mask.repeat(2, 1), torch.cat([classes, no_class])
        ).chunk(2)
        return torch.lerp(without, with_class, guidance_scale)

    def pseudo_log_likelihood(self, tokens):
        """Log probability of every token given all the others, summed: (batch,)."""
        transformer = self.transformer
        no_class = tokens.new_full((len(tokens),), transformer.n_classes)
        total = torch.zeros(len(tokens), dtype=torch.float64, device=tokens.device)
        for place in range(tokens.shape[1]):
            mask = torch.zeros_like(tokens, dtype=torch.bool)
            mask[:, place] = True
            hidden = transformer.hidden(tokens, mask, no_class)[:, place]
            log_p = transformer.head(hidden).double().log_softmax(dim=-1)
            total += log_p.gather(1, tokens[:, place, None])[:, 0]
        return total
