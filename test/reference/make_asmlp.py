"""Makes a tiny random AS-MLP by the names of its authors' checkpoints.

    python test/reference/make_asmlp.py

The network below is this project's own PyTorch code, written after the paper (arXiv 2107.08391) and what the authors' code says that the paper does not (names of
modules, order of norms, runs of channels of `ceil(channels / shift)`, the order of neighbours that are merged); theirs is in no package, and its shift is a
CUDA kernel. Here it is padding with zeros, and for each run a cut at another place.

test/fixtures/asmlp/: `model.safetensors`; `reference.safetensors` with `pixels` [2, 3, 24, 24], `logits` and `features` (both in f64); `counts.json`, parameters of
the published sizes without their classifiers. Channels are 12 and 24, in four runs and in five, of which the last is shorter;
the last grid has 3 places.
"""

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from backbones import FIXTURES, pictures, randomise, save, save_json

PUBLISHED = dict(as_mlp_tiny=(96, (2, 2, 6, 2)), as_mlp_small=(96, (2, 2, 18, 2)), as_mlp_base=(128, (2, 2, 18, 2)))


def norm(dim):
    return nn.GroupNorm(1, dim)


def pointwise(inputs, outputs, bias=True):
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


def shifted(x, shift, axis):
    """Runs of channels of [b, c, h, w], moved along `axis` by -(shift // 2) and up."""
    far, places = shift // 2, x.shape[axis]
    sides = (0, 0, far, far) if axis == 2 else (far, far, 0, 0)
    runs = F.pad(x, sides).split(-(-x.shape[1] // shift), dim=1)
    return torch.cat([run.narrow(axis, 2 * far - i, places) for i, run in enumerate(runs)], 1)


class AxialShift(nn.Module):
    def __init__(self, dim, shift):
        super().__init__()
        self.shift = shift
        for name in ("conv1", "conv2_1", "conv2_2", "conv3"):
            self.add_module(name, pointwise(dim, dim))
        self.norm1, self.norm2 = norm(dim), norm(dim)

    def forward(self, x):
        x = F.gelu(self.norm1(self.conv1(x)))
        across = F.gelu(self.conv2_1(shifted(x, self.shift, 3)))
        along = F.gelu(self.conv2_2(shifted(x, self.shift, 2)))
        return self.conv3(self.norm2(across + along))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.fc2 = pointwise(dim, hidden), pointwise(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, shift):
        super().__init__()
        self.norm1, self.axial_shift = norm(dim), AxialShift(dim, shift)
        self.norm2, self.mlp = norm(dim), Mlp(dim, 4 * dim)

    def forward(self, x):
        x = x + self.axial_shift(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Merging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm, self.reduction = norm(4 * dim), pointwise(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        quarters = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(quarters, 1)))


class Stage(nn.Module):
    def __init__(self, dim, depth, shift, merges):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(dim, shift) for _ in range(depth)))
        if merges:
            self.downsample = Merging(dim)

    def forward(self, x):
        x = self.blocks(x)
        return self.downsample(x) if hasattr(self, "downsample") else x


class Embed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj, self.norm = nn.Conv2d(3, dim, patch, patch), norm(dim)

    def forward(self, x):
        return self.norm(self.proj(x))


class AsMlp(nn.Module):
    def __init__(self, dim, depths, classes, shift=5, patch=4):
        super().__init__()
        last = len(depths) - 1
        self.patch_embed = Embed(dim, patch)
        self.layers = nn.Sequential(*(Stage(dim * 2**i, depth, shift, i < last) for i, depth in enumerate(depths)))
        self.norm = norm(dim * 2**last)
        self.head = nn.Linear(dim * 2**last, classes)

    def features(self, x):
        return self.norm(self.layers(self.patch_embed(x)))

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


@torch.no_grad()
def main():
    model = randomise(AsMlp(12, (2, 1), 5), 41)
    (pixels,) = pictures(42, (2, 3, 24, 24))
    (FIXTURES / "asmlp").mkdir(exist_ok=True)
    save_file(model.state_dict(), FIXTURES / "asmlp" / "model.safetensors")
    model.double()
    features = model.features(pixels.double()).flatten(2).transpose(1, 2)
    save("asmlp", {"pixels": pixels, "logits": model(pixels.double()), "features": features})
    with torch.device("meta"):
        counts = {name: sum(p.numel() for n, p in AsMlp(*size, 1).named_parameters() if not n.startswith("head")) for name, size in PUBLISHED.items()}
    save_json("asmlp/counts.json", counts)
    print(counts)


if __name__ == "__main__":
    main()
