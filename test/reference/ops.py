"""Writes test/ir/golden/ops.json: results of PyTorch (and PIL, for antialiased resizing) for the operators of the IR, in float64.

    python test/reference/ops.py > test/ir/golden/ops.json

Needs torch, numpy and pillow. Never needed to build, test or use Espalier.
"""

import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
CASES = []


def numbers(t):
    return [float(f"{x:.15g}") for x in t.flatten().tolist()]


def tensor(t):
    kind = {torch.float64: "f32", torch.int64: "i32", torch.int32: "i32", torch.bool: "bool"}[t.dtype]
    return {"dtype": kind, "shape": list(t.shape), "data": numbers(t) if kind == "f32" else [int(x) for x in t.flatten()]}


def case(op, attrs, inputs, output, note="", aux=None, tolerance=1e-12):
    CASES.append(
        {
            "op": op,
            "note": note,
            "attrs": attrs,
            "inputs": [tensor(t) for t in inputs],
            "output": tensor(output),
            "aux": {k: tensor(v) for k, v in (aux or {}).items()},
            "tolerance": tolerance,
        }
    )


def rand(*shape):
    return torch.round(torch.randn(*shape) * 1000) / 1000


# Pointwise, one operand
x = torch.tensor([-30.0, -6.1, -3.0, -2.5, -2.4, -1.0, -0.3, -1e-3, 0.0, 1e-9, 0.2, 0.9, 2.0, 2.51, 3.3, 5.9, 40.0])
for name in ["neg", "abs", "sign", "floor", "exp", "sin", "cos", "tanh", "erf", "sigmoid", "relu"]:
    case(name, {}, [x], getattr(torch, name)(x))
case("silu", {}, [x], F.silu(x))
case("gelu", {"form": "none"}, [x], F.gelu(x))
case("gelu", {"form": "tanh"}, [x], F.gelu(x, approximate="tanh"))
case("gelu", {"form": "quick"}, [x], x * torch.sigmoid(1.702 * x))
p = torch.tensor([1e-12, 0.2, 1.0, 2.0, 9.0, 1e10])
for name in ["log", "sqrt", "rsqrt", "reciprocal"]:
    case(name, {}, [p], getattr(torch, name)(p))
case("cast", {"dtype": "i32"}, [torch.tensor([-2.7, -0.5, 0.5, 3.99])], torch.tensor([-2, 0, 0, 3]))
case("not", {}, [torch.tensor([True, False])], torch.tensor([False, True]))

# Pointwise, two operands
a, b = rand(2, 1, 3), rand(4, 1)
for name in ["add", "sub", "mul", "div", "maximum", "minimum", "lt", "le"]:
    case(name, {}, [a, b], getattr(torch, name)(a, b))
case("pow", {}, [a.abs() + 0.1, b], torch.pow(a.abs() + 0.1, b))
case("mod", {}, [a, b], torch.fmod(a, b), "the sign of the dividend")
i, j = torch.tensor([[7, -7, 6, 0]]), torch.tensor([[2], [-3]])
case("mod", {}, [i, j], torch.fmod(i, j), "integers")
case("div", {}, [i, j], torch.div(i, j, rounding_mode="trunc"), "integers truncate")
case("floor_div", {}, [i, j], torch.div(i, j, rounding_mode="floor"), "integers, downwards")
bits = torch.tensor([0b1100, -1, 2**31 - 1, -(2**31)], dtype=torch.int32)
case("and", {}, [bits, bits[:1]], bits & bits[:1], "bits")
case("or", {}, [bits, bits[:1]], bits | bits[:1], "bits")
case("xor", {}, [bits, bits.flip(0)], bits ^ bits.flip(0), "bits")
case("not", {}, [bits], ~bits, "bits")
shifts = torch.tensor([3, 31, 1, 4], dtype=torch.int32)
case("shift_left", {}, [bits, shifts], bits << shifts)
case("shift_right", {}, [bits, shifts], bits >> shifts, "the sign stays")
case("eq", {}, [i, torch.tensor([7, 7, 6, 1])], i == torch.tensor([7, 7, 6, 1]))
m, n = torch.tensor([[True], [False]]), torch.tensor([True, False])
case("and", {}, [m, n], m & n)
case("or", {}, [m, n], m | n)
case("xor", {}, [m, n], m ^ n)
case("select", {}, [m, a[0], b[0]], torch.where(m, a[0], b[0]))

# Layout
x = rand(2, 3, 4)
case("reshape", {"shape": [4, 6]}, [x], x.reshape(4, 6))
case("transpose", {"perm": [2, 0, 1]}, [x], x.permute(2, 0, 1))
case("transpose", {"perm": [1, 0, 2]}, [x], x.permute(1, 0, 2))
case("broadcast", {"shape": [5, 3, 4]}, [x[:1]], x[:1].expand(5, 3, 4))
case("slice", {"start": [0, 1, 1], "end": [2, 3, 3]}, [x], x[0:2, 1:3, 1:3])
case("concat", {"axis": 1}, [x, x[:, :2] * 2], torch.cat([x, x[:, :2] * 2], 1))
case("pad", {"low": [0, 1, 2], "high": [1, 0, 3], "value": 1.5}, [x], F.pad(x, (2, 3, 1, 0, 0, 1), value=1.5))
case("roll", {"shifts": [-1, 5], "axes": [1, 2]}, [x], torch.roll(x, (-1, 5), (1, 2)))
case("reverse", {"axes": [2, 0]}, [x], x.flip(2, 0))
at = torch.tensor([[2, 0], [1, 1]])
case("gather", {"axis": 1}, [x, at], x[:, at])
case("gather", {"axis": 0}, [x, torch.tensor([1])], x[[1]])

# Reductions
x = rand(2, 3, 4, 5)
for axes, keep in [([1, 3], False), ([0], True), ([0, 1, 2, 3], False), ([2, 3], True)]:
    case("reduce_sum", {"axes": axes, "keep": keep}, [x], x.sum(axes, keepdim=keep))
    case("reduce_mean", {"axes": axes, "keep": keep}, [x], x.mean(axes, keepdim=keep))
    case("reduce_max", {"axes": axes, "keep": keep}, [x], x.amax(axes, keepdim=keep))
case("argmax", {"axis": 1}, [x], x.argmax(1))
case("argmax", {"axis": 0}, [torch.tensor([1.0, 3.0, 3.0])], torch.tensor(1), "first of equals")
values, indices = x.topk(3)
case("top_k", {"k": 3}, [x], values, aux={"indices": indices})
ties = torch.tensor([[2.0, 5.0, 5.0, 2.0, 5.0]])
case("top_k", {"k": 4}, [ties], torch.tensor([[5.0, 5.0, 5.0, 2.0]]), "ties by index", {"indices": torch.tensor([[1, 2, 4, 0]])})

# Sorting, and sums in sorted order
keys = torch.tensor([[3, 1, 3, -2, 1, 0, 3], [5, 5, 5, 5, 5, 5, 5]])
case("argsort", {}, [keys], keys.argsort(dim=-1, stable=True))
order = torch.arange(7).repeat(2, 1)
for run in [1, 2, 4]:
    merged = torch.cat([p + keys[:, p : p + 2 * run].argsort(dim=-1, stable=True) for p in range(0, 7, 2 * run)], -1)
    case("merge_order", {"run": run}, [keys, order], merged)
    order = merged
ascending, wanted = torch.tensor([-2, 0, 1, 1, 3, 3, 3]), torch.tensor([[-5, -2, 1], [2, 3, 9]])
for right in [False, True]:
    case("searchsorted", {"right": right}, [ascending, wanted], torch.searchsorted(ascending, wanted, right=right))
x = rand(2, 7, 3)
starts = torch.tensor([0, 0, 3, 4, 7, 7])
sums = torch.segment_reduce(x.transpose(0, 1).contiguous(), "sum", lengths=starts.diff(), axis=0)
case("segment_sum", {"axis": 1}, [x, starts], sums.transpose(0, 1))
at = torch.tensor([4, 0, 4, 2, 0, 4, 1])
case("scatter_add", {"axis": 1, "size": 6}, [x, at], torch.zeros(2, 6, 3).index_add(1, at, x))
x, at = rand(2, 3, 4), torch.tensor([[3, 3, 0], [1, 3, 0]])
case("scatter_add", {"axis": 0, "size": 4}, [x, at], torch.zeros(4, 4).index_add(0, at.flatten(), x.reshape(6, 4)), "two axes of indices")

# Contractions
a, b = rand(5, 7), rand(7, 6)
case("matmul", {}, [a, b], a @ b)
a, b = rand(2, 1, 5, 7), rand(3, 7, 6)
case("matmul", {}, [a, b], a @ b, "broadcast leading axes")
a, b = rand(3, 5, 7), rand(7, 6)
case("matmul", {}, [a, b], a @ b, "one matrix for all")
x, w, c = rand(2, 5, 9), rand(6, 9), rand(6)
case("linear", {}, [x, w, c], F.linear(x, w, c))
case("linear", {}, [x, w], F.linear(x, w))
a, b = rand(2, 3), rand(3, 2)
case("kron", {}, [a, b], torch.kron(a, b))


def conv(x, w, c, stride, padding, dilation, groups, note):
    top, left, bottom, right = padding
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), w, c, stride, 0, dilation, groups)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    case("conv2d", attrs, [x, w] + ([] if c is None else [c]), y, note)


conv(rand(2, 3, 8, 8), rand(4, 3, 4, 4), rand(4), [4, 4], [0, 0, 0, 0], [1, 1], 1, "patches")
conv(rand(1, 4, 7, 6), rand(6, 2, 3, 2), rand(6), [2, 1], [1, 0, 2, 1], [1, 2], 2, "groups, dilation, uneven padding")
conv(rand(2, 3, 5, 5), rand(3, 1, 3, 3), None, [1, 1], [1, 1, 1, 1], [1, 1], 3, "depthwise")



def conv_transpose(x, w, c, stride, padding, put, dilation, groups, note):
    """padding [top, left, bottom, right]: PyTorch has one for both sides, so what the two have alike is its and the rest is cut off."""
    top, left, bottom, right = padding
    y = F.conv_transpose2d(x, w, None, stride, 0, 0, groups, dilation)
    y = F.pad(y, (-left, put[1] - right, -top, put[0] - bottom)) + (0 if c is None else c[:, None, None])
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "output_padding": put}
    case("conv2d_transpose", attrs, [x, w] + ([] if c is None else [c]), y, note)
    if top == bottom and left == right:
        assert torch.allclose(y, F.conv_transpose2d(x, w, c, stride, (top, left), put, groups, dilation))


conv_transpose(rand(2, 3, 4, 5), rand(3, 2, 3, 3), rand(2), [1, 1], [1, 1, 1, 1], [0, 0], [1, 1], 1, "as large as x")
conv_transpose(rand(1, 4, 3, 4), rand(4, 3, 3, 2), rand(6), [2, 3], [1, 0, 1, 0], [1, 2], [1, 1], 2, "groups, sub-pixels")
conv_transpose(rand(1, 2, 4, 4), rand(2, 3, 3, 3), None, [2, 1], [3, 2, 3, 2], [1, 0], [3, 2], 1, "dilation beside stride")
conv_transpose(rand(1, 2, 3, 3), rand(2, 2, 2, 2), rand(2), [3, 2], [4, 0, 1, 3], [2, 1], [1, 1], 1, "uneven padding, more than a step")


def conv_weight(x, w, stride, padding, dilation, groups, note):
    w.requires_grad_()
    y = F.conv2d(x, w, None, stride, padding[:2], dilation, groups)
    dy = rand(*y.shape)
    (dw,) = torch.autograd.grad(y, w, dy)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "kernel": list(w.shape[2:])}
    case("conv2d_weight", attrs, [x, dy], dw, note)


conv_weight(rand(2, 3, 6, 5), rand(4, 3, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 1, "")
conv_weight(rand(3, 4, 7, 6), rand(6, 2, 3, 2), [2, 1], [1, 0, 1, 0], [1, 2], 2, "groups, dilation, stride")
conv_weight(rand(2, 3, 5, 5), rand(3, 1, 3, 3), [2, 2], [1, 1, 1, 1], [1, 1], 3, "depthwise")

# Composites
x = rand(2, 3, 5)
case("softmax", {"axis": 1}, [x], x.softmax(1), aux={"lse": x.logsumexp(1)})
case("softmax", {"axis": 2}, [x * 500], (x * 500).softmax(2), "large scores", {"lse": (x * 500).logsumexp(2)})
g, s = rand(5), rand(5)


def layer_norm(inputs, eps):
    y, mean, rstd = torch.native_layer_norm(inputs[0], (5,), *inputs[1:], *[None] * (3 - len(inputs)), eps)
    case("layer_norm", {"eps": eps}, inputs, y, aux={"mean": mean.squeeze(-1), "rstd": rstd.squeeze(-1)})


layer_norm([x, g, s], 1e-6)
layer_norm([x, g], 1e-5)
layer_norm([x], 1e-5)
x, g, s = rand(2, 6, 3, 2), rand(6), rand(6)
mean, var = rand(6), rand(6).abs() + 0.1
case("batch_norm", {"eps": 1e-5}, [x, g, s, mean, var], F.batch_norm(x, mean, var, g, s, False, 0.0, 1e-5))


def group_norm(inputs, groups, eps):
    n, c, *rest = inputs[0].shape
    y, mean, rstd = torch.native_group_norm(*inputs, *[None] * (3 - len(inputs)), n, c, math.prod(rest), groups, eps)
    case("group_norm", {"groups": groups, "eps": eps}, inputs, y, aux={"mean": mean, "rstd": rstd})


group_norm([x, g, s], 3, 1e-5)
group_norm([x], 1, 1e-5)
q, k, v = rand(2, 3, 4, 8), rand(2, 3, 5, 8), rand(2, 3, 5, 6)
scale = 1 / math.sqrt(8)
scores = q @ k.transpose(-1, -2) * scale
case("attention", {"scale": scale}, [q, k, v], F.scaled_dot_product_attention(q, k, v), aux={"lse": scores.logsumexp(-1)})
b1, b2 = rand(3, 1, 5), rand(2, 1, 4, 1)
biased = scores + b1 + b2
case("attention", {"scale": scale}, [q, k, v, b1, b2], biased.softmax(-1) @ v, "two broadcast biases", {"lse": biased.logsumexp(-1)})
a, b = rand(4, 4) + 2 * torch.eye(4), rand(4, 3)
case("solve", {}, [a, b], torch.linalg.solve(a, b), tolerance=1e-10)
a = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
b = torch.tensor([[4.0], [3.0]])
case("solve", {}, [a, b], torch.linalg.solve(a, b), "needs a pivot")

x = rand(1, 2, 7, 5)
for size in [[4, 9], [14, 10], [3, 2]]:
    for mode in ["nearest", "bilinear", "bicubic"]:
        attrs = {"size": size, "mode": mode, "antialias": False}
        more = {} if mode == "nearest" else {"align_corners": False}
        case("resize", attrs, [x], F.interpolate(x, size, mode=mode, **more), "PyTorch", tolerance=1e-10)
        if mode != "nearest":
            y = F.interpolate(x, size, mode=mode, antialias=True, align_corners=False)
            case("resize", attrs | {"antialias": True}, [x], y, "PyTorch antialias", tolerance=1e-10)
for mode, filter in [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)]:
    for size in [[5, 3], [20, 17]]:
        plane = np.random.default_rng(3).random((11, 8), dtype=np.float32)
        out = np.asarray(Image.fromarray(plane, "F").resize((size[1], size[0]), filter))
        case(
            "resize",
            {"size": size, "mode": mode, "antialias": True},
            [torch.from_numpy(plane.astype(np.float64))[None, None]],
            torch.from_numpy(out.astype(np.float64))[None, None],
            "PIL, float32",
            tolerance=2e-6,
        )

print("[")
print(",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES))
print("]")
