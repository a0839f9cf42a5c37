"""Tiny models as PyTorch's exporter writes them, and what onnxruntime makes of them: what the importer of ONNX is compared with.

    pip install torch==2.13.0 transformers safetensors onnx onnxruntime
    python test/reference/make_onnx_import.py

Each model is random (seed 0). A file `NAME.onnx` has its graph and weights, `NAME.safetensors` two samples and the outputs.
"""
import io
import os
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F
from transformers import ConvNextConfig, ConvNextModel, ResNetConfig, ResNetModel, SwinConfig, SwinModel
from transformers import ViTConfig, ViTForImageClassification

HERE = os.path.join(os.path.dirname(__file__), "..", "fixtures", "onnx", "import")


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.randn(heads, 16, 16) * 0.1)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q @ k.transpose(-2, -1)) * (d // self.heads) ** -0.5 + self.bias
        return self.proj((a.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))


class WindowBlock(nn.Module):
    """Windows of 4x4 of a grid of 6x6, which is padded to 8x8, as SAM and TinyViT have them."""

    def __init__(self, dim, heads):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        b, h, w, c = x.shape
        y = F.pad(self.norm(x), (0, 0, 0, 2, 0, 2))
        y = y.view(b, 2, 4, 2, 4, c).transpose(2, 3).reshape(b * 4, 16, c)
        y = self.attn(y)
        y = y.view(b, 2, 2, 4, 4, c).transpose(2, 3).reshape(b, 8, 8, c)[:, :h, :w].contiguous()
        x = x + y
        return x + self.mlp(x)


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.blocks = nn.ModuleList(WindowBlock(16, 2) for _ in range(2))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class Twice(nn.Module):
    """A layer and a module that are called twice, a part of one module between two parts of another, and two results."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.outer = nn.ModuleDict({"a": nn.Linear(8, 8), "c": nn.Linear(8, 8)})
        self.scale = nn.Parameter(torch.randn(8))

    def forward(self, x):
        y = self.mlp(self.shared(x))
        z = self.mlp(self.shared(y) * self.scale)
        w = self.outer["a"](z)
        w = self.mlp[0](w)
        return self.outer["c"](w), z.argmax(-1)


class Picks(nn.Module):
    """One row of each sample, by its own index, as SAM's decoder picks its mask."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(6, 4)
        self.rows = nn.Linear(6, 4 * 10)

    def forward(self, x):
        rows = self.rows(x).view(x.shape[0], 4, 10)
        best = self.score(x).argmax(1)
        return rows[torch.arange(x.shape[0]), best]


def make(name, model, x, opset, outputs, fixed=False):
    torch.manual_seed(0)
    for p in model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=0.2)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.5, 1.5)
    model.eval()
    path = os.path.join(HERE, f"{name}.onnx")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # What was exported of one sample has to hold for two.
        torch.onnx.export(
            model, (x[:1],), path, dynamo=False, opset_version=opset, input_names=["x"], output_names=outputs,
            dynamic_axes=None if fixed else {"x": {0: "batch"}}, do_constant_folding=True,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    samples = [x[i : i + 1].numpy() for i in range(len(x))]
    results = [session.run(None, {"x": s}) for s in samples]
    save_file(
        {"x": np.concatenate(samples)} | {o: np.concatenate([r[i] for r in results]) for i, o in enumerate(outputs)},
        os.path.join(HERE, f"{name}.safetensors"),
    )
    print(name, opset, os.path.getsize(path), [r.shape for r in results[0]], len(onnx.load(path).graph.node), "nodes")


class Last(nn.Module):
    """The features of a transformers model."""

    def __init__(self, model, field="last_hidden_state"):
        super().__init__()
        self.model = model
        self.field = field

    def forward(self, x):
        return self.model(x)[self.field]


def main():
    os.makedirs(HERE, exist_ok=True)
    torch.manual_seed(0)
    picture = torch.randn(2, 3, 24, 24)
    vit = ViTForImageClassification(ViTConfig(
        image_size=24, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=5,
        attn_implementation="eager"))
    swin = SwinModel(SwinConfig(image_size=24, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[1, 2], window_size=3, mlp_ratio=2))
    convnext = ConvNextModel(ConvNextConfig(image_size=24, patch_size=4, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2))
    resnet = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"))
    make("vit12", Last(vit, "logits"), picture, 12, ["logits"])
    make("vit17", Last(vit, "logits"), picture, 17, ["logits"])
    make("swin", Last(swin), picture, 14, ["features"])
    make("convnext", Last(convnext), picture, 13, ["features"])
    make("resnet", Last(resnet), picture, 17, ["features"])
    make("windows", Windows(), picture, 12, ["logits"])
    make("windows_fixed", Windows(), picture, 17, ["logits"], fixed=True)
    make("twice", Twice(), torch.randn(2, 3, 8), 13, ["y", "best"])
    make("picks", Picks(), torch.randn(2, 6), 17, ["row"])


main()
