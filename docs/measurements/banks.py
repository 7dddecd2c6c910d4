"""Compare wFRAME with the builtin bank and with VGG-16: `python docs/measurements/banks.py FOLDER PNG NAME...`

FOLDER has vgg16.safetensors, and for each NAME the runs of banks.md. Print R in the measure of either bank, and draw
the first two.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from safetensors.numpy import load_file

from wframe.data.arrays import load_images
from wframe.figures.canvas import STYLE, tile
from wframe.model.bank import Bank, load_bank
from wframe.model.energy import responses
from wframe.model.measures import response_distance
from wframe.model.readings import UNIT
from wframe.weights import BUILTIN_BANK

folder, out, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
BANKS = {"builtin": load_bank(BUILTIN_BANK).to(UNIT), "vgg16": load_bank(folder / "vgg16.safetensors").to(UNIT)}


def distance(bank: Bank, observed: np.ndarray, images: np.ndarray) -> float:
    """Return the response distance R in the measure of a bank."""
    with torch.inference_mode():
        F, F_observed = (responses(bank, bank.pixels(x, UNIT)).F.mean(0, keepdim=True) for x in (images, observed))
    return float(response_distance(F, F_observed))


sheets = {}
for name in names:
    observed = np.array(load_images(folder / f"{name}.npy"))
    images = {bank: load_file(folder / f"{name}-{bank}-wframe.safetensors")["images"][0] for bank in BANKS}
    images["grey"] = np.broadcast_to(np.array(BANKS["vgg16"].mean).round().astype(np.uint8), observed.shape)
    for kind, x in images.items():
        R = ", ".join(f"{distance(bank, observed, x):.3f} by {measure}" for measure, bank in BANKS.items())
        print(f"{name}, {kind}: R {R}, std {x.std():.1f} of {observed.std():.1f}")
    sheets[name] = {"observed": observed, "builtin bank": images["builtin"], "VGG-16": images["vgg16"]}

with plt.rc_context(STYLE):
    canvas, grid = plt.subplots(2, 3, figsize=(6, 4.2))
    for row, name in zip(grid, names, strict=False):
        for axes, (title, images) in zip(row, sheets[name].items(), strict=True):
            axes.imshow(tile(images))
            axes.set_title(title if name == names[0] else "")
            axes.set_axis_off()
    canvas.savefig(out, dpi=110, metadata={"Software": None})
