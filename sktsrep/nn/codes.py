"""Layers that know the vectors of codes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "LEAST_SPREAD",
    "CodeEmbedding",
    "CodeScores",
    "make_embedding",
]

# Standard deviation below which codes are all the same.
LEAST_SPREAD = 1e-8


class CodeEmbedding(nn.Embedding):
    """Embed codes by a linear map of their vectors, beside a learned table.

    Codes whose vectors are near each other begin alike, so that what is learned of one
    holds for its neighbors, too. A small data set has few examples of each code.

    Parameters
    ----------
    n_symbols : int
        Codes and, after them, symbols that stand for none.
    dim : int
        Size of an embedding.
    code_dim : int
        Size of a code's vector. :attr:`codes` are to be set.
    n_rows : int, default=None
        So many of the last symbols have a row in the table; None is all of them. Codes
        without one are what their vectors are, so a sampler cannot tell a training
        series by single codes.

    Attributes
    ----------
    codes : Tensor of shape (n_symbols, code_dim)
        The vectors; zeros until they are set.

    Examples
    --------
    >>> import torch
    >>> CodeEmbedding(5, dim=8, code_dim=3)(torch.tensor([0, 4])).shape
    torch.Size([2, 8])
    """

    codes: Tensor

    def __init__(
        self, n_symbols: int, dim: int, code_dim: int, n_rows: int | None = None
    ) -> None:
        super().__init__(n_symbols if n_rows is None else n_rows, dim)
        self.register_buffer("codes", torch.zeros(n_symbols, code_dim))
        self.projection = nn.Linear(code_dim, dim, bias=False)

    def forward(self, symbols: Tensor) -> Tensor:
        """Map symbols (...) to embeddings (..., dim)."""
        n_without = len(self.codes) - len(self.weight)
        rows = F.pad(self.weight, (0, 0, n_without, 0))
        return F.embedding(symbols, rows + self.projection(self.codes))


class CodeScores(nn.Module):
    """Score codes by the products of a query with their vectors.

    Parameters
    ----------
    dim : int
        Size of a hidden state.
    n_codes : int
        How many codes.
    code_dim : int
        Size of a code's vector. :attr:`codes` are to be set.

    Attributes
    ----------
    codes : Tensor of shape (n_codes, code_dim)
        The vectors; zeros until they are set.

    Examples
    --------
    >>> import torch
    >>> CodeScores(8, n_codes=5, code_dim=3)(torch.zeros(2, 8)).shape
    torch.Size([2, 5])
    """

    codes: Tensor

    def __init__(self, dim: int, n_codes: int, code_dim: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(n_codes, code_dim))
        self.query = nn.Linear(dim, code_dim)
        self.bias = nn.Parameter(torch.zeros(n_codes))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., dim) to scores (..., n_codes)."""
        return F.linear(self.query(hidden), self.codes, self.bias)


def make_embedding(
    n_symbols: int, dim: int, code_dim: int, n_rows: int | None = None
) -> nn.Embedding:
    """Make an embedding of codes, whose vectors are known unless ``code_dim`` is 0."""
    if code_dim:
        table: nn.Embedding = CodeEmbedding(n_symbols, dim, code_dim, n_rows)
    else:
        table = nn.Embedding(n_symbols, dim)
    nn.init.trunc_normal_(table.weight, std=0.02)
    return table
