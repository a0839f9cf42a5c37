"""What PyTorch computes for one layer with each adapter, over random shapes and options.

    python test/reference/make_adapters.py

Writes test/fixtures/adapters.safetensors: for case i, `i/x`, `i/y` and a tensor for each parameter under the name that Espalier's library
gives it, f32, worked out in f64; as metadata `cases`, a JSON list of {name, backbone, adapt, merges}. LoRA, rsLoRA and DoRA are the library
`peft`'s own layers; the others are written from the papers' formulas, dense, with `torch.kron`.
"""

import json
import math
import random

import peft
import torch
from safetensors.torch import save_file
from torch import nn

from data import ROOT
from vit import Attention, factorize

tensors: dict[str, torch.Tensor] = {}
cases: list[dict] = []
pick = random.Random(11)


def rand(*shape: int, around: float = 0.0) -> torch.Tensor:
    """Random numbers that f32 holds, so that what is saved is what was computed with."""
    return (torch.randn(*shape) * 0.5 + around).float().double()


def layer(parts: int | None = None, bias: bool = True) -> tuple[nn.Linear, str, int]:
    """A random linear layer, its declaration, and how many row parts it has."""
    width = pick.choice([6, 8, 12, 20, 24])
    n = parts or pick.choice([1, 1, 2, 3])
    out = pick.choice([4, 6, 8, 16]) * n
    fc = nn.Linear(width, out, bias=bias).double()
    with torch.no_grad():
        fc.weight.copy_(rand(out, width))
        if bias:
            fc.bias.copy_(rand(out))
    to = str(out) if n == 1 else "{" + ", ".join(f"p{i}: {out // n}" for i in range(n)) + "}"
    return fc, f"fc = Linear({width} -> {to}{'' if bias else ', bias: false'})", n


def linear_backbone(fc: nn.Linear, declaration: str) -> str:
    return f"backbone one() {{\n  {declaration}\n  forward(x: [b, 5, {fc.in_features}]) {{ fc(x) }}\n}}"


def add(name: str, backbone: str, adapt: str, merges: bool, x: torch.Tensor, y: torch.Tensor, params: dict[str, torch.Tensor]) -> None:
    i = len(cases)
    cases.append({"name": name, "backbone": backbone, "adapt": adapt, "merges": merges})
    for key, t in {"x": x, "y": y, **params}.items():
        tensors[f"{i}/{key}"] = t.detach().float().contiguous()


def add_linear(name: str, fc: nn.Linear, declaration: str, adapter: str, own: dict[str, torch.Tensor], forward) -> None:
    x = rand(2, 5, fc.in_features)
    scope = f"base.fc@{adapter.split('(')[0]}"
    params = {"base.fc.weight": fc.weight, **({} if fc.bias is None else {"base.fc.bias": fc.bias})}
    params |= {f"{scope}.{key}": t for key, t in own.items()}
    add(name, linear_backbone(fc, declaration), f"adapt base.fc with {adapter}", True, x, forward(x), params)


def lora() -> None:
    fc, declaration, _ = layer(bias=pick.random() < 0.7)
    rank, alpha = pick.randint(1, 4), pick.randint(1, 9)
    kind = pick.choice(["lora", "rslora", "dora"])
    model = nn.Sequential(fc)
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"], use_rslora=kind == "rslora", use_dora=kind == "dora")
    wrapped = peft.get_peft_model(model, config).double().eval()
    theirs = wrapped.base_model.model[0]
    a, b = theirs.lora_A["default"].weight, theirs.lora_B["default"].weight
    with torch.no_grad():
        a.copy_(rand(*a.shape))
        b.copy_(rand(*b.shape))
    own = {"A": a, "B": b}
    if kind == "dora":
        m = theirs.lora_magnitude_vector["default"].weight
        with torch.no_grad():
            m.copy_(rand(*m.shape, around=1))
        own["m"] = m
    adapter = f"dora(rank: {rank}, alpha: {alpha})" if kind == "dora" else f"lora(rank: {rank}, alpha: {alpha}, rslora: {str(kind == 'rslora').lower()})"
    add_linear(f"{kind} r={rank}", fc, declaration, adapter, own, wrapped)


def karst() -> None:
    fc, declaration, parts = layer()
    kernels, rank, factor = pick.randint(1, 3), pick.randint(1, 3), pick.choice([2, 3, 4, 8])
    rescale, before = pick.choice(["none", "scalar", "channel"]), pick.random() < 0.5
    o1, o2 = factorize(fc.out_features // parts, factor)
    i1, i2 = factorize(fc.in_features, factor)
    own = {"C": rand(kernels, o1, i1), "A": rand(kernels, parts, rank, o2), "B": rand(kernels, i2, rank)}
    delta = torch.cat([sum(torch.kron(own["C"][k], own["A"][k, p].T @ own["B"][k].T) for k in range(kernels)) for p in range(parts)]) / rank
    if rescale != "none":
        n = fc.out_features if rescale == "channel" else 1
        own |= {"s": rand(n), "t": rand(n)}
    if before:
        own |= {"u": rand(1), "w": rand(1)}

    def forward(x):
        z = (1 + own["u"]) * x + own["w"] if before else x
        y = nn.functional.linear(z, fc.weight + delta, fc.bias)
        return y if rescale == "none" else (1 + own["s"]) * y + own["t"]

    options = f"kernels: {kernels}, rank: {rank}, factor: {factor}, rescale: {rescale}, input: {str(before).lower()}"
    add_linear(f"karst {options}", fc, declaration, f"karst({options})", own, forward)


def alore() -> None:
    fc, declaration, _ = layer(bias=pick.random() < 0.7)
    experts = pick.choice([n for n in (1, 2, 4) if fc.in_features % n == 0])
    rank, scale, bias = pick.randint(1, 3), pick.choice([0.1, 0.5, 1]), pick.random() < 0.5
    width = fc.in_features // experts
    own = {"S": rand(experts, experts, experts), "U": rand(experts, width, rank), "V": rand(experts, rank, width)}
    mix = sum(torch.kron(own["S"][i], own["U"][i] @ own["V"][i]) for i in range(experts))
    if bias:
        own["c"] = rand(fc.in_features)
    options = f"experts: {experts}, rank: {rank}, scale: {scale}, bias: {str(bias).lower()}"
    add_linear(f"alore {options}", fc, declaration, f"alore({options})", own,
               lambda x: fc(x + scale * (x @ mix.T + (own["c"] if bias else 0))))


def repadapter() -> None:
    fc, declaration, _ = layer(bias=pick.random() < 0.7)
    groups = pick.choice([n for n in (1, 2, 3) if fc.in_features % n == 0])
    hidden, scale = groups * pick.randint(1, 3), pick.choice([0.1, 0.5, 1])
    own = {"A": rand(hidden, fc.in_features), "a": rand(hidden), "B": rand(groups, fc.in_features // groups, hidden // groups), "c": rand(fc.in_features)}
    # The published code's second half: a grouped convolution over one place.
    up = nn.Conv1d(hidden, fc.in_features, 1, groups=groups).double()
    with torch.no_grad():
        up.weight.copy_(own["B"].reshape(up.weight.shape))
        up.bias.copy_(own["c"])
    options = f"hidden: {hidden}, groups: {groups}, scale: {scale}"
    add_linear(f"repadapter {options}", fc, declaration, f"repadapter({options})", own,
               lambda x: fc(x + scale * up((x @ own["A"].T + own["a"]).transpose(1, 2)).transpose(1, 2)))


def ssf() -> None:
    fc, declaration, _ = layer(bias=pick.random() < 0.7)
    own = {"gamma": rand(fc.out_features, around=1), "beta": rand(fc.out_features)}
    add_linear("ssf on a linear layer", fc, declaration, "ssf()", own, lambda x: own["gamma"] * fc(x) + own["beta"])


def ssf_elsewhere() -> None:
    """On a convolution, the channels on axis 1, and on a norm."""
    conv = nn.Conv2d(3, 8, 3, stride=2, padding=1).double()
    norm = nn.LayerNorm(8, eps=1e-6).double()
    with torch.no_grad():
        for p in (conv.weight, conv.bias, norm.bias):
            p.copy_(rand(*p.shape))
        norm.weight.copy_(rand(8, around=1))
    own = {f"base.{site}@ssf.{key}": rand(8, around=float(key == "gamma")) for site in ("conv", "norm") for key in ("gamma", "beta")}
    x = rand(2, 3, 9, 9)
    y = own["base.conv@ssf.gamma"][:, None, None] * conv(x) + own["base.conv@ssf.beta"][:, None, None]
    y = own["base.norm@ssf.gamma"] * norm(y.flatten(2).transpose(1, 2)) + own["base.norm@ssf.beta"]
    backbone = """backbone one() {
  conv = Conv2d(3 -> 8, kernel: 3, stride: 2, padding: 1)
  norm = LayerNorm(8, eps: 1e-6)
  forward(x: [b, 3, 9, 9]) { norm(rearrange(conv(x), "b d h w -> b (h w) d")) }
}"""
    params = {f"base.{site}.{end}": getattr(m, end) for site, m in (("conv", conv), ("norm", norm)) for end in ("weight", "bias")}
    add("ssf on a convolution and a norm", backbone, "adapt base.** with ssf()", True, x, y, params | own)


def fact() -> None:
    """Two layers of one statement share U and V."""
    width, rank, scale = pick.choice([6, 8, 12]), pick.randint(1, 4), pick.choice([0.1, 1, 10])
    one, two = nn.Linear(width, width).double(), nn.Linear(width, width).double()
    params = {}
    with torch.no_grad():
        for name, fc in (("one", one), ("two", two)):
            fc.weight.copy_(rand(width, width))
            fc.bias.copy_(rand(width))
            params |= {f"base.{name}.weight": fc.weight, f"base.{name}.bias": fc.bias, f"base.{name}@fact_tt.core": rand(rank, rank)}
    u, v = rand(rank, width), rand(width, rank)
    params |= {"base@fact_tt.U": u, "base@fact_tt.V": v}
    x = rand(2, 5, width)
    y = x
    for name, fc in (("one", one), ("two", two)):
        y = fc(y) + scale * (y @ u.T @ params[f"base.{name}@fact_tt.core"].T @ v.T)
    backbone = f"backbone one() {{\n  one = Linear({width} -> {width})\n  two = Linear({width} -> {width})\n  forward(x: [b, 5, {width}]) {{ two(one(x)) }}\n}}"
    add(f"fact_tt r={rank} scale={scale}", backbone, f"adapt base.one, base.two with fact_tt(rank: {rank}, scale: {scale})", True, x, y, params)


def adaptformer() -> None:
    width, hidden, scale = pick.choice([6, 8]), pick.randint(1, 6), pick.choice([0.1, 1])
    fc, down, up = nn.Linear(width, width).double(), nn.Linear(width, hidden).double(), nn.Linear(hidden, width).double()
    params = {}
    with torch.no_grad():
        for path, m in (("base.fc", fc), ("base.branch@adaptformer.down", down), ("base.branch@adaptformer.up", up)):
            for end in ("weight", "bias"):
                p = getattr(m, end)
                p.copy_(rand(*p.shape))
                params[f"{path}.{end}"] = p
    x = rand(2, 5, width)
    y = nn.functional.gelu(fc(x)) + scale * up(torch.relu(down(x)))
    backbone = f"backbone one() {{\n  fc = Linear({width} -> {width})\n  site branch(x) = gelu(fc(x))\n  forward(x: [b, 5, {width}]) {{ branch(x) }}\n}}"
    add(f"adaptformer h={hidden}", backbone, f"adapt base.branch with adaptformer(hidden: {hidden}, scale: {scale})", False, x, y, params)


def vpt() -> None:
    width, prompts = pick.choice([8, 12]), pick.randint(1, 4)
    attn = Attention(width, 2).double()
    params = {}
    with torch.no_grad():
        for site in ("qkv", "proj"):
            for end in ("weight", "bias"):
                p = getattr(getattr(attn, site), end)
                p.copy_(rand(*p.shape))
                params[f"base.attn.{site}.{end}"] = p
    p = rand(1, prompts, width)
    x = rand(2, 5, width)
    y = attn(torch.cat([x, p.expand(2, -1, -1)], 1))[:, :5]
    backbone = f"backbone one() {{\n  attn = Attention({width}, 2)\n  forward(x: [b, 5, {width}]) {{ attn(x) }}\n}}"
    add(f"vpt with {prompts} prompts", backbone, f"adapt base.attn with vpt(prompts: {prompts})", False, x, y, params | {"base.attn@vpt.P": p})


def main() -> None:
    torch.manual_seed(11)
    for make, n in ((lora, 15), (karst, 15), (alore, 10), (ssf, 3), (ssf_elsewhere, 1), (fact, 5), (adaptformer, 3), (vpt, 3), (repadapter, 8)):
        for _ in range(n):
            make()
    out = ROOT / "test" / "fixtures" / "adapters.safetensors"
    save_file(tensors, out, metadata={"cases": json.dumps(cases), "torch": torch.__version__, "peft": peft.__version__})
    print(len(cases), "cases,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
