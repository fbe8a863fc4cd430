"""
=======================
Forecast with quantiles
=======================

ItalyPowerDemand has 1,096 standardized days of electricity demand by the hour. A
sampler learns from all but 100 of them. For these it sees the hours until 14:00 and
draws how the day may go on; quantiles of the draws make a band.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep.datasets import load_ucr
from sktsrep.quantizers import EMACodebook

HORIZON = 10  # hours
X, _ = load_ucr("ItalyPowerDemand")
X_train, X_test = train_test_split(X, test_size=100, random_state=0)
tokenizer = SSLVQTokenizer(quantizer=EMACodebook(64), max_epochs=20, random_state=0)
sampler = MaskGITSampler(tokenizer, max_epochs=25, random_state=0).fit(X_train)

# %%
# A band from the 10 % to the 90 % quantile should hold 80 % of the hidden values. The
# median of the training days is what a forecast should beat.

known, future = X_test[:, :-HORIZON], X_test[:, -HORIZON:]
low, median, high = sampler.forecast(known, HORIZON, quantiles=[0.1, 0.5, 0.9])
usual = np.median(X_train[:, -HORIZON:], axis=0)
inside = np.mean((low <= future) & (future <= high))
print(f"hidden values inside of the band: {inside:.0%} (should be 80 %)")
for name, forecast in (("draws", median), ("training days", usual)):
    error = np.abs(future - forecast).mean()
    print(f"mean absolute error of the median of the {name}: {error:.2f}")

# %%
# Six unseen days. On average, the median is twice as close to the demand as the median
# of the training days. The band holds 70 % of the values, because there are only twenty
# draws: that of twenty random training days holds 76 %.

figure, axes = plt.subplots(
    2, 3, figsize=(9, 5), sharex=True, sharey=True, layout="constrained"
)
hours = np.arange(24)
ahead = hours[-HORIZON:]
for row, ax in enumerate(axes.flat):
    ax.fill_between(
        ahead, low[row], high[row], color="#56B4E9", alpha=0.5, label="10 % to 90 %"
    )
    ax.plot(ahead, median[row], "--", color="#0072B2", linewidth=2.5, label="median")
    ax.plot(ahead, usual, ":", color="#D55E00", linewidth=2, label="training days")
    ax.plot(hours, X_test[row], color="black", linewidth=1.2, label="demand")
    ax.axvline(ahead[0] - 0.5, color="0.6", linewidth=0.8)
    ax.margins(x=0)
for ax in axes[-1]:
    ax.set(xlabel="hour of the day", xticks=range(0, 24, 6))
for ax in axes[:, 0]:
    ax.set_ylabel("standardized demand")
figure.legend(*ax.get_legend_handles_labels(), ncols=4, loc="outside lower center")
plt.show()
