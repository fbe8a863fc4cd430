"""Sets of the UCR and UEA archives."""

import os

from sklearn.utils._param_validation import StrOptions, validate_params

from sktsrep._inputs import as_array_like

__all__ = ["load_ucr"]


@validate_params(
    {
        "name": [str],
        "split": [StrOptions({"train", "test"}), None],
        "data_home": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def load_ucr(name, split=None, *, data_home=None):
    """Load a classification set of the UCR or UEA archive, by means of aeon.

    A few sets of the archives [1]_ [2]_ come with aeon: ACSF1, ArrowHead, GunPoint,
    ItalyPowerDemand and OSULeaf of one channel, BasicMotions of six; JapaneseVowels (12
    channels) and PickupGestureWiimoteZ of unequal lengths. Others are downloaded once.

    Parameters
    ----------
    name : str
        Name of the set in the archive.
    split : {"train", "test"}, default=None
        Part of the set; None is the training part followed by the test part.
    data_home : str or path-like, default=None
        Folder with the files ``<name>/<name>_TRAIN.ts`` and ``<name>/<name>_TEST.ts``,
        as the archive has them, which is where downloads go. None is aeon's: the sets
        that come with it, then the folder in the environment variable ``AEON_DATA``, or
        ``~/aeon_data``.

    Returns
    -------
    X : ndarray of shape (n_samples, n_timepoints) or \
            (n_samples, n_channels, n_timepoints)
        Series (float64); without the second axis for one channel. NaN is a missing
        value, and fills up series that end before the longest.
    y : ndarray of shape (n_samples,)
        Labels (str, in lower case).

    Raises
    ------
    ImportError
        Without aeon.
    ValueError
        For unknown names, sets of regression and failed downloads.

    References
    ----------
    .. [1] Dau et al., "The UCR Time Series Archive", 2019, arXiv 1810.07758.
    .. [2] Bagnall et al., "The UEA multivariate time series classification archive,
       2018", arXiv 1811.00075.

    Examples
    --------
    >>> from sktsrep.datasets import load_ucr
    >>> X, y = load_ucr("GunPoint", split="train")
    >>> X.shape
    (50, 150)
    """
    try:
        from aeon.datasets import load_classification
    except ImportError as error:
        raise ImportError(
            "load_ucr needs aeon: install it, or sktsrep with the extra 'examples'."
        ) from error
    folder = None if data_home is None else os.fspath(data_home)
    try:
        X, y = load_classification(name, split, extract_path=folder)
    except (OSError, ValueError) as error:
        error.add_note(
            "load_ucr reads sets that come with aeon, such as GunPoint, and downloads "
            f"others. For files of your own, data_home is a folder that has {name}/"
            f"{name}_TRAIN.ts and {name}/{name}_TEST.ts."
        )
        raise
    X = as_array_like(X, "X", pad=True)  # (n_samples, n_channels, n_timepoints)
    return (X[:, 0] if X.shape[1] == 1 else X), y
