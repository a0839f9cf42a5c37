"""What transformers makes of a mask decoder's logits for pictures of several sizes: test/fixtures/segmentation/masks.safetensors.

The logits are whole numbers that the test computes too, (7 x + 13 y) mod 31 - 15; of the result every 17th row and column is kept.

    python test/reference/sam_masks.py      # torch, torchvision, transformers, safetensors
"""
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import SamImageProcessor

OUT = Path(__file__).parent.parent / "fixtures" / "segmentation" / "masks.safetensors"
SIZES = [(384, 303), (100, 300), (1500, 1001), (1024, 1024), (37, 5)]

y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
logits = ((7 * x + 13 * y) % 31 - 15).double()
processor = SamImageProcessor()
kept = {}
for width, height in SIZES:
    scale = 1024 / max(width, height)
    encoded = [int(height * scale + 0.5), int(width * scale + 0.5)]
    [mask] = processor.post_process_masks(
        [logits[None, None]], [[height, width]], [encoded], binarize=False, pad_size={"height": 1024, "width": 1024}
    )
    kept[f"{width}x{height}"] = mask[0, 0, ::17, ::17].float().contiguous()
OUT.parent.mkdir(parents=True, exist_ok=True)
save_file(kept, OUT)
print({name: tuple(t.shape) for name, t in kept.items()})
