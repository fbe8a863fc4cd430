"""Make the pictures of README and user guide: save what examples draw.

python docs/images/make.py [NAME ...]
"""

import io
import runpy
import sys
from pathlib import Path

PICTURES = {
    "anomalies": "plot_anomalies.py",
    "codebook": "plot_codebook.py",
    "embeddings": "plot_embedding_map.py",
    "forecast": "plot_forecast.py",
    "gaps": "plot_fill_gaps.py",
    "grid_search": "plot_grid_search.py",
    "quickstart": "plot_quickstart.py",
    "samples": "plot_samples.py",
}


def main():
    """Write one small PNG per example beside this file, or those that are named."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    here = Path(__file__).parent
    plt.show = lambda: None  # an example shows its figure where this saves it
    for name in sys.argv[1:] or PICTURES:
        runpy.run_path(str(here.parent.parent / "examples" / PICTURES[name]))
        picture = io.BytesIO()
        plt.savefig(picture, dpi=100)
        plt.close("all")
        # 64 colors make a quarter of the file.
        picture = Image.open(picture).convert("RGB").quantize(64)
        picture.save(here / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
