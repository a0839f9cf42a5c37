"""The same ViT with a fused qkv and short names (`blocks.0.attn.qkv`), read from a Hugging Face folder, and the adapters of the
demo, written from the papers' formulas. Adapters replace linear layers; their tensors have the names and shapes that Espalier's
own library gives them.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int, bias: bool = True):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int, eps: float, bias: bool):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, bias)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Pixels [b, channels, image, image] -> logits [b, classes]; the head reads the class token."""

    def __init__(self, config: dict, classes: int):
        super().__init__()
        dim, patch = config["hidden_size"], config["patch_size"]
        tokens = 1 + (config["image_size"] // patch) ** 2
        self.patch_embed = nn.Conv2d(config["num_channels"], dim, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, dim))
        self.blocks = nn.ModuleList(
            Block(dim, config["num_attention_heads"], config["intermediate_size"], config["layer_norm_eps"], config["qkv_bias"])
            for _ in range(config["num_hidden_layers"])
        )
        self.norm = nn.LayerNorm(dim, eps=config["layer_norm_eps"])
        self.fc = nn.Linear(dim, classes)

    def forward(self, pixels):
        t = self.patch_embed(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(t), -1, -1), t], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x)[:, 0])


def from_hugging_face(folder: Path, classes: int | None = None) -> ViT:
    """The folder's model; with `classes` its head is replaced by a fresh one."""
    config = json.loads((folder / "config.json").read_text())
    file = load_file(folder / "model.safetensors")
    model = ViT(config, classes if classes is not None else len(config["id2label"]))
    state = {
        "cls_token": file["vit.embeddings.cls_token"],
        "pos_embed": file["vit.embeddings.position_embeddings"],
    }
    for end in ("weight", "bias"):
        state[f"patch_embed.{end}"] = file[f"vit.embeddings.patch_embeddings.projection.{end}"]
        state[f"norm.{end}"] = file[f"vit.layernorm.{end}"]
        state[f"fc.{end}"] = file[f"classifier.{end}"] if classes is None else getattr(model.fc, end).detach()
        for i in range(config["num_hidden_layers"]):
            theirs, ours = f"vit.encoder.layer.{i}", f"blocks.{i}"
            parts = [file[f"{theirs}.attention.attention.{p}.{end}"] for p in ("query", "key", "value")
                     if f"{theirs}.attention.attention.{p}.{end}" in file]
            if parts:
                state[f"{ours}.attn.qkv.{end}"] = torch.cat(parts)
            state[f"{ours}.attn.proj.{end}"] = file[f"{theirs}.attention.output.dense.{end}"]
            state[f"{ours}.norm1.{end}"] = file[f"{theirs}.layernorm_before.{end}"]
            state[f"{ours}.norm2.{end}"] = file[f"{theirs}.layernorm_after.{end}"]
            state[f"{ours}.mlp.fc1.{end}"] = file[f"{theirs}.intermediate.dense.{end}"]
            state[f"{ours}.mlp.fc2.{end}"] = file[f"{theirs}.output.dense.{end}"]
    model.load_state_dict(state)
    return model


def factorize(dim: int, factor: int) -> tuple[int, int]:
    """Two factors of `dim`, the smaller first; `factor` is one of them if it divides `dim`."""
    if dim % factor == 0:
        a, b = factor, dim // factor
    else:
        a = max(d for d in range(1, min(factor, math.isqrt(dim)) + 1) if dim % d == 0)
        b = dim // a
    return (a, b) if a <= b else (b, a)


class Karst(nn.Module):
    """y = (1 + s) * (M * (W + sum_k kron(C_k, A_k^T B_k^T) / rank) x + b) + t; a fused layer's parts share C and B.

    M is the mask of zeros and ones over the sum, where one is given: what is 0 there is 0 in the merged layer.
    """

    def __init__(self, base: nn.Linear, parts: int = 1, kernels: int = 2, rank: int = 4, factor: int = 8, mask=None):
        super().__init__()
        self.base, self.rank, self.parts = base, rank, parts
        self.register_buffer("mask", mask)
        o1, o2 = factorize(base.out_features // parts, factor)
        i1, i2 = factorize(base.in_features, factor)
        self.C = nn.Parameter(torch.empty(kernels, o1, i1).uniform_(-1, 1) / math.sqrt(i1))
        self.A = nn.Parameter(torch.empty(kernels, parts, rank, o2).uniform_(-1, 1) / math.sqrt(o2))
        self.B = nn.Parameter(torch.zeros(kernels, i2, rank))
        self.s = nn.Parameter(torch.zeros(base.out_features))
        self.t = nn.Parameter(torch.zeros(base.out_features))

    def weight(self):
        """The sum of the layer's own weight and the product, masked; without the scale s."""
        # kron(C, D)[i p + k, j q + l] = C[i, j] D[k, l]; the letters are part, row of C, row of D, column of C, column of D.
        D = torch.einsum("kpro,kir->kpoi", self.A, self.B)
        delta = torch.einsum("kac,kpbd->pabcd", self.C, D).reshape(self.base.weight.shape) / self.rank
        weight = self.base.weight + delta
        return weight if self.mask is None else weight * self.mask

    def forward(self, x):
        return (1 + self.s) * F.linear(x, self.weight(), self.base.bias) + self.t

    names = ("C", "A", "B", "s", "t")


class Alore(nn.Module):
    """y = base(x + scale * sum_i kron(S_i, U_i V_i) x)."""

    def __init__(self, base: nn.Linear, experts: int = 4, rank: int = 4, scale: float = 1.0):
        super().__init__()
        self.base, self.scale = base, scale
        width = base.in_features // experts
        self.S = nn.Parameter(torch.randn(experts, experts, experts) / experts)
        self.U = nn.Parameter(torch.zeros(experts, width, rank))
        self.V = nn.Parameter(torch.empty(experts, rank, width).uniform_(-1, 1) * math.sqrt(6 / (rank + width)))

    def forward(self, x):
        A = torch.einsum("eac,ebr,erd->abcd", self.S, self.U, self.V).reshape(x.shape[-1], x.shape[-1])
        return self.base(x + self.scale * x @ A.T)

    names = ("S", "U", "V")


def graft(model: ViT, make, sites: list[str]) -> dict[str, nn.Module]:
    """Puts `make(layer, parts)` in the place of each named layer of each block and freezes all but those and the head."""
    for p in model.parameters():
        p.requires_grad_(False)
    for p in model.fc.parameters():
        p.requires_grad_(True)
    grafted = {}
    for i, block in enumerate(model.blocks):
        for site in sites:
            owner = block.get_submodule(site.rsplit(".", 1)[0])
            name = site.rsplit(".", 1)[1]
            adapter = make(getattr(owner, name), 3 if name == "qkv" else 1)
            setattr(owner, name, adapter)
            grafted[f"base.blocks.{i}.{site}"] = adapter
    return grafted
