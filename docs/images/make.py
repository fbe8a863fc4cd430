"""Make the README's pictures: run their examples and save what they draw."""

import io
import runpy
from pathlib import Path

PICTURES = {"samples": "plot_samples.py", "embeddings": "plot_embedding_map.py"}


def main():
    """Write one small PNG per example beside this file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    here = Path(__file__).parent
    plt.show = lambda: None  # an example shows its figure where this saves it
    for name, example in PICTURES.items():
        runpy.run_path(str(here.parent.parent / "examples" / example))
        picture = io.BytesIO()
        plt.savefig(picture, dpi=100)
        plt.close("all")
        # 64 colors make a quarter of the file.
        picture = Image.open(picture).convert("RGB").quantize(64)
        picture.save(here / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
