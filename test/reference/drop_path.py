"""Stochastic depth in a small ViT: what a training step with dropped paths computes, and its gradients.

    python test/reference/drop_path.py

Writes test/fixtures/train/drop_path.safetensors, computed in f64 from inputs that f32 holds, and stored as f32. The blocks and `drop_path` are timm's (timm/layers/drop.py,
timm/models/vision_transformer.py): x + drop_path(branch(x)), whole samples, what is kept divided by the share that is kept, rates from torch.linspace. Which samples
are dropped, counted bits say (Philox 4x32-10), as everywhere in Espalier: stream i for the i-th path whose rate is not 0, element n for sample n.

`param/...` parameters by their names here, `pixels` [6, 1, 8, 8], `weight` [6, 5, 8] (the loss is the sum of output times weight), `train` and `infer` [6, 5, 8] the outputs,
`kept` [6, 6] which paths (first axis) of which samples were kept, `gradient/...` of each parameter of a block. Metadata: `rate`, `key`, and for some depths `rates`.
"""

import json

import torch
from safetensors.torch import save_file
from torch import nn

from data import ROOT
from vit import Block

DIM, DEPTH, HEADS, IMAGE, PATCH, BATCH = 8, 4, 2, 8, 4, 6
RATE = 0.45
KEY = (20251127, 3)


def philox(counter: list[int], key: tuple[int, int]) -> list[int]:
    a, b, c, d = counter
    k, l = key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q & 0xFFFFFFFF, (p >> 32) ^ d ^ l, p & 0xFFFFFFFF
        k, l = (k + 0x9E3779B9) & 0xFFFFFFFF, (l + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


# The vectors of its authors (Random123, kat_vectors).
assert philox([0] * 4, (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF)) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def kept(stream: int, rate: float) -> torch.Tensor:
    bits = [philox([n // 4, 0, stream, 0], KEY)[n % 4] for n in range(BATCH)]
    return torch.tensor([float(b >= round(rate * 2**32)) for b in bits])


def linear_rates(rate: float, depth: int) -> list[float]:
    # timm's are those rounded to f32.
    return torch.linspace(0, rate, depth, dtype=torch.float64).tolist()


class DropBlock(Block):
    """`masks`: for each of its two branches which samples are kept; None infers."""

    rate = 0.0
    masks: list[torch.Tensor] | None = None

    def drop_path(self, x, branch: int):
        if self.rate == 0.0 or self.masks is None:
            return x
        keep = 1 - self.rate
        mask = self.masks[branch].view(-1, *[1] * (x.ndim - 1))
        return x * mask.div(keep)

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x)), 0)
        return x + self.drop_path(self.mlp(self.norm2(x)), 1)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Conv2d(1, DIM, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.randn(1, 1, DIM))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + (IMAGE // PATCH) ** 2, DIM))
        self.blocks = nn.ModuleList(DropBlock(DIM, HEADS, 4 * DIM, 1e-6, True) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(DIM, eps=1e-6)

    def forward(self, pixels):
        t = self.patch_embed(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(t), -1, -1), t], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def main() -> None:
    torch.manual_seed(5)
    model = Small().double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.float().double())
    pixels = torch.randn(BATCH, 1, IMAGE, IMAGE).float().double()
    weight = torch.randn(BATCH, 1 + (IMAGE // PATCH) ** 2, DIM).float().double()
    infer = model(pixels)
    streams, all_kept = 0, []
    for block, rate in zip(model.blocks, linear_rates(RATE, DEPTH), strict=True):
        block.rate = rate
        if rate > 0:
            block.masks = [kept(streams, rate).double(), kept(streams + 1, rate).double()]
            all_kept += block.masks
            streams += 2
    train = model(pixels)
    (train * weight).sum().backward()
    tensors = {
        "pixels": pixels,
        "weight": weight,
        "infer": infer,
        "train": train,
        "kept": torch.stack(all_kept),
        **{f"param/{name}": p for name, p in model.named_parameters()},
        **{f"gradient/{name}": p.grad for name, p in model.named_parameters() if name.startswith("blocks.")},
    }
    rates = {str(depth): linear_rates(RATE, depth) for depth in (1, 2, 4, 5, 12, 18)}
    metadata = {"rate": str(RATE), "key": json.dumps(KEY), "rates": json.dumps(rates)}
    path = ROOT / "test/fixtures/train/drop_path.safetensors"
    save_file({k: t.detach().float().contiguous() for k, t in tensors.items()}, path, metadata)
    print(f"{path}: {len(tensors)} tensors, kept {torch.stack(all_kept).mean():.2f}")


if __name__ == "__main__":
    main()
