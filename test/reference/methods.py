"""Methods of fine-tuning as the references of training use them: what of a ViT is trained, how it starts, and the ViT as a function of all of its
parameters, by the names that Espalier gives them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from adapters import Linear, Params, alore, dora, karst, lora, own_of, repadapter, scoped, ssf
from vit import factorize


@dataclass(frozen=True)
class Shape:
    """Of a ViT: what its parameters do not say."""

    patch: int
    depth: int
    heads: int
    eps: float


@dataclass(frozen=True)
class Method:
    statements: str
    """What a spec says after `head = ...`."""
    sites: tuple[str, ...] = ()
    """Layers of each block that have an adapter; for SSF of the whole backbone `**`."""
    start: Callable[[str, Params], Params] = lambda site, base: {}
    """The parameters of the adapter on a site."""
    wrap: Callable = lambda layer, own, axis: layer
    """The layer with the adapter."""
    tunes: Callable[[str], bool] = lambda name: False
    """Parameters of the backbone that are trained."""


def uniform(bound: float, *shape: int) -> torch.Tensor:
    return torch.empty(*shape).uniform_(-bound, bound)


def kaiming(*shape: int) -> torch.Tensor:
    return uniform(1 / math.sqrt(shape[-1]), *shape)


def start_lora(site: str, base: Params, rank: int = 4) -> Params:
    out, width = base[f"{site}.weight"].shape
    return {"A": kaiming(rank, width), "B": torch.zeros(out, rank)}


def start_dora(site: str, base: Params) -> Params:
    return start_lora(site, base) | {"m": base[f"{site}.weight"].norm(dim=1)}


def start_karst(site: str, base: Params, kernels: int = 2, rank: int = 4) -> Params:
    out, width = base[f"{site}.weight"].shape
    parts = 3 if site.endswith("qkv") else 1
    (o1, o2), (i1, i2) = factorize(out // parts, 8), factorize(width, 8)
    return {"C": kaiming(kernels, o1, i1), "A": kaiming(kernels, parts, rank, o2), "B": torch.zeros(kernels, i2, rank),
            "s": torch.zeros(out), "t": torch.zeros(out)}


def start_alore(site: str, base: Params, experts: int = 4, rank: int = 4) -> Params:
    width = base[f"{site}.weight"].shape[1] // experts
    return {"S": torch.randn(experts, experts, experts) / experts, "U": torch.zeros(experts, width, rank),
            "V": uniform(math.sqrt(6 / (rank + width)), experts, rank, width)}


def start_repadapter(site: str, base: Params, hidden: int = 8, groups: int = 2) -> Params:
    width = base[f"{site}.weight"].shape[1]
    return {"A": uniform(math.sqrt(6 / (hidden + width)), hidden, width), "a": torch.zeros(hidden),
            "B": torch.zeros(groups, width // groups, hidden // groups), "c": torch.zeros(width)}


def start_ssf(site: str, base: Params) -> Params:
    n = len(base[f"{site}.bias"])
    return {"gamma": 1 + 0.02 * torch.randn(n), "beta": 0.02 * torch.randn(n)}


LINEAR = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
BEFORE = ("attn.qkv", "mlp.fc1")
METHODS = {
    "linear": Method("tune head"),
    "bitfit": Method("tune base.**.bias, head", tunes=lambda name: name.endswith(".bias")),
    "lora": Method("adapt base.blocks[*].{attn.*, mlp.*} with lora(rank: 4)\n  tune head", LINEAR, start_lora, lambda f, own, axis: lora(f, own, 4)),
    "dora": Method("adapt base.blocks[*].{attn.*, mlp.*} with dora(rank: 4)\n  tune head", LINEAR, start_dora, lambda f, own, axis: dora(f, own, 4)),
    "ssf": Method("adapt base.** with ssf()\n  tune head", ("**",), start_ssf, lambda f, own, axis: ssf(f, own, axis)),
    "repadapter": Method("adapt base.blocks[*].{attn.qkv, mlp.fc1} with repadapter()\n  tune head", BEFORE, start_repadapter,
                         lambda f, own, axis: repadapter(f, own)),
    "karst": Method("adapt base.blocks[*].{attn.*, mlp.*} with karst(kernels: 2, rank: 4)\n  tune head", LINEAR, start_karst,
                    lambda f, own, axis: karst(f, own)),
    "alore": Method("adapt base.blocks[*].{attn.qkv, mlp.fc1} with alore()\n  tune head", BEFORE, start_alore, lambda f, own, axis: alore(f, own)),
    "full": Method("tune base, head", tunes=lambda name: True),
}


def adapted(method: str, base: Params) -> Params:
    """The adapters' parameters as they start, drawn from torch's generator."""
    of = METHODS[method]
    layers = [name.removesuffix(".bias") for name in base if name.startswith("base.") and name.endswith(".bias")]
    sites = [s for s in layers if "**" in of.sites or any(s.endswith(f".{end}") for end in of.sites)]
    return {k: p for site in sites for k, p in scoped(f"{site}@{method}", of.start(site, base)).items()}


def trained(method: str, params: Params) -> list[str]:
    return [name for name in params if name.startswith("head.") or "@" in name or METHODS[method].tunes(name)]


def logits(method: str, shape: Shape, p: Params, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels [b, channels, h, w] -> [b, classes], of the class token."""

    def site(path: str, layer, axis: int = -1):
        own = own_of(p, f"{path}@{method}")
        return METHODS[method].wrap(layer, own, axis) if own else layer

    def linear(path: str):
        return site(path, Linear(p[f"{path}.weight"], p[f"{path}.bias"]))

    def norm(path: str):
        return site(path, lambda x: F.layer_norm(x, x.shape[-1:], p[f"{path}.weight"], p[f"{path}.bias"], shape.eps))

    def attention(x, path: str):
        b, n, d = x.shape
        q, k, v = linear(f"{path}.qkv")(x).reshape(b, n, 3, shape.heads, d // shape.heads).permute(2, 0, 3, 1, 4)
        return linear(f"{path}.proj")(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))

    embed = site("base.patch_embed", lambda x: F.conv2d(x, p["base.patch_embed.weight"], p["base.patch_embed.bias"], shape.patch), axis=1)
    t = embed(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([p["base.cls_token"].expand(len(t), -1, -1), t], 1) + p["base.pos_embed"]
    for i in range(shape.depth):
        block = f"base.blocks.{i}"
        x = x + attention(norm(f"{block}.norm1")(x), f"{block}.attn")
        x = x + linear(f"{block}.mlp.fc2")(F.gelu(linear(f"{block}.mlp.fc1")(norm(f"{block}.norm2")(x))))
    return linear("head.fc")(norm("base.norm")(x)[:, 0])
