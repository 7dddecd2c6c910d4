"""The roofline of a Langevin step on a GPU: operations and bytes per image, by operation, from the layers' shapes.

python docs/measurements/roofline.py prints the table of gpu.md.
"""

from wframe.config.devices import DEVICES
from wframe.model.cost import LAYERS

BANDWIDTH = {"H100": 3.35, "H200": 4.8}  # TB/s, as published
BYTES = {"fp32": 4, "tf32": 4, "bf16": 2}
SIDE = 32


def operations(side: int) -> list[tuple[str, float, float, float]]:
    """Return each operation of a step on one image: its name, FLOPs, values moved, and bytes moved in any precision."""
    a = [in_ * (side // halved) ** 2 for in_, _, halved in LAYERS]  # the layers' inputs
    b = [out * (side // halved) ** 2 for _, out, halved in LAYERS]  # and outputs
    flops = [2 * 9 * in_ * out * (side // halved) ** 2 for in_, out, halved in LAYERS]
    pooled = a[2]
    forward = [(f"convolution {n + 1}", flops[n], a[n] + b[n], 0.0) for n in range(4)]
    back = [(f"transposed convolution {n + 1}", flops[n], a[n] + b[n], 0.0) for n in range(4)]
    relus = [("ReLU of layers 1, 3, 4 and the pool", 0.0, 2 * (b[0] + pooled + b[2] + b[3]), 0.0)]
    pool = [("pool, with 8-byte indices", 0.0, b[1] + pooled, 8.0 * pooled)]
    masks = [("masks on the way back", 0.0, 3 * (b[0] + pooled + b[2] + b[3]), 0.0)]
    unpool = [("unpool", 0.0, pooled + b[1], 8.0 * pooled)]
    noise = [("noise and update, in fp32", 0.0, 0.0, 4.0 * 6 * a[0])]
    return forward + relus + pool + masks + unpool + back + noise


def main() -> None:
    """Print the table: microseconds per image and step if only operations or only bytes counted."""
    parts = operations(SIDE)
    flops = sum(part[1] for part in parts)
    print(f"{flops / 1e6:.0f} MFLOP per image and step at {SIDE}×{SIDE}\n")
    print("| | precision | MB moved | µs, operations | µs, bytes | at most, of the peak | with all else fused |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for gpu, bandwidth in BANDWIDTH.items():
        for precision, size in BYTES.items():
            moved = sum(values * size + extra for _, _, values, extra in parts)
            fused = sum(values * size + extra for name, of, values, extra in parts if of or "update" in name)
            compute = flops / (getattr(DEVICES[gpu], precision) * 1e6)
            shares = [compute / max(compute, of / (bandwidth * 1e6)) for of in (moved, fused)]
            print(
                f"| {gpu} | {precision} | {moved / 1e6:.2f} | {compute:.2f} | {moved / (bandwidth * 1e6):.2f} "
                f"| {shares[0]:.0%} | {shares[1]:.0%} |"
            )


if __name__ == "__main__":
    main()
