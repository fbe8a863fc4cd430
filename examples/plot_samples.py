"""
===========================
New series beside real ones
===========================

ItalyPowerDemand has 1,096 days of electricity demand in Italy, by the hour: 547 from
October to March (class 1) and 549 from April to September (class 2). Every day is
standardized. A tokenizer turns days into tokens, and a sampler learns what rows of
tokens look like in each class.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep.datasets import load_ucr
from sktsrep.plotting import SamplesDisplay
from sktsrep.quantizers import EMACodebook

X, y = load_ucr("ItalyPowerDemand")

# %%
# The tokenizer sees no classes. One small codebook makes short rows of tokens, which
# are easy to learn. In a ``FrozenEstimator``, the sampler uses the tokenizer as it is.

tokenizer = SSLVQTokenizer(quantizer=EMACodebook(64), max_epochs=20, random_state=0)
tokenizer.fit(X)
sampler = MaskGITSampler(FrozenEstimator(tokenizer), max_epochs=40, random_state=0)
sampler.fit(X, y)

# %%
# As many new days as there are real ones, class by class. Bands hold 90 % and 50 % of
# the days. New days have the two peaks of a day and the evening peak of class 2; their
# 50 % bands are narrower in the evening, so they vary less than real days.

X_new = sampler.sample(len(y), y=y, random_state=0)
seasons = np.where(y == "1", "Oct to Mar", "Apr to Sep")
display = SamplesDisplay.from_arrays(
    X,
    X_new,
    y=seasons,
    y_generated=seasons,
    time=np.arange(24),
    unit="standardized demand",
).plot()
for ax in display.ax_[-1]:
    ax.set(xlabel="hour of the day", xticks=range(0, 24, 6))
plt.show()
