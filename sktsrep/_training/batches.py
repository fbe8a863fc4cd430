"""Batches of training data that live on the device, or on the host."""

import math

import torch
from torch.utils.data import Dataset

from sktsrep._gaps import longer_half
from sktsrep._ranks import n_ranks

__all__ = ["DeviceBatches", "Rows"]

# Series that a network starts from.
_MOST_TYPICAL = 2**14

# Share by which lengths may seem larger when series of similar length are put together.
_LENGTH_JITTER = 0.25


class DeviceBatches:
    """Batches of a tensor data set, selected where it lies, for the training's device.

    Rows are spread evenly, so that no last batch is much smaller than the others. A
    lone row is taken twice, because batch statistics need two, and so are rows that are
    fewer than the processes that share them. Series of unequal length come with others
    of about their length, all cut to one length.
    """

    def __init__(self, dataset, batch_size, shuffle=False):
        self.dataset = dataset
        self.n_batches = math.ceil(len(dataset) / batch_size)
        self.shuffle = shuffle

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        tensors, lengths = self.dataset.tensors, self.dataset.lengths
        for rows in self._batches():
            least = max(2, n_ranks())
            if len(rows) < least:
                rows = rows.repeat(math.ceil(least / len(rows)))
            series, *others = (tensor[rows] for tensor in tensors)
            if lengths is not None:
                series = self._cut(series, lengths[rows])
            yield tuple(map(self.dataset.on_device, (series, *others))), None

    def _batches(self):
        rows, lengths = self.dataset.rows, self.dataset.lengths
        if lengths is None:
            if self.shuffle:
                rows = rows[torch.randperm(len(rows), device=rows.device)]
            return rows.tensor_split(self.n_batches)
        keys = lengths[rows].float()
        if self.shuffle:  # other companions at every pass
            keys = keys * (1 + _LENGTH_JITTER * torch.rand_like(keys))
        order = keys.argsort(stable=True)
        batches = rows[order].tensor_split(self.n_batches)
        if self.shuffle:
            batches = [batches[i] for i in torch.randperm(self.n_batches).tolist()]
        return batches

    def _cut(self, series, lengths):
        """Cut series to their median length; shorter ones end with their last value."""
        length = self.dataset.at_most(lengths.median())
        room = (lengths - length).clamp(min=0)
        share = torch.rand(len(room), device=room.device) if self.shuffle else 0.0
        start = (share * (room + 1)).long().clamp(max=room)
        return _cropped(series, start, length)


def _cropped(series, start, length):
    """Parts of a length, which begin where each series is told to."""
    times = start.unsqueeze(1) + torch.arange(length, device=start.device)
    return series.gather(2, times.unsqueeze(1).expand(-1, series.shape[1], -1))


class Rows(Dataset):
    """Some rows of tensors, whose series may have unequal lengths.

    The tensors are those of all rows: selecting would copy what may be large. They may
    lie on the host where ``device`` is a GPU. Series longer than ``most`` are cropped.
    """

    def __init__(self, *tensors, lengths=None, most=None, rows=None, device=None):
        first = tensors[0]
        self.tensors = tensors
        self.lengths = lengths
        self.most = most
        self.device = device or first.device
        self.rows = torch.arange(len(first), device=first.device)
        self.rows = self.rows if rows is None else rows

    def __len__(self):
        return len(self.rows)

    def where(self, chosen):
        """Choose rows by a mask."""
        return Rows(
            *self.tensors,
            lengths=self.lengths,
            most=self.most,
            rows=self.rows[chosen],
            device=self.device,
        )

    def at_most(self, length):
        """Length of a crop of series of a length."""
        return length if self.most is None else min(int(length), self.most)

    def on_device(self, x):
        """Send selected rows to the device, without waiting for it."""
        if x.device.type == self.device.type:
            return x
        return x.pin_memory().to(self.device, non_blocking=True)

    def typical(self):
        """Series of one length: of unequal ones the longer half, cut.

        They are all, or many that are evenly spaced. Crops are spread over the series.
        """
        step = math.ceil(len(self) / _MOST_TYPICAL)
        rows = self.rows[::step]
        lengths = None if self.lengths is None else self.lengths[rows]
        series = longer_half(self.tensors[0][rows], lengths)
        if self.most is not None:
            length = self.at_most(series.shape[2])
            room = series.shape[2] - length
            start = torch.linspace(0, room, len(series), device=series.device).long()
            series = _cropped(series, start, length)
        return self.on_device(series)
