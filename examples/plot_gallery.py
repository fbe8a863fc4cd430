"""
=======
Gallery
=======

Every display, on real data (GunPoint): a tokenizer, what it learned, and a sampler of
new series. Training is short, so the pictures do not show the best results.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files

import matplotlib.pyplot as plt
from aeon.datasets import load_gunpoint
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import MaskGITSampler, SSLVQTokenizer, STFTTransformer
from sktsrep.plotting import (
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
from sktsrep.quantizers import EMACodebook

here = Path(__file__).parent if "__file__" in globals() else Path()
SAMPLING_RATE = 30  # 150 positions of the hand in 5 seconds


def save(display, name):
    display.figure_.savefig(here / f"gallery_{name}.png", dpi=100)


X_train, y_train = load_gunpoint(split="train", return_type="numpy2d")
X_test, y_test = load_gunpoint(split="test", return_type="numpy2d")
tokenizer = SSLVQTokenizer(quantizer=EMACodebook(32), max_epochs=200, random_state=0)
tokenizer.fit(X_train)
sampler = MaskGITSampler(FrozenEstimator(tokenizer), max_epochs=200, random_state=0)
sampler.fit(X_train, y_train)

# %%
# What goes in
# ------------
# The spectrogram of a series, and what augmentations do to it.

stft = STFTTransformer(n_fft=16, hop_length=4, output="log_magnitude").fit(X_train)
spectrogram = SpectrogramDisplay.from_estimator(
    stft, X_train, sampling_rate=SAMPLING_RATE
)
save(spectrogram.plot(), "spectrogram")

views = AugmentationDisplay.from_augmentations(
    ["gauss", "slice", "warp", "crop", "shift"],
    X_train,
    sampling_rate=SAMPLING_RATE,
    random_state=0,
)
save(views.plot(), "augmentations")

# %%
# Training
# --------
# The losses, the codebook and the reconstruction of new series.

save(HistoryDisplay.from_estimator(tokenizer).plot(), "history")
save(CodebookDisplay.from_estimator(tokenizer, X_train).plot(), "codebook")
reconstruction = ReconstructionDisplay.from_estimator(
    tokenizer, X_test, sampling_rate=SAMPLING_RATE
)
save(reconstruction.plot(), "reconstruction")

# %%
# Embeddings
# ----------
# The same embeddings in four projections. Every display can draw on given axes.

embedder = make_pipeline(tokenizer, StandardScaler().fit(tokenizer.transform(X_train)))
figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
for ax, method in zip(axes.flat, ["pca", "tsne", "umap", "densmap"], strict=True):
    display = EmbeddingDisplay.from_estimator(
        embedder,
        X_train,
        y_train,
        X_test=X_test,
        y_test=y_test,
        method=method,
        random_state=0,
    ).plot(ax)
    if method != "tsne":  # one legend is enough
        ax.get_legend().remove()
save(display, "embeddings")

# %%
# New series
# ----------
# The mask schedules, the decoding of one series step by step, and generated series
# beside real ones.

save(MaskScheduleDisplay.from_schedules().plot(), "mask_schedules")
decoding = DecodingDisplay.from_estimator(
    sampler, y="1", random_state=0, sampling_rate=SAMPLING_RATE
)
save(decoding.plot(), "decoding")
samples = SamplesDisplay.from_estimator(
    sampler, X_train, y_train, random_state=0, sampling_rate=SAMPLING_RATE
)
save(samples.plot(), "samples")
