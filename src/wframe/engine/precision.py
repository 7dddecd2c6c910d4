"""The precision of the bank's convolutions."""

import torch

PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def set_precision(name: str) -> torch.dtype:
    """Set the precision of a GPU's convolutions (a key of `PRECISIONS`), deterministically; return the bank's dtype."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cudnn.deterministic = True
    return PRECISIONS[name]
