"""Bidirectional transformer over partly masked tokens."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["MaskedTransformer", "TransformerLayer"]


class _Attention(nn.Module):
    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x):
        query, key, value = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )  # (batch, heads, tokens, dim / heads)
        # No dropout here: the fused kernels do not know it.
        mixed = F.scaled_dot_product_attention(query, key, value)
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

    def __init__(self, dim, n_heads, dropout):
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

    def forward(self, x):
        """(batch, tokens, dim) -> the same shape."""
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.mlp(x))


class MaskedTransformer(nn.Module):
    """Bidirectional transformer over tokens, some of them masked, and a class token.

    Parameters
    ----------
    n_codes : int
        Size of the codebook; the mask is one more token.
    n_tokens : int
        Tokens a series.
    n_classes : int
        Classes; "no class" is one more, 0 is a model without classes.
    dim, n_layers, n_heads : int
        Width, depth and attention heads.
    dropout : float
        Probability of dropping, between 0 and 1.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200.

    Examples
    --------
    >>> import torch
    >>> net = MaskedTransformer(5, 7, n_classes=2, dim=8, n_layers=1, n_heads=2)
    >>> tokens = torch.zeros(3, 7, dtype=torch.int64)
    >>> net(tokens, tokens > 0, torch.tensor([0, 1, 2])).shape
    torch.Size([3, 7, 5])
    """

    def __init__(
        self, n_codes, n_tokens, n_classes, dim=128, n_layers=4, n_heads=4, dropout=0.1
    ):
        super().__init__()
        self.n_codes = n_codes
        self.n_classes = n_classes
        self.token_embedding = nn.Embedding(n_codes + 1, dim)
        self.class_embedding = nn.Embedding(n_classes + 1, dim)
        self.position_embedding = nn.Parameter(torch.empty(n_tokens + 1, dim))
        for table in (
            self.token_embedding.weight,
            self.class_embedding.weight,
            self.position_embedding,
        ):
            nn.init.trunc_normal_(table, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_codes))

    def forward(self, tokens, mask, classes):
        """Scores of the codes at every place.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_tokens), int64
            Codes; ignored where masked.
        mask : Tensor of shape (batch, n_tokens), bool
            True where a token is hidden.
        classes : Tensor of shape (batch,), int64
            Class indices; ``n_classes`` means none.

        Returns
        -------
        Tensor of shape (batch, n_tokens, n_codes)
        """
        return self.head(self.hidden(tokens, mask, classes))

    def hidden(self, tokens, mask, classes):
        """Last hidden state, (batch, n_tokens, dim), before the head."""
        visible = tokens.masked_fill(mask, self.n_codes)
        x = torch.cat(
            [
                self.class_embedding(classes).unsqueeze(1),
                self.token_embedding(visible),
            ],
            dim=1,
        )  # (batch, 1 + n_tokens, dim)
        x = self.dropout(x + self.position_embedding)
        for layer in self.layers:
            x = layer(x)
        return x[:, 1:]
