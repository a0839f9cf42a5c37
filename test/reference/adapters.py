"""The adapters of the library as formulas in plain PyTorch, dense: each makes of a layer `base`, a function of x, another one.

`own` are the adapter's parameters, by the names that Espalier's library gives them. Parameters of a model are a mapping, also by Espalier's names:
`base.blocks.0.attn.qkv.weight`, `base.blocks.0.attn.qkv@lora.A`. `stop_gradient` is `detach`.
"""

import math

import torch
import torch.nn.functional as F

Params = dict[str, torch.Tensor]


def own_of(params: Params, scope: str) -> Params:
    return {k[len(scope) + 1 :]: p for k, p in params.items() if k.startswith(f"{scope}.")}


def scoped(scope: str, own: Params) -> Params:
    return {f"{scope}.{k}": p for k, p in own.items()}


class Linear:
    """A linear layer of given tensors, with another weight if one is given; or a range of its rows."""

    def __init__(self, weight, bias):
        self.weight, self.bias = weight, bias

    def __call__(self, x, weight=None):
        return F.linear(x, self.weight if weight is None else weight, self.bias)

    def rows(self, start, end):
        return Linear(self.weight[start:end], self.bias[start:end])


def attend(q, k, v, bias):
    return F.scaled_dot_product_attention(q, k, v, bias)


def lora(base, own, alpha, rslora=False):
    rank = len(own["A"])
    scale = alpha / (math.sqrt(rank) if rslora else rank)
    return lambda x: base(x) + scale * (x @ own["A"].T @ own["B"].T)


def dora(base, own, alpha):
    v = base.weight + alpha / len(own["A"]) * own["B"] @ own["A"]
    return lambda x: base(x, (own["m"] / v.norm(dim=1).detach())[:, None] * v)


class Conv2d(Linear):
    """A convolution, likewise."""

    def __init__(self, weight, bias, stride, padding):
        super().__init__(weight, bias)
        self.how = (stride, padding)

    def __call__(self, x, weight=None):
        return F.conv2d(x, self.weight if weight is None else weight, self.bias, *self.how)


def lora_conv(base, own, alpha, rslora=False):
    """As peft has it: two convolutions after one another. With a bias of B, `c`."""
    rank = len(own["A"])
    scale = alpha / (math.sqrt(rank) if rslora else rank)
    return lambda x: base(x) + scale * F.conv2d(F.conv2d(x, own["A"], None, *base.how), own["B"][:, :, None, None], own.get("c"))


def dora_conv(base, own, alpha):
    v = base.weight + alpha / len(own["A"]) * torch.einsum("or,rikl->oikl", own["B"], own["A"])
    return lambda x: base(x, (own["m"] / v.flatten(1).norm(dim=1).detach())[:, None, None, None] * v)


def karst(base, own):
    kernels, parts, rank, _ = own["A"].shape
    delta = torch.cat([sum(torch.kron(own["C"][k], own["A"][k, p].T @ own["B"][k].T) for k in range(kernels)) for p in range(parts)]) / rank

    def forward(x):
        z = (1 + own["u"]) * x + own["w"] if "u" in own else x
        y = base(z, base.weight + delta)
        return (1 + own["s"]) * y + own["t"] if "s" in own else y

    return forward


def alore(base, own, scale=1.0):
    mix = sum(torch.kron(s, u @ v) for s, u, v in zip(own["S"], own["U"], own["V"]))
    return lambda x: base(x + scale * (x @ mix.T + own.get("c", 0)))


def repadapter(base, own, scale=1.0):
    """A is `conv_A` of the published code, B its grouped `conv_B`: one block for each group."""
    up = torch.block_diag(*own["B"])
    return lambda x: base(x + scale * ((x @ own["A"].T + own["a"]) @ up.T + own["c"]))


def ssf(base, own, axis=-1):
    shape = (-1, 1, 1) if axis == 1 else (-1,)
    return lambda x: own["gamma"].view(shape) * base(x) + own["beta"].view(shape)


def fact_tt(base, own, shared, scale=1.0):
    return lambda x: base(x) + scale * (x @ shared["U"].T @ own["core"].T @ shared["V"].T)


def adaptformer(base, own, scale=0.1):
    return lambda x: base(x) + scale * F.linear(
        torch.relu(F.linear(x, own["down.weight"], own["down.bias"])), own["up.weight"], own["up.bias"])


def vpt(base, own):
    return lambda x: base(torch.cat([x, own["P"].expand(len(x), -1, -1)], 1))[:, : x.shape[1]]


def prefix(base, own):
    def forward(q, k, v, bias):
        if bias is not None:
            bias = F.pad(bias, (own["K"].shape[2], 0))
        return base(q, torch.cat([own["K"].expand(len(k), -1, -1, -1), k], 2), torch.cat([own["V"].expand(len(v), -1, -1, -1), v], 2), bias)

    return forward


def relative_bias(base, own):
    """T [2 g - 1, 2 g - 1, h] by the vertical and the horizontal distance; C [3, h, 1, 1]: from the class token, to it, to itself."""
    def forward(q, k, v, bias):
        first = 1 if "C" in own else 0
        grid = math.isqrt(q.shape[2] - first)
        place = torch.arange(grid * grid)
        rows, columns = place // grid, place % grid
        near = own["T"][rows[:, None] - rows + grid - 1, columns[:, None] - columns + grid - 1].permute(2, 0, 1)
        if first:
            heads = len(near)
            to_self, from_it, to_it = (own["C"][i].view(heads, 1, 1) for i in (2, 0, 1))
            top = torch.cat([to_self, from_it.expand(-1, 1, grid * grid)], 2)
            near = torch.cat([top, torch.cat([to_it.expand(-1, grid * grid, 1), near], 2)], 1)
        return base(q, k, v, near if bias is None else bias + near)

    return forward
