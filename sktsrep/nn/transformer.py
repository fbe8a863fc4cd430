"""Transformers over tokens: bidirectional with masks, and causal."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sktsrep.nn.codes import LEAST_SPREAD, CodeEmbedding, make_embedding
from sktsrep.nn.depth_head import DepthHead
from sktsrep.nn.latent_factors import LatentFactors

__all__ = [
    "CausalTransformer",
    "KeyValueCache",
    "MaskedTransformer",
    "TransformerLayer",
]

# Series from which factors are learned: a few dozen factors need no more.
_ENOUGH_SERIES = 4096


class KeyValueCache:
    """Keys and values of the places that a causal layer has seen.

    Examples
    --------
    >>> import torch
    >>> cache = KeyValueCache()
    >>> for _ in range(2):
    ...     key, value = cache.append(*torch.zeros(2, 3, 4, 1, 8))
    >>> key.shape  # (batch, heads, places, dim / heads)
    torch.Size([3, 4, 2, 8])
    """

    def __init__(self) -> None:
        self.seen: tuple[Tensor, Tensor] | None = None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add new places at the end; return all of them."""
        if self.seen is not None:
            key = torch.cat([self.seen[0], key], dim=2)
            value = torch.cat([self.seen[1], value], dim=2)
        self.seen = key, value
        return key, value


class _Attention(nn.Module):
    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(
        self,
        x: Tensor,
        causal: bool,
        cache: KeyValueCache | None,
        visible: Tensor | None,
    ) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )  # (batch, heads, places, dim / heads)
        if cache is not None:
            key, value = cache.append(key, value)
        # A lone new place may look at all before it. No dropout: the fused kernels do
        # not know it.
        causal = causal and query.shape[2] > 1
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, is_causal=causal
        )
        return self.out(mixed.transpose(1, 2).flatten(start_dim=2))


class TransformerLayer(nn.Module):
    """Self-attention and a perceptron, each beside an identity path (pre-norm).

    Parameters
    ----------
    dim, n_heads : int
        Width and attention heads.
    dropout : float
        Probability of dropping, between 0 and 1.

    Examples
    --------
    >>> import torch
    >>> TransformerLayer(8, n_heads=2, dropout=0.0)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])
    """

    worth_compiling = True

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = _Attention(dim, n_heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 2 * dim),
            nn.GELU(),
            nn.Linear(2 * dim, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        causal: bool = False,
        cache: KeyValueCache | None = None,
        visible: Tensor | None = None,
    ) -> Tensor:
        """Map (batch, places, dim) to the same shape.

        With ``causal``, a place sees only itself and those before it. A cache holds the
        places of earlier calls; then ``x`` is all of the first places, or the next one.
        ``visible`` (batch, 1, 1, places) is True where a place may be looked at.
        """
        mixed = self.attention(self.attention_norm(x), causal, cache, visible)
        x = x + self.dropout(mixed)
        return x + self.dropout(self.mlp(x))


class _TokenTransformer(nn.Module):
    """What both transformers share: a class in front of places, layers and a head."""

    def __init__(
        self,
        n_codes: int,
        n_places: int,
        n_classes: int,
        depth: int,
        n_symbols: int,
        n_positions: int,
        dim: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
        code_dim: int,
        tied: bool,
        tabled: bool = True,
    ) -> None:
        super().__init__()
        self.n_codes = n_codes
        self.n_places = n_places
        self.n_classes = n_classes
        self.depth = depth
        n_rows = n_symbols if tabled else 1  # the mask, which is no code
        self.token_embedding = make_embedding(n_symbols, dim, code_dim, n_rows)
        self.class_embedding = nn.Embedding(n_classes + 1, dim)
        self.position_embedding = nn.Parameter(torch.empty(n_positions, dim))
        for table in (self.class_embedding.weight, self.position_embedding):
            nn.init.trunc_normal_(table, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = DepthHead(n_codes, depth, dim, code_dim, tied, tabled)

    @torch.no_grad()
    def set_codes(self, codebook: Tensor) -> None:
        """Take the vectors of all codes, (depth * n_codes, code_dim).

        Those of a place add up to its quantized latent vector, and so do their
        embeddings.
        """
        levels = codebook.unflatten(0, (self.depth, -1))
        self.head.set_codes(levels)
        if isinstance(self.token_embedding, CodeEmbedding):
            self.token_embedding.codes[: len(codebook)] = self._in_deviations(codebook)

    def _in_deviations(self, codebook: Tensor) -> Tensor:
        """Vectors of codes in deviations of the coarsest ones."""
        coarsest = codebook[: self.n_codes]
        return codebook / coarsest.std(correction=0).clamp(min=LEAST_SPREAD)

    def symbols(self, tokens: Tensor) -> Tensor:
        """Tokens (..., depth), counted on from level to level."""
        steps = torch.arange(self.depth, device=tokens.device) * self.n_codes
        return tokens + steps

    def embed_places(self, symbols: Tensor) -> Tensor:
        """Sum the embeddings of a place's symbols: (batch, places, dim)."""
        return self.token_embedding(symbols).sum(dim=-2)

    def embed_classes(self, classes: Tensor) -> Tensor:
        """Embed classes (batch,) as a first place: (batch, 1, dim)."""
        return self.class_embedding(classes).unsqueeze(1)


class MaskedTransformer(_TokenTransformer):
    """Bidirectional transformer over places, some of them masked, and a class token.

    Parameters
    ----------
    n_codes : int
        Values of a token; the mask is one more symbol.
    n_places : int
        Places of the latent map.
    n_classes : int
        Classes; "no class" is one more. 0 is a model without classes.
    depth : int
        Tokens per place. All of them are masked together, and their embeddings are
        added.
    dim, n_layers, n_heads : int
        Width, depth and attention heads.
    dropout : float
        Probability of dropping, between 0 and 1.
    code_dim : int
        Size of a code's vector, for :meth:`set_codes`; 0 where the vectors are not
        known.
    tied : bool
        Whether scores are products with the codes' vectors, see :class:`DepthHead`.
    n_factors : int
        Factors by which a masked place is told, beside its mask, what the others let
        expect of it, see :class:`LatentFactors`. They need the vectors of codes, which
        then stand in for a table of embeddings. 0 is a model without.
    n_level_places : int
        So many of the first places have tokens of a second codebook, of the same size,
        see :meth:`set_level_codes`. Only a model with factors tells them apart.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200; Lee et al. 2022, "Draft-and-revise",
    arXiv 2206.04452, section 3, for places of several tokens.

    Examples
    --------
    >>> import torch
    >>> net = MaskedTransformer(5, 7, n_classes=2, dim=8, n_layers=1, n_heads=2)
    >>> tokens = torch.zeros(3, 7, 1, dtype=torch.int64)
    >>> hidden = net(tokens, tokens[..., 0] > 0, torch.tensor([0, 1, 2]))
    >>> hidden.shape, net.head(hidden, tokens).shape
    (torch.Size([3, 7, 8]), torch.Size([3, 7, 1, 5]))
    """

    def __init__(
        self,
        n_codes: int,
        n_places: int,
        n_classes: int,
        depth: int = 1,
        dim: int = 128,
        n_layers: int = 4,
        n_heads: int = 4,
        dropout: float = 0.1,
        code_dim: int = 0,
        tied: bool = False,
        n_factors: int = 0,
        n_level_places: int = 0,
    ) -> None:
        n_second = n_level_places if n_factors else 0
        n_symbols = (2 if n_second else 1) * depth * n_codes + 1
        super().__init__(
            n_codes,
            n_places,
            n_classes,
            depth,
            n_symbols=n_symbols,
            n_positions=n_places + 1,
            dim=dim,
            n_layers=n_layers,
            n_heads=n_heads,
            dropout=dropout,
            code_dim=code_dim,
            tied=tied,
            tabled=not n_factors,
        )
        self.n_second = n_second
        self.hidden_symbol = n_symbols - 1
        self.factors = None
        if n_factors:
            self.factors = LatentFactors(n_places, code_dim, n_factors)
            self.expectation = nn.Linear(code_dim, dim, bias=False)

    @torch.no_grad()
    def set_level_codes(self, codebook: Tensor) -> None:
        """Take the vectors of the second codebook, (depth * n_codes, level_dim).

        Where these vectors are longer than those of codes, their first numbers count.
        """
        if self.n_second:
            codes = self.token_embedding.get_buffer("codes")
            level_dim = min(codebook.shape[1], codes.shape[1])
            second = codes[len(codebook) : 2 * len(codebook), :level_dim]
            second.copy_(self._in_deviations(codebook)[:, :level_dim])

    def start(self, tokens: Tensor, absent: Tensor | None) -> None:
        """Learn the factors from tokens (n_series, n_places, depth)."""
        if self.factors is not None:
            step = math.ceil(len(tokens) / _ENOUGH_SERIES)
            tokens = tokens[::step]
            present = torch.ones_like(tokens[..., 0], dtype=torch.bool)
            if absent is not None:
                present = ~absent[::step]
            vectors = self._vectors(self._inputs(tokens))
            self.factors.start(vectors, present, _half_of(tokens))

    def _vectors(self, symbols: Tensor) -> Tensor:
        """Vectors (batch, places, code_dim) of places; that of the mask is 0."""
        codes = self.token_embedding.get_buffer("codes")
        # Level by level, because all at once would take depth times the memory.
        coarsest, *finer = symbols.unbind(dim=-1)
        vectors = F.embedding(coarsest, codes)
        for level in finer:
            vectors += F.embedding(level, codes)
        return vectors

    def _inputs(self, tokens: Tensor) -> Tensor:
        """Symbols of tokens, counted on from codebook to codebook."""
        steps = tokens.new_zeros(tokens.shape[1], 1)
        steps[: self.n_second] = self.depth * self.n_codes
        return self.symbols(tokens) + steps

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor,
        classes: Tensor,
        absent: Tensor | None = None,
    ) -> Tensor:
        """Compute the hidden states that ``head`` scores.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_places, depth), int64
            Tokens; ignored where masked.
        mask : Tensor of shape (batch, n_places), bool
            True where a place is hidden.
        classes : Tensor of shape (batch,), int64
            Class indices; ``n_classes`` means none.
        absent : Tensor of shape (batch, n_places), bool, default=None
            True after the end of a series: no other place looks there.

        Returns
        -------
        Tensor of shape (batch, n_places, dim)
        """
        symbols = self._inputs(tokens).masked_fill(
            mask.unsqueeze(-1), self.hidden_symbol
        )
        unseen = mask if absent is None else mask | absent
        places = self.embed_places(symbols)
        if self.factors is not None:
            in_half = _half_of(tokens) if self.training else None
            expected = self.factors(self._vectors(symbols), ~unseen, in_half)
            places = places + self.expectation(expected) * unseen.unsqueeze(-1)
        x = torch.cat([self.embed_classes(classes), places], dim=1)
        x = self.dropout(x + self.position_embedding)
        visible = None
        if absent is not None:  # the class is always there
            visible = F.pad(~absent, (1, 0), value=True)[:, None, None]
        for layer in self.layers:
            x = layer(x, visible=visible)
        return self.norm(x[:, 1:])


def _half_of(tokens: Tensor) -> Tensor:
    """Which half of the training data series are in: always the same one."""
    return tokens.sum(dim=(1, 2)) % 2 == 0


class CausalTransformer(_TokenTransformer):
    """Causal transformer: a place sees the class and the places before it.

    Parameters
    ----------
    n_codes : int
        Values of a token.
    n_places : int
        Places of the latent map.
    n_classes : int
        Classes; "no class" is one more. 0 is a model without classes.
    depth : int
        Tokens per place, whose embeddings are added.
    dim, n_layers, n_heads : int
        Width, depth and attention heads.
    dropout : float
        Probability of dropping, between 0 and 1.
    code_dim : int
        Size of a code's vector, for :meth:`set_codes`; 0 where the vectors are not
        known.
    tied : bool
        Whether scores are products with the codes' vectors, see :class:`DepthHead`.

    References
    ----------
    van den Oord et al. 2017, "VQ-VAE", arXiv 1711.00937, section 3.3, for the place of
    an autoregressive prior; Radford et al. 2019, "GPT-2", for the layers; Lee et al.
    2022, "RQ-Transformer", arXiv 2203.01941, for places of several tokens.

    Examples
    --------
    >>> import torch
    >>> net = CausalTransformer(5, 7, n_classes=2, dim=8, n_layers=1, n_heads=2)
    >>> tokens = torch.zeros(3, 7, 1, dtype=torch.int64)
    >>> net(tokens, torch.tensor([0, 1, 2])).shape
    torch.Size([3, 7, 8])
    """

    def __init__(
        self,
        n_codes: int,
        n_places: int,
        n_classes: int,
        depth: int = 1,
        dim: int = 128,
        n_layers: int = 4,
        n_heads: int = 4,
        dropout: float = 0.1,
        code_dim: int = 0,
        tied: bool = False,
    ) -> None:
        super().__init__(
            n_codes,
            n_places,
            n_classes,
            depth,
            n_symbols=depth * n_codes,
            n_positions=n_places,  # the last place is predicted, never seen
            dim=dim,
            n_layers=n_layers,
            n_heads=n_heads,
            dropout=dropout,
            code_dim=code_dim,
            tied=tied,
        )

    def embed(self, tokens: Tensor, classes: Tensor) -> Tensor:
        """Embed classes (batch,) and the first places' tokens (batch, n, depth)."""
        places = [self.embed_classes(classes), self.embed_next(tokens)]
        return torch.cat(places, dim=1)

    def embed_next(self, tokens: Tensor) -> Tensor:
        """Embed tokens (batch, n, depth): (batch, n, dim)."""
        return self.embed_places(self.symbols(tokens))

    def forward(self, tokens: Tensor, classes: Tensor) -> Tensor:
        """Compute the hidden states that ``head`` scores, given the places before.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_places, depth), int64
            Tokens.
        classes : Tensor of shape (batch,), int64
            Class indices; ``n_classes`` means none.

        Returns
        -------
        Tensor of shape (batch, n_places, dim)
        """
        x = self.dropout(self.embed(tokens[:, :-1], classes) + self.position_embedding)
        for layer in self.layers:
            x = layer(x, causal=True)
        return self.norm(x)

    def make_cache(self) -> list[KeyValueCache]:
        """Make an empty cache for :meth:`next_hidden`, one per layer."""
        return [KeyValueCache() for _ in self.layers]

    def next_hidden(self, x: Tensor, n_seen: int, cache: list[KeyValueCache]) -> Tensor:
        """Compute the hidden state of the place after the newest one.

        Parameters
        ----------
        x : Tensor of shape (batch, n_new, dim)
            Embeddings of the class and the first places, or of the next place.
        n_seen : int
            Places that the cache has seen before these.
        cache : list of KeyValueCache
            Of :meth:`make_cache`; the new places are added.

        Returns
        -------
        Tensor of shape (batch, dim)
        """
        x = self.dropout(x + self.position_embedding[n_seen : n_seen + x.shape[1]])
        for layer, seen in zip(self.layers, cache, strict=True):
            x = layer(x, causal=True, cache=seen)
        return self.norm(x[:, -1])
