"""Gradients of every adapter of the library, by autograd: of each of its parameters, of the layers below it and of what it reads.

    python test/reference/adapter_gradients.py

Writes test/fixtures/train/gradients.safetensors. For case i of `cases` (metadata: a JSON list of {name, backbone, adapt}): `i/x`, `i/y`, the
cotangent `i/dy` of y, the gradient `i/dx` of sum(y * dy) by x, and for each parameter, under the name that Espalier's library gives it,
`i/value/NAME` and `i/gradient/NAME`. From numbers that f32 holds, worked out in f64, stored as F32.

Each adapter is its formula (adapters.py). LoRA, rsLoRA, DoRA, those of convolutions, and KARST with one kernel, which is LoKr, are compared with the library `peft`'s own
layers, values and gradients, before anything is written.
"""

import json

import peft
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from adapters import (
    Conv2d, Linear, Params, adaptformer, alore, attend, dora, dora_conv, fact_tt, karst, lora, lora_conv, own_of, prefix, relative_bias, repadapter, scoped, ssf,
    vpt,
)
from data import ROOT
from vit import factorize

tensors: Params = {}
cases: list[dict] = []


def rand(*shape: int, around: float = 0.0) -> torch.Tensor:
    return (torch.randn(*shape) * 0.5 + around).float().double()


def attention(params, heads, on_qkv=lambda layer: layer, on_attend=lambda f: f):
    qkv = on_qkv(Linear(params["base.attn.qkv.weight"], params["base.attn.qkv.bias"]))
    inner = on_attend(attend)

    def forward(x):
        b, n, d = x.shape
        q, k, v = qkv(x).reshape(b, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
        return F.linear(inner(q, k, v, None).transpose(1, 2).reshape(b, n, d), params["base.attn.proj.weight"], params["base.attn.proj.bias"])

    return forward


def add(name: str, backbone: str, adapt: str, x: torch.Tensor, params: Params, forward) -> None:
    """`forward(params)` is the function of x."""
    leaves = {k: p.clone().requires_grad_() for k, p in params.items()}
    x = x.clone().requires_grad_()
    y = forward(leaves)(x)
    dy = rand(*y.shape)
    dx, *gradients = torch.autograd.grad(y, [x, *leaves.values()], dy)
    i = len(cases)
    cases.append({"name": name, "backbone": backbone, "adapt": adapt})
    own = {"x": x, "y": y, "dy": dy, "dx": dx}
    for (key, p), g in zip(leaves.items(), gradients):
        own |= {f"value/{key}": p, f"gradient/{key}": g}
    for key, t in own.items():
        tensors[f"{i}/{key}"] = t.detach().float().contiguous()


def karst_params(width, out, parts=1, kernels=2, factor=8, rank=8, rescale="channel", before=False):
    o1, o2 = factorize(out // parts, factor)
    i1, i2 = factorize(width, factor)
    own = {"C": rand(kernels, o1, i1), "A": rand(kernels, parts, rank, o2), "B": rand(kernels, i2, rank)}
    if rescale != "none":
        n = out if rescale == "channel" else 1
        own |= {"s": rand(n), "t": rand(n)}
    return own | ({"u": rand(1), "w": rand(1)} if before else {})


def alore_params(width, experts=4, rank=4, bias=False):
    n = width // experts
    own = {"S": rand(experts, experts, experts), "U": rand(experts, n, rank), "V": rand(experts, rank, n)}
    return own | ({"c": rand(width)} if bias else {})


def repadapter_params(width, hidden=8, groups=2):
    return {"A": rand(hidden, width), "a": rand(hidden), "B": rand(groups, width // groups, hidden // groups), "c": rand(width)}


def on_linear(adapter: str, width: int, out: int, own: Params, make) -> None:
    scope = f"base.fc@{adapter.split('(')[0]}"
    params = {"base.fc.weight": rand(out, width), "base.fc.bias": rand(out), **scoped(scope, own)}
    backbone = f"backbone one() {{\n  fc = Linear({width} -> {out})\n  forward(x: [b, 5, {width}]) {{ fc(x) }}\n}}"
    add(f"{adapter} on a linear layer", backbone, f"adapt base.fc with {adapter}", rand(2, 5, width), params,
        lambda p: make(Linear(p["base.fc.weight"], p["base.fc.bias"]), own_of(p, scope)))


def on_attention(adapter: str, site: str, tokens: int, own: Params, wire, dim: int = 8, heads: int = 2, adapt: str | None = None) -> None:
    """`wire(params)` says how: arguments of `attention` as a mapping."""
    params = {"base.attn.qkv.weight": rand(3 * dim, dim), "base.attn.qkv.bias": rand(3 * dim), "base.attn.proj.weight": rand(dim, dim),
              "base.attn.proj.bias": rand(dim), **own}
    backbone = f"backbone one() {{\n  attn = Attention({dim}, {heads})\n  forward(x: [b, {tokens}, {dim}]) {{ attn(x) }}\n}}"
    add(f"{adapter} on {site}", backbone, adapt or f"adapt {site} with {adapter}", rand(2, tokens, dim), params,
        lambda p: attention(p, heads, **wire(p)))


def on_qkv(adapter: str, own: Params, make) -> None:
    scope = f"base.attn.qkv@{adapter.split('(')[0]}"
    on_attention(adapter, "base.attn.qkv", 5, scoped(scope, own), lambda p: {"on_qkv": lambda layer: make(layer, own_of(p, scope))})


def on_q_and_v(adapter: str, params_of, make) -> None:
    """On two row parts of the fused layer."""
    name = adapter.split("(")[0]
    scopes = {part: f"base.attn.qkv.{part}@{name}" for part in ("q", "v")}
    own = {k: p for scope in scopes.values() for k, p in scoped(scope, params_of(8, 8)).items()}

    def wire(p):
        def parts(layer):
            q, k, v = (layer.rows(i * 8, i * 8 + 8) for i in range(3))
            q, v = (make(of, own_of(p, scopes[part])) for of, part in ((q, "q"), (v, "v")))
            return lambda x: torch.cat([q(x), k(x), v(x)], -1)

        return {"on_qkv": parts}

    on_attention(adapter, "base.attn.qkv.{q, v}", 5, own, wire)


def low_rank(rank, magnitude=False):
    return lambda width, out: {"A": rand(rank, width), "B": rand(out, rank), **({"m": rand(out, around=1)} if magnitude else {})}


def linear_cases() -> None:
    on_linear("lora(rank: 3)", 12, 8, low_rank(3)(12, 8), lambda b, o: lora(b, o, 3))
    on_linear("lora(rank: 4, alpha: 6, rslora: true)", 12, 8, low_rank(4)(12, 8), lambda b, o: lora(b, o, 6, True))
    on_q_and_v("lora(rank: 2, alpha: 3)", low_rank(2), lambda b, o: lora(b, o, 3))
    on_qkv("lora(rank: 2)", low_rank(2)(8, 24), lambda b, o: lora(b, o, 2))
    on_linear("dora(rank: 3)", 12, 8, low_rank(3, True)(12, 8), lambda b, o: dora(b, o, 3))
    on_linear("dora(rank: 2, alpha: 5)", 8, 6, low_rank(2, True)(8, 6), lambda b, o: dora(b, o, 5))
    on_q_and_v("dora(rank: 2)", low_rank(2, True), lambda b, o: dora(b, o, 2))
    on_linear("karst()", 16, 24, karst_params(16, 24), karst)
    on_linear("karst(rescale: none)", 12, 10, karst_params(12, 10, rescale="none"), karst)
    on_linear("karst(kernels: 3, factor: 3, rank: 2, rescale: scalar, input: true)", 12, 9,
              karst_params(12, 9, kernels=3, factor=3, rank=2, rescale="scalar", before=True), karst)
    on_qkv("karst(factor: 4, rank: 2)", karst_params(8, 24, 3, factor=4, rank=2), karst)
    on_linear("alore()", 16, 12, alore_params(16), alore)
    on_linear("alore(experts: 2, rank: 3, scale: 0.5, bias: true)", 12, 8, alore_params(12, 2, 3, True), lambda b, o: alore(b, o, 0.5))
    on_qkv("alore()", alore_params(8), alore)
    on_linear("repadapter()", 12, 8, repadapter_params(12), repadapter)
    on_linear("repadapter(hidden: 6, groups: 3, scale: 0.5)", 12, 10, repadapter_params(12, 6, 3), lambda b, o: repadapter(b, o, 0.5))
    on_qkv("repadapter(hidden: 4)", repadapter_params(8, 4), repadapter)
    on_linear("ssf()", 12, 8, {"gamma": rand(8, around=1), "beta": rand(8)}, ssf)
    on_qkv("ssf()", {"gamma": rand(24, around=1), "beta": rand(24)}, ssf)


def ssf_elsewhere() -> None:
    """On a convolution, whose channels lie on axis 1, and on a norm."""
    own = {f"base.{site}@ssf.{key}": rand(8, around=float(key == "gamma")) for site in ("conv", "norm") for key in ("gamma", "beta")}
    params = {"base.conv.weight": rand(8, 3, 3, 3), "base.conv.bias": rand(8), "base.norm.weight": rand(8, around=1), "base.norm.bias": rand(8)}
    backbone = """backbone one() {
  conv = Conv2d(3 -> 8, kernel: 3, stride: 2, padding: 1)
  norm = LayerNorm(8, eps: 1e-6)
  forward(x: [b, 3, 7, 7]) { norm(rearrange(conv(x), "b d h w -> b (h w) d")) }
}"""

    def forward(p):
        conv = ssf(lambda x: F.conv2d(x, p["base.conv.weight"], p["base.conv.bias"], 2, 1), own_of(p, "base.conv@ssf"), axis=1)
        norm = ssf(lambda x: F.layer_norm(x, (8,), p["base.norm.weight"], p["base.norm.bias"], 1e-6), own_of(p, "base.norm@ssf"))
        return lambda x: norm(conv(x).flatten(2).transpose(1, 2))

    add("ssf() on a convolution and a norm", backbone, "adapt base.** with ssf()", rand(2, 3, 7, 7), params | own, forward)


def fact(rank: int, scale: float, options: str) -> None:
    """Two layers of one statement share U and V."""
    params = {}
    for name in ("one", "two"):
        params |= {f"base.{name}.weight": rand(8, 8), f"base.{name}.bias": rand(8), f"base.{name}@fact_tt.core": rand(rank, rank)}
    params |= {"base@fact_tt.U": rand(rank, 8), "base@fact_tt.V": rand(8, rank)}
    backbone = "backbone one() {\n  one = Linear(8 -> 8)\n  two = Linear(8 -> 8)\n  forward(x: [b, 5, 8]) { two(gelu(one(x))) }\n}"

    def forward(p):
        one, two = (fact_tt(Linear(p[f"base.{n}.weight"], p[f"base.{n}.bias"]), own_of(p, f"base.{n}@fact_tt"), own_of(p, "base@fact_tt"), scale)
                    for n in ("one", "two"))
        return lambda x: two(F.gelu(one(x)))

    add(f"fact_tt({options}) on two layers", backbone, f"adapt base.one, base.two with fact_tt({options})", rand(2, 5, 8), params, forward)


def former(hidden: int, scale: float, options: str) -> None:
    own = {"down.weight": rand(hidden, 6), "down.bias": rand(hidden), "up.weight": rand(6, hidden), "up.bias": rand(6)}
    params = {"base.fc.weight": rand(6, 6), "base.fc.bias": rand(6), **scoped("base.branch@adaptformer", own)}
    backbone = "backbone one() {\n  fc = Linear(6 -> 6)\n  site branch(x) = gelu(fc(x))\n  forward(x: [b, 5, 6]) { branch(x) }\n}"
    add(f"adaptformer({options}) on a branch", backbone, f"adapt base.branch with adaptformer({options})", rand(2, 5, 6), params,
        lambda p: adaptformer(lambda x: F.gelu(F.linear(x, p["base.fc.weight"], p["base.fc.bias"])), own_of(p, "base.branch@adaptformer"), scale))


def attention_cases() -> None:
    for prompts, options in ((10, ""), (2, "prompts: 2")):
        scope = "base.attn@vpt"
        params = {"base.attn.qkv.weight": rand(24, 8), "base.attn.qkv.bias": rand(24), "base.attn.proj.weight": rand(8, 8),
                  "base.attn.proj.bias": rand(8), f"{scope}.P": rand(1, prompts, 8)}
        backbone = "backbone one() {\n  attn = Attention(8, 2)\n  forward(x: [b, 5, 8]) { attn(x) }\n}"
        add(f"vpt({options}) on attention", backbone, f"adapt base.attn with vpt({options})", rand(2, 5, 8), params,
            lambda p, scope=scope: vpt(attention(p, 2), own_of(p, scope)))
    site = "base.attn.attend"
    prefixed = lambda n: scoped(f"{site}@prefix", {"K": rand(1, 2, n, 4), "V": rand(1, 2, n, 4)})
    biased = lambda grid, first: scoped(f"{site}@relative_bias", {"T": rand(2 * grid - 1, 2 * grid - 1, 2), **({"C": rand(3, 2, 1, 1)} if first else {})})
    before = lambda p: lambda f: prefix(f, own_of(p, f"{site}@prefix"))
    near = lambda p: lambda f: relative_bias(f, own_of(p, f"{site}@relative_bias"))
    on_attention("prefix()", site, 5, prefixed(16), lambda p: {"on_attend": before(p)})
    on_attention("prefix(length: 3)", site, 5, prefixed(3), lambda p: {"on_attend": before(p)})
    on_attention("relative_bias()", site, 5, biased(2, True), lambda p: {"on_attend": near(p)})
    on_attention("relative_bias(class_tokens: 0)", site, 9, biased(3, False), lambda p: {"on_attend": near(p)})
    on_attention("relative_bias() after prefix(length: 2)", site, 5, prefixed(2) | biased(2, True),
                 lambda p: {"on_attend": lambda f: near(p)(before(p)(f))},
                 adapt=f"adapt {site} with prefix(length: 2)\n  adapt {site} with relative_bias()")


def conv_cases() -> None:
    """On a convolution whose stride, padding and sides of the kernel differ; the formulas are compared with peft's layers first."""

    def on_convolution(adapter: str, own: Params, make) -> None:
        scope = f"base.conv@{adapter.split('(')[0]}"
        params = {"base.conv.weight": rand(6, 4, 3, 2), "base.conv.bias": rand(6), **scoped(scope, own)}
        backbone = "backbone one() {\n  conv = Conv2d(4 -> 6, kernel: [3, 2], stride: 2, padding: 1)\n  forward(x: [b, 4, 7, 6]) { conv(x) }\n}"
        add(f"{adapter} on a convolution", backbone, f"adapt base.conv with {adapter}", rand(2, 4, 7, 6), params,
            lambda p: make(Conv2d(p["base.conv.weight"], p["base.conv.bias"], 2, 1), own_of(p, scope)))

    def own(rank: int, **more: torch.Tensor) -> Params:
        return {"A": rand(rank, 4, 3, 2), "B": rand(6, rank), **more}

    def check(config, make) -> None:
        theirs = peft.get_peft_model(nn.Sequential(nn.Conv2d(4, 6, (3, 2), 2, 1)).double(), config).double().train()
        layer = theirs.base_model.model[0]
        named = {"A": layer.lora_A.default.weight, "B": layer.lora_B.default.weight}
        if config.lora_bias:
            named["c"] = layer.lora_B.default.bias
        if config.use_dora:
            named["m"] = layer.lora_magnitude_vector.default.weight
        with torch.no_grad():
            for key, p in named.items():
                p.copy_(rand(*p.shape, around=float(key == "m")))
        x, dy = rand(2, 4, 7, 6).requires_grad_(), rand(2, 6, 4, 4)
        y = theirs(x)
        wanted = torch.autograd.grad(y, [x, *named.values()], dy)
        # Ours have no axes of one place.
        leaves = {k: (p if k == "A" else p.reshape([n for n in p.shape if n > 1])).detach().clone().requires_grad_() for k, p in named.items()}
        z = make(Conv2d(layer.base_layer.weight, layer.base_layer.bias, 2, 1), leaves)(x)
        found = torch.autograd.grad(z, [x, *leaves.values()], dy)
        for a, b in zip((y, *wanted), (z, *found)):
            assert (a.flatten() - b.flatten()).abs().max() < 1e-12 * a.abs().max(), config

    check(peft.LoraConfig(r=3, lora_alpha=5, lora_bias=True, target_modules=["0"]), lambda b, o: lora_conv(b, o, 5))
    check(peft.LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=["0"]), lambda b, o: lora_conv(b, o, 5, True))
    check(peft.LoraConfig(r=3, lora_alpha=5, use_dora=True, target_modules=["0"]), lambda b, o: dora_conv(b, o, 5))
    on_convolution("lora_conv(rank: 3, alpha: 5, bias: true)", own(3, c=rand(6)), lambda b, o: lora_conv(b, o, 5))
    on_convolution("lora_conv(rank: 2, rslora: true)", own(2), lambda b, o: lora_conv(b, o, 2, True))
    on_convolution("dora_conv(rank: 3, alpha: 5)", own(3, m=rand(6, around=1)), lambda b, o: dora_conv(b, o, 5))


def check_peft() -> None:
    """The formulas against peft's layers: the result, and the gradients of what is trained and of x."""

    def check(kind: str, config, ours: dict[str, str], make) -> None:
        model = nn.Sequential(nn.Linear(12, 8)).double()
        theirs = peft.get_peft_model(model, config).double().train()
        named = dict(theirs.named_parameters())
        params = {}
        with torch.no_grad():
            for key, end in ours.items():
                (p,) = [p for n, p in named.items() if n.endswith(end)]
                p.copy_(rand(*p.shape, around=float(key == "m")))
                params[key] = p
        x, dy = rand(2, 5, 12).requires_grad_(), rand(2, 5, 8)
        y = theirs(x)
        wanted = torch.autograd.grad(y, [x, *params.values()], dy)
        base = theirs.base_model.model[0].base_layer
        leaves = {k: p.detach().clone().requires_grad_() for k, p in params.items()}
        z = make(Linear(base.weight, base.bias), leaves)(x)
        found = torch.autograd.grad(z, [x, *leaves.values()], dy)
        for a, b in zip((y, *wanted), (z, *found)):
            assert (a - b).abs().max() < 1e-12 * a.abs().max(), kind

    ab = {"A": "lora_A.default.weight", "B": "lora_B.default.weight"}
    check("lora", peft.LoraConfig(r=3, lora_alpha=5, target_modules=["0"]), ab, lambda b, o: lora(b, o, 5))
    check("rslora", peft.LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=["0"]), ab, lambda b, o: lora(b, o, 5, True))
    check("dora", peft.LoraConfig(r=3, lora_alpha=5, use_dora=True, target_modules=["0"]),
          ab | {"m": "lora_magnitude_vector.default.weight"}, lambda b, o: dora(b, o, 5))
    # LoKr's w1 is C, its w2 = w2_a w2_b is A^T B^T; alpha 1.
    check("lokr", peft.LoKrConfig(r=2, alpha=1, decompose_factor=2, target_modules=["0"]),
          {"C": "lokr_w1.default", "a": "lokr_w2_a.default", "b": "lokr_w2_b.default"},
          lambda b, o: karst(b, {"C": o["C"][None], "A": o["a"].T[None, None], "B": o["b"].T[None]}))


def main() -> None:
    torch.manual_seed(31)
    check_peft()
    linear_cases()
    ssf_elsewhere()
    fact(16, 1.0, "")
    fact(3, 0.5, "rank: 3, scale: 0.5")
    former(64, 0.1, "")
    former(4, 1.0, "hidden: 4, scale: 1")
    attention_cases()
    conv_cases()
    out = ROOT / "test" / "fixtures" / "train" / "gradients.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, metadata={"cases": json.dumps(cases), "torch": torch.__version__, "peft": peft.__version__})
    print(len(cases), "cases,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
