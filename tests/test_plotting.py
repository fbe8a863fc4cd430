"""Displays: what is drawn is the data, in the units that the axes name."""

import inspect
import subprocess
import sys
import types
from functools import partial

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from estimators import tiny_encoder, tiny_sampler, tiny_tokenizer, tiny_vae, waves
from sklearn.frozen import FrozenEstimator
from sklearn.random_projection import GaussianRandomProjection

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.dates import ConciseDateFormatter

from sktsrep import STFTTransformer
from sktsrep.augmentations import gaussian_noise
from sktsrep.functional import MASK_SCHEDULES
from sktsrep.plotting import (
    AnomalyDisplay,
    AugmentationDisplay,
    CodebookDisplay,
    DecodingDisplay,
    EmbeddingDisplay,
    HistoryDisplay,
    MaskScheduleDisplay,
    ReconstructionDisplay,
    SamplesDisplay,
    SpectrogramDisplay,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return waves()


@pytest.fixture(scope="module")
def tokenizer(data):
    return tiny_tokenizer().fit(data[0])


@pytest.fixture(scope="module")
def sampler(data, tokenizer):
    return tiny_sampler(FrozenEstimator(tokenizer), n_steps=5).fit(*data)


def lines(ax):
    """Data of the lines by label."""
    return {line.get_label(): line.get_ydata() for line in ax.lines}


def same_data(display, other):
    """Two displays hold the same."""
    for name, value in vars(other).items():
        np.testing.assert_equal(vars(display)[name], value)


def drawn_text(display):
    display.figure_.canvas.draw()
    return [ax.get_title(loc="left") for ax in np.ravel(display.ax_)]


# --------------------------------------------------------------------------- axes


def make_samples(data):
    return SamplesDisplay.from_arrays(*data[0].reshape(2, 20, 50))


def test_plot_returns_itself_and_keeps_where_it_drew(data):
    display = make_samples(data)
    assert display.plot() is display
    assert display.figure_ is display.ax_[0, 0].figure
    assert not hasattr(make_samples(data), "ax_")


def test_draws_on_given_axes(data):
    figure, axes = plt.subplots(2, 2)
    display = make_samples(data).plot(axes[1])
    assert display.figure_ is figure
    assert list(display.ax_.flat) == list(axes[1])
    assert not axes[0, 0].lines


def test_divides_one_axes(data):
    figure, (left, right) = plt.subplots(1, 2)
    display = make_samples(data).plot(right)
    assert display.ax_.shape == (1, 2)
    assert len(figure.axes) == 4
    assert not right.axison
    assert left.axison


def test_one_panel_draws_on_the_axes_itself(data):
    _, ax = plt.subplots()
    assert EmbeddingDisplay.from_arrays(data[0]).plot(ax).ax_ is ax


def test_wrong_number_of_axes(data):
    _, axes = plt.subplots(3)
    with pytest.raises(ValueError, match="one subplot or 2 Axes, got 3 Axes"):
        make_samples(data).plot(axes)
    with pytest.raises(ValueError, match="one subplot or 2 Axes, got 1 Axes"):
        make_samples(data).plot(plt.figure().add_axes((0, 0, 1, 1)))


def test_says_when_matplotlib_is_missing(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="Plots need matplotlib"):
        make_samples(data).plot()


@pytest.mark.parametrize("sampling_rate", [0, -1.0])
def test_sampling_rate_must_be_positive(data, sampling_rate):
    X, _ = data
    display = ReconstructionDisplay.from_arrays(X, X, sampling_rate=sampling_rate)
    with pytest.raises(ValueError, match="sampling_rate must be positive"):
        display.plot()


# --------------------------------------------------------------------- embeddings


def test_embeddings_by_class_and_part(data, tokenizer):
    X, y = data
    parts = dict(y=y[:30], y_test=y[30:], random_state=0)
    display = EmbeddingDisplay.from_estimator(tokenizer, X[:30], X_test=X[30:], **parts)
    embeddings = tokenizer.transform(X)
    same_data(
        display,
        EmbeddingDisplay.from_arrays(
            embeddings[:30], test_embeddings=embeddings[30:], **parts
        ),
    )
    display.plot()
    groups = {
        group.get_label(): (len(group.get_offsets()), len(group.get_facecolor()))
        for group in display.ax_.collections
    }
    assert groups == {
        "class 0, train": (15, 1),
        "class 0, test": (5, 0),  # open markers
        "class 1, train": (15, 1),
        "class 1, test": (5, 0),
    }
    drawn = [group.get_offsets() for group in display.ax_.collections]
    np.testing.assert_array_equal(drawn[0], display.points[:30][y[:30] == 0])
    np.testing.assert_array_equal(drawn[3], display.points[30:][y[30:] == 1])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == list(groups)


def test_classes_differ_in_color_and_marker():
    points = np.random.default_rng(0).normal(size=(40, 2))
    display = EmbeddingDisplay(points, y=np.arange(40).astype(str)).plot()
    looks = {
        (*group.get_facecolor()[0], group.get_paths()[0].vertices.tobytes())
        for group in display.ax_.collections
    }
    assert len(looks) == 40


def test_continuous_values_get_a_color_bar(data):
    values = np.linspace(0.5, 2.25, 40)
    display = EmbeddingDisplay.from_arrays(
        data[0][:30], values[:30], test_embeddings=data[0][30:], y_test=values[30:]
    ).plot()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["train", "test"]
    train, test = display.ax_.collections
    np.testing.assert_array_equal(train.get_array(), values[:30])
    assert train.get_clim() == test.get_clim() == (0.5, 2.25)


@pytest.mark.parametrize(
    ("y", "is_continuous"),
    [
        (np.arange(60), True),
        (np.arange(60) % 20, False),
        (np.arange(60) % 20 + 0.5, True),
        (np.arange(60) % 3 * 1.0, False),
        (np.arange(60).astype(str), False),
        (np.arange(60) % 2 == 0, False),
    ],
)
def test_whole_numbers_of_many_values_are_continuous(y, is_continuous):
    points = np.random.default_rng(0).normal(size=(60, 2))
    display = EmbeddingDisplay.from_arrays(points, y).plot()
    assert len(display.figure_.axes) == 1 + is_continuous
    assert display.figure_.get_figwidth() < 10


def test_collapsed_embeddings_are_drawn():
    display = EmbeddingDisplay.from_arrays(np.ones((9, 4))).plot()
    assert display.ax_.get_xlabel() == "PC 1 (0% of variance)"


@pytest.mark.parametrize("name", ["{}", "a name of more than 20 characters, {}"])
def test_many_classes_leave_room_for_the_points(name):
    rng = np.random.default_rng(0)
    y = np.repeat([name.format(i) for i in range(60)], 2)
    display = EmbeddingDisplay.from_arrays(rng.normal(size=(120, 4)), y).plot()
    display.figure_.draw_without_rendering()
    axes, legend = display.ax_.get_window_extent(), display.ax_.get_legend()
    figure = display.figure_.bbox
    assert axes.width > 0.3 * figure.width
    assert legend.get_window_extent().y0 >= 0
    assert legend.get_window_extent().x1 <= figure.width
    assert figure.width < 1200
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(set(texts)) == len(texts) == 54
    assert texts[-1] == "and 7 more"


def test_pca_is_that_of_the_covariance(data):
    X, _ = data
    display = EmbeddingDisplay.from_arrays(X).plot()
    variances = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    np.testing.assert_allclose(display.points.var(axis=0, ddof=1), variances[:2])
    share = variances[1] / variances.sum()
    assert display.ax_.get_ylabel() == f"PC 2 ({share:.0%} of variance)"
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize("n_samples", [3, 20])
def test_tsne(data, n_samples):
    X = data[0][:n_samples]
    first, second = (
        EmbeddingDisplay.from_arrays(X, method="tsne", random_state=0) for _ in "12"
    )
    same_data(first, second)
    assert first.points.shape == (n_samples, 2)
    first.plot()
    assert first.ax_.get_xlabel() == "t-SNE 1"
    assert len(first.ax_.get_xticks()) == 0


def test_any_transformer_reduces(data):
    projection = GaussianRandomProjection(2, random_state=0)
    display = EmbeddingDisplay.from_arrays(data[0], method=projection).plot()
    np.testing.assert_array_equal(display.points, projection.transform(data[0]))
    assert display.ax_.get_xlabel() == "GaussianRandomProjection 1"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
@pytest.mark.parametrize("n_samples", [5, 40])
@pytest.mark.parametrize(("method", "name"), [("umap", "UMAP"), ("densmap", "densMAP")])
def test_umap(data, method, name, n_samples):
    first, second = (
        EmbeddingDisplay.from_arrays(
            data[0][:n_samples], method=method, random_state=0
        ).plot()
        for _ in "12"
    )
    np.testing.assert_array_equal(first.points, second.points)
    assert np.isfinite(first.points).all()
    assert first.ax_.get_xlabel() == f"{name} 1"


@pytest.mark.parametrize("method", ["umap", "densmap"])
def test_umap_gets_its_settings(data, method, monkeypatch):
    settings = {}

    class UMAP:
        def __init__(self, **params):
            settings.update(params)

        def fit_transform(self, X):
            return X[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    EmbeddingDisplay.from_arrays(data[0], method=method, random_state=0)
    assert settings.get("densmap", False) == (method == "densmap")
    assert settings["n_neighbors"] == 15


def test_says_when_umap_is_missing(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="need umap-learn"):
        EmbeddingDisplay.from_arrays(data[0], method="umap")


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"method": "lda"}, "method must be one of"),
        ({"y_test": [0]}, "y_test must be given together"),
        ({"y": [0, 1, 0], "test_embeddings": np.ones((2, 50))}, "y_test must be given"),
        ({"y": [0, 1]}, "inconsistent numbers of samples"),
    ],
)
def test_bad_embeddings(data, params, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingDisplay.from_arrays(data[0][:3], **params)


def test_too_few_embeddings(data):
    with pytest.raises(ValueError, match="needs at least 3 samples"):
        EmbeddingDisplay.from_arrays(data[0][:2])


# ------------------------------------------------------------------------- series


@pytest.mark.parametrize("n_channels", [None, 2])
def test_reconstructions(n_channels):
    X, _ = waves(n_channels=n_channels)
    tokenizer = tiny_tokenizer().fit(X)
    display = ReconstructionDisplay.from_estimator(tokenizer, X, sampling_rate=25)
    decoded = tokenizer.reconstruct(X)
    same_data(display, ReconstructionDisplay.from_arrays(X, decoded, sampling_rate=25))
    display.plot(n_series=2)
    assert display.ax_.shape == (2, n_channels or 1)
    channel = (1, -1) if n_channels else (1,)
    panel = display.ax_[1, -1]
    np.testing.assert_array_equal(lines(panel)["series"], X[channel])
    np.testing.assert_array_equal(lines(panel)["reconstruction"], decoded[channel])
    np.testing.assert_allclose(panel.lines[0].get_xdata(), np.arange(50) / 25)
    assert panel.get_xlabel() == "time (s)"
    error = np.sqrt(np.mean((X[channel] - decoded[channel]) ** 2))
    assert drawn_text(display)[-1].endswith(f"RMSE {error:.3g}")


def test_reconstruction_by_inverse_transform(data):
    X, _ = data
    vae = tiny_vae().fit(X)
    display = ReconstructionDisplay.from_estimator(vae, X)
    expected = vae.inverse_transform(vae.transform(X))
    np.testing.assert_array_equal(display.X_reconstructed[:, 0], expected)


def test_reconstructions_show_a_few_channels():
    X = np.zeros((2, 7, 30))
    display = ReconstructionDisplay.from_arrays(X, X)
    assert display.plot().ax_.shape == (2, 3)
    assert display.plot(n_channels=1).ax_.shape == (2, 1)
    assert "channel 0" in display.ax_[0, 0].get_title(loc="left")


def test_bad_reconstructions(data):
    X, _ = data
    with pytest.raises(ValueError, match="must have the shape"):
        ReconstructionDisplay.from_arrays(X, X[:, 1:])
    with pytest.raises(ValueError, match=r"dim 4\. X expected <= 3"):
        ReconstructionDisplay.from_arrays(X[0].reshape(1, 1, 5, 10).repeat(2, 1), X)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("output", ["real_imag", "magnitude"])
def test_spectrograms(data, output, flatten):
    X, _ = data
    stft = STFTTransformer(output=output, flatten=flatten, device="cpu").fit(X)
    if flatten:
        stft.set_output(transform="pandas")
    display = SpectrogramDisplay.from_estimator(stft, X, sample=3, sampling_rate=100)
    other = SpectrogramDisplay.from_arrays(X[3], sampling_rate=100)
    np.testing.assert_allclose(display.magnitude, other.magnitude, atol=1e-12)
    display.plot()
    mesh = display.ax_.collections[0]
    np.testing.assert_array_equal(mesh.get_array(), display.magnitude)


def test_a_tone_is_drawn_at_its_frequency_and_time():
    time = np.arange(400) / 200
    tone = np.where(time >= 1, np.sin(2 * np.pi * 25 * time), 0)
    display = SpectrogramDisplay.from_arrays(tone, n_fft=32, sampling_rate=200).plot()
    corners = display.ax_.collections[0].get_coordinates()  # of cells
    bin_, frame = np.unravel_index(display.magnitude.argmax(), display.magnitude.shape)
    low, high = corners[bin_, frame, 1], corners[bin_ + 1, frame, 1]
    assert low < 25 < high
    assert corners[bin_, frame, 0] > 0.9
    assert display.ax_.get_xlabel() == "time (s)"
    assert display.ax_.get_ylabel() == "frequency (Hz)"


def test_spectrogram_without_units(data):
    X, _ = data
    stft = STFTTransformer(output="log_magnitude", device="cpu").fit(X)
    display = SpectrogramDisplay.from_estimator(stft, X).plot()
    np.testing.assert_array_equal(display.magnitude, stft.transform(X)[0, 0])
    corners = display.ax_.collections[0].get_coordinates()
    assert corners[-1, 0, 1] == pytest.approx(0.5 + 0.5 / 8)  # half a bin more
    assert display.ax_.get_ylabel() == "frequency (cycles per timepoint)"
    assert display.figure_.axes[1].get_ylabel() == "log(1 + magnitude)"


def test_samples_by_class(data, sampler):
    X, y = data
    display = SamplesDisplay.from_estimator(sampler, X, y, random_state=0)
    X_generated = sampler.sample(len(X), y=y, random_state=0)
    other = SamplesDisplay.from_arrays(X, X_generated, y=y, y_generated=y)
    same_data(display, other)
    display.plot(n_series=2)
    assert drawn_text(display) == [
        f"class {label}, {kind} (n = 20)"
        for label in (0, 1)
        for kind in ("real", "generated")
    ]
    panel, expected = display.ax_[1, 1], X_generated[y == 1]
    drawn = [line.get_ydata() for line in panel.lines]
    np.testing.assert_allclose(drawn[0], np.median(expected, axis=0))
    np.testing.assert_allclose(drawn[1:], expected[:2])
    outer = panel.collections[0].get_paths()[0].vertices
    for time, low, high in zip(
        range(50), *np.quantile(expected, [0.05, 0.95], axis=0), strict=True
    ):
        heights = outer[outer[:, 0] == time, 1]
        assert heights.min() == pytest.approx(low)
        assert heights.max() == pytest.approx(high)
    assert panel.get_xlabel() == "timepoint"


def test_samples_of_a_sampler_without_classes(data):
    X, y = data
    display = SamplesDisplay.from_estimator(tiny_vae().fit(X), X, y, random_state=0)
    assert list(display.groups) == [""]


def test_the_channel_is_named_where_there_are_several(data):
    X = np.zeros((4, 2, 30))
    display = SamplesDisplay.from_arrays(X, X).plot(channel=1)
    assert display.ax_[0, 0].get_ylabel() == "channel 1"
    assert make_samples(data).plot().ax_[0, 0].get_ylabel() == ""


def test_samples_without_classes(data):
    X, _ = data
    display = SamplesDisplay.from_estimator(tiny_vae().fit(X), X, random_state=0).plot()
    assert drawn_text(display) == ["real (n = 40)", "generated (n = 40)"]


@pytest.mark.parametrize(
    ("X_generated", "params", "match"),
    [
        (np.ones((3, 4)), {}, "but X_generated has series of shape"),
        (np.ones((3, 50)), {"y": np.zeros(40)}, "must be given both"),
        (
            np.ones((1, 50)),
            {"y": [0, 1] * 20, "y_generated": [2]},
            r"only one of them has \[0, 1, 2\]",
        ),
    ],
)
def test_bad_samples(data, X_generated, params, match):
    with pytest.raises(ValueError, match=match):
        SamplesDisplay.from_arrays(data[0], X_generated, **params)


def double(x):
    return 2 * x


def test_views_are_augmented_in_units_of_the_scale():
    X, _ = waves(n_channels=2)
    X = 5 * X + np.array([[3.0], [-100.0]])
    mean, scale = X.mean(axis=(0, 2)), X.std(axis=(0, 2))
    display = AugmentationDisplay.from_augmentations(
        {"twice": double, "noise": "gauss"}, X, sample=4, n_views=2
    )
    assert display.views["twice"].shape == (2, 2, 50)
    for view in display.views["twice"]:
        np.testing.assert_allclose(view.T, 2 * X[4].T - mean)
    noise = (display.views["noise"] - X[4]) / scale[:, None]
    assert noise.std() == pytest.approx(0.05, rel=0.2)
    display.plot(channel=1)
    drawn = lines(display.ax_[0, 0])
    np.testing.assert_array_equal(drawn["series"], X[4, 1])
    np.testing.assert_array_equal(drawn["view 2"], display.views["twice"][1, 1])
    assert drawn_text(display) == ["twice", "noise"]


def test_views_of_a_constant_channel_and_given_units():
    X = np.stack([waves(6)[0], np.full((6, 50), 0.1)], axis=1)
    display = AugmentationDisplay.from_augmentations({"twice": double}, X, sample=2)
    np.testing.assert_allclose(display.views["twice"][0, 1], 0.1)
    display = AugmentationDisplay.from_augmentations(
        {"twice": double}, X, sample=2, mean=[[0.5], [0.0]], scale=[[2.0], [3.0]]
    )
    np.testing.assert_allclose(display.views["twice"][0, 0], 2 * X[2, 0] - 0.5)
    np.testing.assert_allclose(display.views["twice"][0, 1], 0.2)


def test_one_augmentation_needs_no_list(data):
    views = AugmentationDisplay.from_augmentations("warp", data[0], random_state=0)
    assert list(views.views) == ["warp"]


def test_equal_names_of_augmentations_get_numbers(data):
    functions = [partial(gaussian_noise, scale=scale) for scale in (0.1, 0.5)]
    display = AugmentationDisplay.from_augmentations([*functions, "warp"], data[0])
    assert list(display.views) == ["gaussian noise 1", "gaussian noise 2", "warp"]


def test_augmentations_of_an_estimator(data):
    X, _ = data
    tokenizer = tiny_tokenizer(augmentations=["warp", double]).fit(X)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    display = AugmentationDisplay.from_estimator(tokenizer, X, random_state=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert list(display.views) == ["window warp, amplitude resize, double"]
    same = AugmentationDisplay.from_augmentations(
        {"window warp, amplitude resize, double": ["warp", double]},
        X,
        mean=tokenizer.mean_,
        scale=tokenizer.scale_,
        random_state=1,
    )
    same_data(display, same)
    with pytest.raises(ValueError, match="must name one of"):
        AugmentationDisplay.from_augmentations(["blur"], X)


@pytest.mark.parametrize("n_timepoints", [48, 49])
def test_augmentations_of_an_estimator_with_defaults(n_timepoints):
    X, _ = waves(n_timepoints=n_timepoints)  # 49 is extended to whole hops inside
    display = AugmentationDisplay.from_estimator(tiny_encoder().fit(X), X)
    assert list(display.views) == ["time shift, gaussian noise"]
    assert display.views["time shift, gaussian noise"].shape == (3, 1, n_timepoints)


# ----------------------------------------------------------------------- training


def test_history(tokenizer):
    display = HistoryDisplay.from_estimator(tokenizer)
    history = tokenizer.history_
    same_data(display, HistoryDisplay.from_arrays(history.to_dict("list")))
    display.plot()
    drawn = lines(display.ax_[0, 0])
    np.testing.assert_array_equal(drawn["sum"], history["train_loss"])
    np.testing.assert_array_equal(drawn["time"], history["time_loss"])
    assert len(drawn) == sum(name.endswith("_loss") for name in history)
    names = [ax.get_ylabel().replace("\n", "_") for ax in display.ax_.flat]
    expected = ["perplexity", "codebook_usage", "effective_rank", "feature_std"]
    assert names == ["loss", *expected]
    for ax, name in zip(display.ax_[1:, 0], expected, strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), history[name])
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), history.index)
    assert display.ax_[-1, 0].get_xlabel() == "epoch"


def test_history_with_validation_and_negative_losses():
    history = pd.DataFrame(
        {
            "token_loss": [1.0, -1.0],
            "train_loss": [1.0, -1.0],
            "valid_loss": [2.0, 0.0],
            "valid_token_loss": [2.0, 0.0],
            "dur": [0.1, 0.1],
        }
    )
    display = HistoryDisplay.from_arrays(history).plot()
    assert list(lines(display.ax_[0, 0])) == ["token", "validation"]
    assert display.ax_.shape == (1, 1)
    assert display.ax_[0, 0].get_yscale() == "linear"


def test_history_of_one_epoch_shows_points():
    display = HistoryDisplay.from_arrays({"train_loss": [2.0], "perplexity": [3.0]})
    lines = [ax.get_lines()[0] for ax in display.plot().ax_[:, 0]]
    assert [line.get_marker() for line in lines] == ["o", "o"]


def test_history_without_losses():
    with pytest.raises(ValueError, match=r"ends in '_loss', got \['dur'\]"):
        HistoryDisplay.from_arrays({"dur": [1.0]})


def test_codebook(data, tokenizer):
    X, _ = data
    tokens = tokenizer.encode(X)
    display = CodebookDisplay.from_estimator(tokenizer, X)
    same_data(display, CodebookDisplay.from_arrays(tokens, tokenizer.codebook_))
    counts = np.bincount(tokens.ravel(), minlength=8)
    order = np.argsort(-counts, kind="stable")
    display.plot()
    left, right = display.ax_[0]
    heights = left.patches[0].get_data().values
    np.testing.assert_allclose(heights, counts[order] / tokens.size)
    expected = np.corrcoef(tokenizer.codebook_.astype(float))[np.ix_(order, order)]
    np.testing.assert_allclose(right.images[0].get_array(), expected)
    assert left.get_title().startswith(f"{(counts > 0).sum()} of 8 codes in use")


@pytest.mark.parametrize(
    ("tokens", "codebook", "match"),
    [
        ([[0, 3]], np.eye(3), r"tokens must be integers in \[0, 3\)"),
        ([[-1]], np.eye(3), r"tokens must be integers in \[0, 3\)"),
        ([[0.5]], np.eye(3), r"tokens must be integers in \[0, 3\)"),
        ([[]], np.eye(3), "at least one"),
        ([[0]], np.ones((3, 1)), "code_dim of at least 2"),
    ],
)
def test_bad_codebooks(tokens, codebook, match):
    with pytest.raises(ValueError, match=match):
        CodebookDisplay.from_arrays(tokens, codebook)


def test_tokens_may_be_whole_floats():
    usage = CodebookDisplay.from_arrays([[0.0, 1.0]], np.eye(3)).usage
    np.testing.assert_array_equal(usage, [0.5, 0.5, 0])


def test_constant_codes_have_no_correlation():
    display = CodebookDisplay.from_arrays([[0]], [[1.0, 1.0], [0.0, 1.0]]).plot()
    assert np.isnan(display.correlation[0]).all()


def test_schedule_is_what_the_sampler_does(sampler):
    display = MaskScheduleDisplay.from_estimator(sampler)
    _, masks = sampler.decoding_path(random_state=0)
    expected = [sampler.n_tokens_, *masks[:, 0].sum(axis=1)]
    np.testing.assert_array_equal(display.n_masked["cosine"], expected)
    other = MaskScheduleDisplay.from_schedules(
        ["cosine"], n_steps=5, n_tokens=sampler.n_tokens_
    )
    same_data(display, other)


def test_every_schedule_is_drawn():
    display = MaskScheduleDisplay.from_schedules().plot()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == list(MASK_SCHEDULES)
    points = [line.get_ydata() for line in display.ax_.lines if len(line.get_xdata())]
    np.testing.assert_allclose(points[0][[0, -1]], [32, 0])  # a line, then its markers
    np.testing.assert_array_equal(points[1], display.n_masked["cosine"])
    with pytest.raises(ValueError, match="schedule must be one of"):
        MaskScheduleDisplay.from_schedules(["sine"])


def test_decoding(sampler, tokenizer):
    display = DecodingDisplay.from_estimator(
        sampler, y=1, random_state=0, sampling_rate=10
    )
    tokens, masks = (a[:, 0] for a in sampler.decoding_path(1, y=1, random_state=0))
    series = tokenizer.decode(tokens)
    same_data(
        display, DecodingDisplay.from_arrays(tokens, masks, series, sampling_rate=10)
    )
    final = sampler.sample_tokens(1, y=1, random_state=0)
    np.testing.assert_array_equal(display.series[-1], tokenizer.decode(final))
    display.plot(n_shown=3)
    cells = display.ax_[0, 0].collections[0].get_array()
    np.testing.assert_array_equal(cells.mask, masks)
    np.testing.assert_array_equal(cells[~masks], tokens[~masks])
    shown = [0, 2, 4]
    for ax, step in zip(display.ax_[1:, 0], shown, strict=True):
        drawn = lines(ax)
        np.testing.assert_allclose(drawn["first guess"], series[step])
        settled = ~np.isnan(drawn["settled"])
        np.testing.assert_allclose(drawn["settled"][settled], series[step][settled])
        assert settled.all() == (not masks[step].any())
        assert len(ax.patches) == masks[step].sum()
    assert display.ax_[-1, 0].get_xlabel() == "time (s)"
    assert drawn_text(display)[-1] == (
        f"after step 5 of 5: 0 of {sampler.n_tokens_} tokens masked"
    )


def test_decoding_of_tokens_alone():
    tokens = np.random.default_rng(0).integers(0, 8, size=(20, 6))
    display = DecodingDisplay.from_estimator(tiny_sampler().fit(tokens), random_state=0)
    assert display.series is None
    assert display.plot().ax_.shape == (1, 1)
    assert display.ax_[0, 0].get_xlabel() == "token"


@pytest.mark.parametrize(("n_tokens", "n_timepoints"), [(1, 7), (3, 2)])
def test_decoding_of_few_tokens_or_timepoints(n_tokens, n_timepoints):
    masks = np.array([[True] * n_tokens, [False] * n_tokens])
    series = np.ones((2, n_timepoints))
    display = DecodingDisplay.from_arrays(masks.astype(int), masks, series).plot()
    display.figure_.canvas.draw()
    assert display.ax_.shape == (3, 1)


@pytest.mark.parametrize(
    ("masks", "series", "match"),
    [
        (np.zeros((2, 4)), None, "tokens and masks must both be"),
        (np.zeros((2, 3)), np.zeros((3, 9)), "one row for each of the 2 steps, got 3"),
    ],
)
def test_bad_decoding(masks, series, match):
    with pytest.raises(ValueError, match=match):
        DecodingDisplay.from_arrays(np.zeros((2, 3), dtype=int), masks, series)


# --------------------------------------------------------- time, channels, units


def displays_of_series(X, **axes):
    """Every display that draws series."""
    tokens, masks = np.zeros((len(X), 3), dtype=int), np.zeros((len(X), 3))
    return [
        ReconstructionDisplay.from_arrays(X, X, **axes),
        SamplesDisplay.from_arrays(X, X, **axes),
        AugmentationDisplay.from_augmentations("gauss", X, **axes),
        DecodingDisplay.from_arrays(tokens, masks, X, **axes),
    ]


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize(
    ("time", "first", "label"),
    [
        (np.linspace(5, 7, 50), 5, "time"),
        (np.arange(50).astype("datetime64[D]"), 0, "time"),
        (pd.date_range("1970-01-02", periods=50, freq="D"), 1, "time"),
        (pd.date_range("1970-01-02", periods=50, tz="Asia/Tokyo"), 0.625, "time (UTC)"),
        (pd.to_timedelta(np.arange(50), "min"), 0, "time (s)"),
    ],
)
def test_time_may_be_numbers_or_dates(i, time, first, label):
    X, _ = waves(6, n_channels=2)
    display = displays_of_series(X, time=time)[i].plot()
    ax = display.ax_[-1, 0]
    assert ax.get_xlabel() == label
    assert ax.lines[0].get_xdata()[0] == first
    is_date = pd.Index(time).dtype.kind == "M"
    assert isinstance(ax.xaxis.get_major_formatter(), ConciseDateFormatter) == is_date
    display.figure_.canvas.draw()


@pytest.mark.parametrize("i", range(4))
def test_channels_have_names_and_values_a_unit(i):
    X, _ = waves(6, n_channels=2)
    axes = {"channel_names": ["pressure", "flow"], "unit": "kPa"}
    display = displays_of_series(X, **axes)[i]
    ax = display.plot().ax_[-1, 0]
    if i == 0:
        assert ax.get_ylabel() == "kPa"
        assert display.ax_[0, 1].get_title(loc="left").startswith("series 0, flow, ")
    else:
        assert ax.get_ylabel() == "pressure (kPa)"
        other = display.plot(channel=1).ax_[-1, 0]
        assert other.get_ylabel() == "flow (kPa)"


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize(
    ("axes", "match"),
    [
        ({"time": np.arange(49)}, "time must have one value for each of the 50"),
        ({"time": np.zeros(50)}, "time must increase"),
        ({"time": np.full(50, np.nan)}, "time must increase"),
        ({"time": ["a"] * 50}, "time must hold numbers or dates"),
        ({"time": 3}, "time must be a sequence"),
        ({"time": np.arange(50), "sampling_rate": 2}, "not both"),
        ({"channel_names": ["a"]}, "channel_names must be a sequence of 2 names"),
        ({"channel_names": "ab"}, "channel_names must be a sequence of 2 names"),
        ({"unit": 3}, "unit must be a str"),
    ],
)
def test_bad_axes(i, axes, match):
    X, _ = waves(6, n_channels=2)
    with pytest.raises(ValueError, match=match):
        displays_of_series(X, **axes)[i]


def test_displays_of_series_take_the_same_axes():
    names = ["sampling_rate", "time", "channel_names", "unit"]
    for display in (
        AnomalyDisplay,
        ReconstructionDisplay,
        SamplesDisplay,
        AugmentationDisplay,
        DecodingDisplay,
    ):
        makers = "__init__", "from_arrays", "from_augmentations", "from_estimator"
        for make in (*makers, "from_scores"):
            if hasattr(display, make):
                known = list(inspect.signature(getattr(display, make)).parameters)
                assert known[-4:] == names or "params" in known


def test_worst_reconstructions_come_first():
    X = np.zeros((4, 2, 30))
    decoded = X + np.array([1.0, 3.0, 0.0, 2.0])[:, None, None]
    display = ReconstructionDisplay.from_arrays(X, decoded)
    drawn = drawn_text(display.plot(n_series=2, n_channels=1, order="worst"))
    assert drawn == ["series 1, channel 0, RMSE 3", "series 3, channel 0, RMSE 2"]
    np.testing.assert_array_equal(lines(display.ax_[0, 0])["reconstruction"], 3.0)
    assert drawn_text(display.plot(n_series=1, n_channels=1))[0].startswith("series 0")
    huge = ReconstructionDisplay.from_arrays(X, 1e200 * decoded)
    assert "RMSE 3e+200" in drawn_text(huge.plot(n_series=1, order="worst"))[0]
    with pytest.raises(ValueError, match="order must be 'first' or 'worst'"):
        display.plot(order="best")


# ---------------------------------------------------------------- gaps and lengths


@pytest.fixture(scope="module")
def unequal():
    """Series of two lengths in a list; the first one has a gap."""
    X = waves(20)[0]
    X[0, 7:9] = np.nan
    return [x[: 30 + 20 * (i % 2)] for i, x in enumerate(X)]


def padded(series, n_timepoints=50):
    return pd.DataFrame(series).reindex(columns=range(n_timepoints)).to_numpy()


def assert_drawn(display):
    """All limits are finite, and the picture can be drawn."""
    for ax in display.figure_.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    display.figure_.canvas.draw()


@pytest.mark.parametrize("make", [tiny_tokenizer, tiny_vae])
def test_reconstructions_of_unequal_series(make, unequal):
    model = make().fit(unequal)
    display = ReconstructionDisplay.from_estimator(model, unequal).plot(n_series=2)
    drawn = lines(display.ax_[0, 0])
    np.testing.assert_array_equal(drawn["series"], padded(unequal)[0])
    known = ~np.isnan(drawn["reconstruction"])
    np.testing.assert_array_equal(known, np.arange(50) < 30)
    gap = np.delete(drawn["series"] - drawn["reconstruction"], [7, 8])[:28]
    rmse = np.sqrt(np.mean(gap**2))
    assert drawn_text(display)[0].endswith(f"RMSE {rmse:.3g}")
    assert_drawn(display.plot(order="worst"))
    short = ReconstructionDisplay.from_estimator(model, unequal[::2])
    assert short.X.shape == short.X_reconstructed.shape == (10, 1, 30)
    assert_drawn(short.plot())


def test_a_channel_that_a_series_lacks_is_an_empty_panel():
    X = waves(6, n_channels=2)[0]
    X[0, 1] = np.nan
    display = ReconstructionDisplay.from_arrays(X, X).plot()
    assert drawn_text(display)[1].endswith("RMSE nan")
    assert_drawn(display)


def test_quantiles_are_those_of_the_known_values(unequal):
    display = SamplesDisplay.from_arrays(unequal, waves(9, 40)[0].tolist())
    X, X_generated = (Z[:, 0] for Z in display.groups[""])
    np.testing.assert_array_equal(X, padded(unequal))
    assert X_generated.shape == (9, 50)
    display.plot(n_series=1)
    for panel, Z in zip(display.ax_[0], (X, X_generated), strict=True):
        median, first = (line.get_ydata() for line in panel.lines)
        np.testing.assert_allclose(median, pd.DataFrame(Z).median())
        np.testing.assert_array_equal(first, Z[0])
    assert_drawn(display)


def test_samples_of_unequal_series(unequal):
    y = np.arange(20) % 2
    sampler = tiny_sampler(tiny_tokenizer()).fit(unequal, y)
    display = SamplesDisplay.from_estimator(sampler, unequal, y, random_state=0)
    assert_drawn(display.plot())
    decoding = DecodingDisplay.from_estimator(sampler, y=0, random_state=0)
    assert (decoding.tokens >= 0).all()
    assert decoding.series.shape[-1] < 50
    assert_drawn(decoding.plot())
    codebook = CodebookDisplay.from_estimator(sampler.tokenizer_, unequal).plot()
    tokens = sampler.tokenizer_.encode(unequal)
    assert codebook.usage.sum() == pytest.approx(1)
    assert codebook.usage.max() == (
        np.bincount(tokens[tokens >= 0]).max() / (tokens >= 0).sum()
    )
    assert_drawn(codebook)
    embedding = EmbeddingDisplay.from_estimator(sampler.tokenizer_, unequal, y)
    assert_drawn(embedding.plot())


def test_decoding_of_a_series_with_gaps():
    tokens = np.array([[1, 0, -1], [1, 2, -1]])
    series = np.full((2, 30), np.nan)
    series[:, :20] = np.arange(20)
    series[0, 5] = np.nan
    display = DecodingDisplay.from_arrays(tokens, np.zeros((2, 3)), series).plot()
    assert display.series.shape == (2, 1, 20)
    assert display.tokens.shape == (2, 2)
    assert_drawn(display)


def test_views_end_with_the_series(unequal):
    encoder = tiny_encoder().fit(unequal)
    for sample in (0, 1):
        display = AugmentationDisplay.from_estimator(
            encoder, unequal, sample=sample, random_state=0
        ).plot()
        (views,) = display.views.values()
        assert views.shape == (3, 1, len(unequal[sample]))
        assert np.isfinite(views).all()
        drawn = lines(display.ax_[0, 0])["series"]
        np.testing.assert_array_equal(drawn, unequal[sample])
        assert_drawn(display)
    longer = [np.ones(60), np.arange(70.0)]
    display = AugmentationDisplay.from_estimator(encoder, longer, sample=-1).plot()
    assert display.x.shape == (1, 70)


def test_the_unit_of_views_is_that_of_the_values(unequal):
    twice = AugmentationDisplay.from_augmentations({"twice": double}, unequal, sample=3)
    values = np.concatenate(unequal)
    values[7:9] = np.linspace(values[6], values[9], 4)[1:-1]  # bridged
    expected = 2 * unequal[3] - values.mean()
    np.testing.assert_allclose(twice.views["twice"][0, 0], expected)


def test_spectrograms_of_unequal_series(unequal):
    stft = STFTTransformer(device="cpu").fit(unequal)
    display = SpectrogramDisplay.from_estimator(stft, unequal, sample=0).plot()
    frames = np.isnan(display.magnitude).all(axis=0)
    np.testing.assert_array_equal(frames, np.arange(26) > 15)
    mesh = display.ax_.collections[0]
    assert np.isfinite(mesh.get_clim()).all()
    assert_drawn(display)
    alone = SpectrogramDisplay.from_arrays(padded(unequal)[0]).plot()
    np.testing.assert_allclose(alone.magnitude, display.magnitude[:, :16], atol=1e-12)


# ----------------------------------------------------------------- errors that help


def test_what_an_estimator_must_have(data):
    X, _ = data
    encoder = tiny_encoder().fit(X)
    for make, match in (
        (lambda: ReconstructionDisplay.from_estimator(encoder, X), "reconstruct"),
        (lambda: CodebookDisplay.from_estimator(encoder, X), "encode and codebook_"),
        (lambda: SamplesDisplay.from_estimator(encoder, X), "sample"),
        (lambda: HistoryDisplay.from_estimator(STFTTransformer()), "history_"),
        (lambda: MaskScheduleDisplay.from_estimator(encoder), "schedule"),
        (lambda: DecodingDisplay.from_estimator(encoder), "decoding_path"),
        (lambda: SpectrogramDisplay.from_estimator(encoder, X), "spectrogram_shape_"),
        (lambda: EmbeddingDisplay.from_estimator(tiny_sampler(), X), "transform"),
    ):
        with pytest.raises(TypeError, match=f"estimator must have .*{match}"):
            make()


@pytest.mark.parametrize(
    ("history", "match"),
    [
        ({"a_loss": [1.0, np.nan]}, r"history\['a_loss'\] contains NaN"),
        ({"a_loss": ["x", "y"]}, r"history\['a_loss'\] must hold numbers"),
        ({"a_loss": [1.0], "b_loss": [1.0, 2.0]}, "one value per epoch"),
        ({"a_loss": 1.0}, "one value per epoch"),
        ({"a_loss": []}, r"history\['a_loss'\] is empty"),
        ({3: [1.0]}, "ends in '_loss'"),
    ],
)
def test_bad_histories(history, match):
    with pytest.raises(ValueError, match=match):
        HistoryDisplay.from_arrays(history)


@pytest.mark.parametrize(
    ("tokens", "codebook", "match"),
    [
        ([[0]], [[np.nan, 1.0]], "codebook contains NaN"),
        ([[0]], [["a", "b"]], "codebook must hold numbers"),
        ([[0]], np.ones((0, 2)), "codebook is empty"),
        ([["a"]], np.eye(2), "tokens must be integers"),
        ([[np.nan]], np.eye(2), "tokens contains NaN"),
        ([[0], [0, 1]], np.eye(2), "tokens must have equal length"),
    ],
)
def test_codebooks_are_checked(tokens, codebook, match):
    with pytest.raises(ValueError, match=match):
        CodebookDisplay.from_arrays(tokens, codebook)


@pytest.mark.parametrize("y", [[None, 1, 0], ["a", None, "b"], [np.nan, 1.0, 0.0]])
def test_labels_must_not_be_missing(data, y):
    X = data[0][:3]
    for make in (
        lambda: EmbeddingDisplay.from_arrays(X, y),
        lambda: SamplesDisplay.from_arrays(X, X, y=y, y_generated=y),
    ):
        with pytest.raises(ValueError, match=r"y (has missing values|contains NaN)"):
            make()


def test_tensors_with_gradient_are_drawn(data):
    X = torch.tensor(data[0], requires_grad=True)
    same_data(
        ReconstructionDisplay.from_arrays(X, X),
        ReconstructionDisplay.from_arrays(data[0], data[0]),
    )
    same_data(
        EmbeddingDisplay.from_arrays(X, random_state=0),
        EmbeddingDisplay.from_arrays(data[0], random_state=0),
    )
    loss = torch.ones(2, requires_grad=True)
    assert list(HistoryDisplay.from_arrays({"a_loss": loss}).losses["a_loss"]) == [1, 1]


@pytest.mark.parametrize("channel", [2, -1, "a"])
def test_bad_channels(channel):
    X, _ = waves(6, n_channels=2)
    for display in displays_of_series(X)[1:]:
        with pytest.raises(ValueError, match="channel must be an int from 0 to 1"):
            display.plot(channel=channel)


def test_plotting_and_metrics_need_no_import_of_their_own():
    code = (
        "import sys, sktsrep;"
        "lazy = {'matplotlib', 'sktsrep.plotting', 'sktsrep.metrics'};"
        "assert not lazy & {*sys.modules};"
        "assert {'metrics', 'plotting'} < {*dir(sktsrep)};"
        "sktsrep.plotting.EmbeddingDisplay, sktsrep.metrics.mmd;"
        "assert 'matplotlib' not in sys.modules;"
        "assert not hasattr(sktsrep, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_codebook_display_leaves_out_the_tokens_of_levels():
    X = waves()[0] + 9 * np.arange(40)[:, None]
    tokenizer = tiny_tokenizer().fit(X)
    assert tokenizer.level_codebook_ is not None
    display = CodebookDisplay.from_estimator(tokenizer, X)
    tokens = tokenizer.encode(X)[:, 1:]
    expected = np.bincount(tokens.ravel(), minlength=8) / tokens.size
    np.testing.assert_allclose(display.usage, np.sort(expected)[::-1])
