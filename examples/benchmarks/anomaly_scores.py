"""Scores of anomaly detectors that need no threshold: areas under precision and recall.

Precision and recall of timepoints punish a peak that comes a few timepoints early. The
volume under the surface [1]_ gives the timepoints around an anomaly a part of its
weight, and is the mean over all widths of these margins.

References
----------
.. [1] Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin 2022, "Volume under the
   surface", VLDB 15.11. Departures from the text are those of the authors' package
   ``vus``, version "opt", whose results these are.
"""

import numpy as np

__all__ = ["vus_pr"]

N_THRESHOLDS = 250


def vus_pr(labels, scores, widest=100):
    """Volume under the surface of precision and recall.

    Parameters
    ----------
    labels : ndarray of shape (n_timepoints,)
        1 in anomalies, 0 elsewhere; some of both.
    scores : ndarray of shape (n_timepoints,)
        High where unusual.
    widest : int, default=100
        Margins are 0 to ``widest`` timepoints wide, half on either side.

    Returns
    -------
    float
        From 0 to 1.
    """
    labels = np.asarray(labels, dtype=bool)
    order = np.argsort(-scores, kind="stable")
    places = np.linspace(0, len(scores) - 1, N_THRESHOLDS).astype(int)
    thresholds = scores[order][places]
    n_predicted = np.searchsorted(-scores[order], -thresholds, side="right")
    areas = []
    for width in range(widest + 1):
        weights = with_margins(labels, width)
        found = np.cumsum(weights[order])[n_predicted - 1]
        found_inside = np.cumsum(labels[order])[n_predicted - 1]
        # Timepoints of the margin count as anomalous only where they are predicted.
        n_anomalous = labels.sum() + (found - found_inside) / 2
        recall = np.minimum(found / n_anomalous, 1)
        recall *= share_of_ranges(labels, width, scores, thresholds)
        areas.append(np.diff(recall, prepend=0) @ (found / n_predicted))
    return float(np.mean(areas))


def with_margins(labels, width):
    """Give anomalies weight 1, and less to the timepoints around them."""
    weights = labels.astype(float)
    half = width // 2
    for begin, end in ranges(labels):
        before = np.arange(max(begin - half, 0), begin)
        after = np.arange(end, min(end + half, len(labels)))
        weights[before] += np.sqrt(1 - (begin - before) / max(width, 1))
        weights[after] += np.sqrt(1 - (after - end + 1) / max(width, 1))
    return np.minimum(weights, 1)


def share_of_ranges(labels, width, scores, thresholds):
    """Share of the anomalies with margins that have a timepoint above a threshold."""
    half = width // 2
    wider = labels.copy()
    for begin, end in ranges(labels):
        wider[max(begin - half, 0) : end + half] = True
    highest = np.array([scores[begin:end].max() for begin, end in ranges(wider)])
    return (highest >= thresholds[:, None]).mean(axis=1)


def ranges(labels):
    """Begin and end of every anomaly, half-open."""
    return np.flatnonzero(np.diff(labels, prepend=0, append=0)).reshape(-1, 2)
