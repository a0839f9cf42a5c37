"""Writes test/fixtures/wanda.safetensors: what Wanda (arXiv 2306.11695) gathers and prunes of a tiny ViT over the digits of the example.

For each linear layer, by Espalier's name of its weight: `<name>.norms`, the L2 norm of each input feature over all tokens of all images, and
`<name>.mask`, zeros where the half of each output row lies whose |W| * norm is smallest; in f64, of the dense model.

    python test/reference/wanda.py
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from vit import from_hugging_face

ROOT = Path(__file__).parent.parent.parent
SIZE, MEAN, STD = 20, 0.1307, 0.3081


def pixels(path: Path) -> torch.Tensor:
    picture = Image.open(path).convert("L").resize((SIZE, SIZE), Image.BILINEAR)
    return (torch.from_numpy(np.array(picture)).double()[None] / 255 - MEAN) / STD


model = from_hugging_face(ROOT / "test/fixtures/vit-grey").double().eval()
images = torch.stack([pixels(p) for p in sorted((ROOT / "examples/fashion/images/digits").glob("*/*.png"))])

squares: dict[str, torch.Tensor] = {}


def watch(name: str):
    def hook(_layer, inputs):
        squares[name] = inputs[0].flatten(0, -2).pow(2).sum(0)
    return hook


layers = {name: m for name, m in model.blocks.named_modules() if isinstance(m, torch.nn.Linear)}
for name, layer in layers.items():
    layer.register_forward_pre_hook(watch(name))
with torch.no_grad():
    model(images)

out = {}
for name, layer in layers.items():
    norms = squares[name].sqrt()
    score = layer.weight.detach().abs() * norms
    lowest = torch.sort(score, dim=-1, stable=True)[1][:, : score.shape[1] // 2]
    mask = torch.ones_like(score).scatter_(1, lowest, 0)
    out[f"base.blocks.{name}.weight.norms"] = norms
    out[f"base.blocks.{name}.weight.mask"] = mask.to(torch.uint8)
save_file({k: v.contiguous() for k, v in out.items()}, ROOT / "test/fixtures/wanda.safetensors", {"images": str(len(images))})
