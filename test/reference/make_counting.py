"""Patch Query Flip Attention, the pyramid, the decoder, the head that they make and its loss, in PyTorch, written from their formulas: values and gradients.

    python test/reference/make_counting.py

Writes test/fixtures/train/counting.safetensors. For case i of `cases` (metadata: a JSON list of {name, backbone, head}): `i/x`, the results `i/density` and
`i/count`, a `i/target`, the loss `i/loss` = mean((100 density - 100 target)^2), its gradient `i/dx` by x, and for each parameter, under the name that Espalier's
library gives it, `i/value/NAME` and `i/gradient/NAME`. From numbers that f32 holds, worked out in f64, stored as F32. Factors that start at 0 are not 0 here.
"""

import json

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from data import ROOT

torch.manual_seed(11)
HEADS = 2
tensors: dict[str, torch.Tensor] = {}
cases: list[dict] = []


def rand(*shape: int, around: float = 0.0, std: float = 0.5) -> torch.Tensor:
    return (torch.randn(*shape) * std + around).float().double()


def up(x: torch.Tensor, size) -> torch.Tensor:
    return x if tuple(x.shape[-2:]) == tuple(size) else F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def cross(p, prefix: str, x: torch.Tensor, y: torch.Tensor, scores: str) -> torch.Tensor:
    """concat_h softmax(Q_h K_h' / sqrt(d_h)) V_h W_o for one patch; over channels softmax(Q_h' K_h / sqrt(n)) mixes V_h's."""
    q, k, v = (t @ p[f"{prefix}.{name}.weight"].T for t, name in ((x, "q"), (y, "k"), (y, "v")))
    d = q.shape[-1] // HEADS
    parts = []
    for h in range(HEADS):
        qh, kh, vh = (t[..., h * d : (h + 1) * d] for t in (q, k, v))
        if scores == "token":
            parts.append(torch.softmax(qh @ kh.transpose(-1, -2) / d**0.5, -1) @ vh)
        else:
            parts.append((torch.softmax(qh.transpose(-1, -2) @ kh / q.shape[-2] ** 0.5, -1) @ vh.transpose(-1, -2)).transpose(-1, -2))
    return torch.cat(parts, -1) @ p[f"{prefix}.o.weight"].T


def ask(p, prefix: str, x: torch.Tensor, y: torch.Tensor, patches: int, scores: str) -> torch.Tensor:
    """Patch by patch, in loops: what x asks of y."""
    if scores == "channel":
        y = up(y, x.shape[-2:])
    rows = []
    for i in range(patches):
        row = []
        for j in range(patches):
            cut = []
            for t in (x, y):
                h, w = t.shape[-2] // patches, t.shape[-1] // patches
                cut.append(t[:, :, i * h : (i + 1) * h, j * w : (j + 1) * w])
            a, b = (t.flatten(2).transpose(1, 2) for t in cut)
            row.append(cross(p, prefix, a, b, scores).transpose(1, 2).reshape(cut[0].shape))
        rows.append(torch.cat(row, 3))
    return torch.cat(rows, 2)


def pqfa(p, prefix: str, fine: torch.Tensor, coarse: torch.Tensor, patches: int, scores: str):
    coarse = coarse + p[f"{prefix}.gamma_coarse"] * ask(p, f"{prefix}.coarse_asks", coarse, fine, patches, scores)
    fine = fine + p[f"{prefix}.gamma_fine"] * ask(p, f"{prefix}.fine_asks", fine, coarse, patches, scores)
    return fine, coarse


def decoder(p, x: torch.Tensor) -> torch.Tensor:
    """Norms over channels, or, where there are running averages, by these."""
    def layer(x, name, padding=1):
        return F.conv2d(x, p[f"head.decoder.{name}.weight"], p[f"head.decoder.{name}.bias"], padding=padding)

    def norm(x, name):
        weight, bias = p[f"head.decoder.{name}.weight"], p[f"head.decoder.{name}.bias"]
        if f"head.decoder.{name}.running_mean" in p:
            return F.batch_norm(x, p[f"head.decoder.{name}.running_mean"], p[f"head.decoder.{name}.running_var"], weight, bias)
        return F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias).permute(0, 3, 1, 2)

    y = F.relu(norm(layer(x, "conv1"), "norm1"))
    y = up(y, [2 * s for s in y.shape[-2:]])
    return layer(F.relu(norm(layer(y, "conv2"), "norm2")), "conv3", 0)


def head(p, features, pixels: int, patches: int, scores: str):
    maps = [F.conv2d(f, p[f"head.lateral.{i}.weight"], p[f"head.lateral.{i}.bias"]) for i, f in enumerate(features)]
    side = maps[0].shape[-1]
    if all(m.shape == maps[0].shape for m in maps):
        side *= 2 ** (len(maps) - 2)
    maps = [up(m, [side // 2**i] * 2) for i, m in enumerate(maps)]
    for i in reversed(range(len(maps) - 1)):
        maps[i], maps[i + 1] = pqfa(p, f"head.flips.{i}", maps[i], maps[i + 1], patches, scores)
    y = decoder(p, sum(up(m, [side] * 2) for m in maps))
    density = up(y, [pixels] * 2) / 100
    return density, density.sum((1, 2, 3))


def add(name: str, backbone: str, options: str, dims, base, read, x, dim=8, patches=2, scores="token", norm="layer") -> None:
    p = dict(base)
    for i, d in enumerate(dims):
        p[f"head.lateral.{i}.weight"], p[f"head.lateral.{i}.bias"] = rand(dim, d, 1, 1), rand(dim)
    for i in range(len(dims) - 1):
        for gamma in ("gamma_coarse", "gamma_fine"):
            p[f"head.flips.{i}.{gamma}"] = rand(1, around=1)
        for way in ("coarse_asks", "fine_asks"):
            for m in "qkvo":
                p[f"head.flips.{i}.{way}.{m}.weight"] = rand(dim, dim)
    for i, (a, b, k) in enumerate(((dim, dim // 2, 3), (dim // 2, dim // 4, 3), (dim // 4, 1, 1))):
        p[f"head.decoder.conv{i + 1}.weight"], p[f"head.decoder.conv{i + 1}.bias"] = rand(b, a, k, k, std=0.2), rand(b)
        if i < 2:
            p[f"head.decoder.norm{i + 1}.weight"], p[f"head.decoder.norm{i + 1}.bias"] = rand(b, around=1), rand(b)
            if norm == "batch":
                p[f"head.decoder.norm{i + 1}.running_mean"], p[f"head.decoder.norm{i + 1}.running_var"] = rand(b), rand(b).abs() + 0.5
    averages = {k: v for k, v in p.items() if ".running_" in k}
    leaves = {k: v.clone().requires_grad_() for k, v in p.items() if k not in averages}
    x = x.clone().requires_grad_()
    density, count = head(leaves | averages, read(leaves, x), x.shape[-1], patches, scores)
    target = (torch.rand(density.shape) * 0.02).float().double()
    loss = ((100 * density - 100 * target) ** 2).mean()
    dx, *gradients = torch.autograd.grad(loss, [x, *leaves.values()])
    own = {"x": x, "density": density, "count": count, "target": target, "loss": loss, "dx": dx}
    for (key, v), g in zip(leaves.items(), gradients):
        own |= {f"value/{key}": v, f"gradient/{key}": g}
    own |= {f"value/{key}": v for key, v in averages.items()}
    options = f"dim: {dim}, heads: {HEADS}, patches: {patches}, scores: {scores}{options}" + ("" if norm == "layer" else f", norm: {norm}")
    tensors.update({f"{len(cases)}/{k}": t.detach().float().contiguous() for k, t in own.items()})
    cases.append({"name": name, "backbone": backbone, "head": f"counting(base, {options})"})


SCALES = """backbone own() {
  a = Conv2d(3 -> 4, kernel: 1)
  b = Conv2d(4 -> 6, kernel: 2, stride: 2)
  c = Conv2d(6 -> 5, kernel: 1)
  levels = [a, b, c]
  level_dims = [4, 6, 5]
  level_axis = 1
  forward(pixels: [n, 3, 8, 8]) { c(relu(b(relu(a(pixels))))) }
}"""


def scales(p, x):
    a = F.conv2d(x, p["base.a.weight"], p["base.a.bias"])
    b = F.conv2d(F.relu(a), p["base.b.weight"], p["base.b.bias"], stride=2)
    return a, b, F.conv2d(F.relu(b), p["base.c.weight"], p["base.c.bias"])


def scales_params():
    return {f"base.{n}.{k}": rand(*s) for n, o, i, e in (("a", 4, 3, 1), ("b", 6, 4, 2), ("c", 5, 6, 1)) for k, s in (("weight", (o, i, e, e)), ("bias", (o,)))}


def grid(axis: int) -> str:
    body = {
        2: ("rearrange(embed(pixels), \"b d h w -> b (h w) d\")", "k, n, 4", "concat(pixels_cls, t, axis: 1)"),
        3: ("channels_last(embed(pixels))", "k, h, w, 4", "t"),
    }[axis]
    cls = "  cls = param [1, 1, 4] zeros\n  class_tokens = 1\n  register_tokens = 0\n" if axis == 2 else ""
    start = body[2].replace("pixels_cls", "expand(cls, n)")
    return f"""module turn() {{
  fc = Linear(4 -> 4)
  forward(x: [{body[1]}]) {{ x + relu(fc(x)) }}
}}
backbone own() {{
  embed = Conv2d(3 -> 4, kernel: 2, stride: 2)
{cls}  blocks = repeat i < 4 {{ turn() }}
  levels = repeat i < 4 {{ blocks[i] }}
  level_dims = [4, 4, 4, 4]
  level_axis = {axis}
  forward(pixels: [n, 3, 8, 8]) {{
    t = {body[0]}
    blocks({start})
  }}
}}"""


def blocks(axis: int):
    def read(p, x):
        t = F.conv2d(x, p["base.embed.weight"], p["base.embed.bias"], stride=2)
        side = t.shape[-1]
        t = t.flatten(2).transpose(1, 2)
        if axis == 2:
            t = torch.cat([p["base.cls"].expand(len(x), -1, -1), t], 1)
        found = []
        for i in range(4):
            t = t + F.relu(F.linear(t, p[f"base.blocks.{i}.fc.weight"], p[f"base.blocks.{i}.fc.bias"]))
            found.append((t[:, 1:] if axis == 2 else t).transpose(1, 2).reshape(len(x), 4, side, side))
        return found

    return read


def blocks_params(axis: int):
    found = {"base.embed.weight": rand(4, 3, 2, 2), "base.embed.bias": rand(4)}
    for i in range(4):
        found |= {f"base.blocks.{i}.fc.weight": rand(4, 4), f"base.blocks.{i}.fc.bias": rand(4)}
    return found


for scores, size in (("token", dict(dim=16)), ("channel", {})):
    add(f"three scales, over {scores}s", SCALES, "", [4, 6, 5], scales_params(), scales, rand(2, 3, 8, 8), scores=scores, **size)
add("four blocks of one size, channels last", grid(3), "", [4] * 4, blocks_params(3), blocks(3), rand(1, 3, 8, 8), dim=16, patches=1)
# A class token is no feature: it has no gradient, and is left as it starts.
add("two blocks of tokens", grid(2), ", taps: [base.blocks[1], base.blocks[3]], dims: [4, 4]", [4] * 2, blocks_params(2),
    lambda p, x: blocks(2)({**p, "base.cls": torch.zeros(1, 1, 4).double()}, x)[1::2], rand(2, 3, 8, 8), scores="channel")
add("norms of a batch in the decoder, by running averages", grid(3), "", [4] * 4, blocks_params(3), blocks(3), rand(2, 3, 8, 8), norm="batch")

out = ROOT / "test/fixtures/train/counting.safetensors"
save_file(tensors, out, metadata={"cases": json.dumps(cases)})
print(out, out.stat().st_size)
