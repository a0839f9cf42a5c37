"""The same 200 steps of fine-tuning for each method, as PyTorch takes them, so that others can take them and compare.

    python test/reference/train_steps.py

A ViT of 27,000 parameters, trained for a while on Fashion-MNIST at 16x16, is fine-tuned on 128 digits of MNIST. Writes
test/fixtures/train/steps.safetensors:

`images` u8 [128, 16, 16], `labels` u8 [128]; a model reads (image / 255 - 0.5) / 0.5, one channel. `order` i32 [200, 16]: the images of each step.
`rates` f64 [200]: the learning rate of each step. `start/NAME`: the backbone and the head as each method starts, f32.
For each method `METHOD/start/NAME`: its adapters as they start. `METHOD/loss` f32 [200] and `METHOD/loss64` f64 [200]: the loss before each step, in
f32 and with everything in f64: their difference is what rounding alone does. `METHOD/gradient/NAME`: of the first step, for everything that is
trained, worked out in f64. `METHOD/final/NAME`: what is trained after the last step, in f32.
Names are Espalier's. Metadata, JSON: `model` (the base of a spec), `methods` (the statements of each), `settings` (of optimiser and schedule).

A bias of the keys (the middle third of a qkv bias) changes no loss, so its gradient is rounding alone, of which AdamW makes steps of any size: `final` of
it means nothing where the layer is trained as it is.
"""

import json

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from timm.scheduler import CosineLRScheduler
from torch import nn

from adapters import Params
from data import FASHION, MNIST, ROOT, load, pixels
from methods import METHODS, Shape, adapted, logits, trained

SIZE, PATCH, DIM, DEPTH, HEADS, CLASSES = 16, 4, 32, 2, 2, 10
SHAPE = Shape(PATCH, DEPTH, HEADS, 1e-6)
IMAGES, STEPS, BATCH = 128, 200, 16
OPTIMISER = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 1e-4}
SCHEDULE = {"t_initial": STEPS, "lr_min": 1e-5, "warmup_t": 20, "warmup_lr_init": 1e-5, "warmup_prefix": False}


def shrunk(images: torch.Tensor) -> torch.Tensor:
    """u8 [n, 28, 28] -> u8 [n, 16, 16]"""
    return F.interpolate(images.unsqueeze(1).float(), (SIZE, SIZE), mode="bilinear", antialias=True)[:, 0].round().clamp(0, 255).to(torch.uint8)


def pretrained(steps: int = 600, batch: int = 64) -> VisionTransformer:
    model = VisionTransformer(img_size=SIZE, patch_size=PATCH, in_chans=1, num_classes=CLASSES, embed_dim=DIM, depth=DEPTH, num_heads=HEADS)
    images, labels = load(FASHION, "train")
    x = pixels(shrunk(images))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        pick = torch.randint(len(x), (batch,))
        loss = F.cross_entropy(model(x[pick]), labels[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"pretrained to a loss of {loss.item():.3f}")
    return model.eval()


def by_our_names(model: nn.Module) -> Params:
    """timm's names in Espalier's."""
    ours = {}
    for name, p in model.named_parameters():
        name = name.replace("patch_embed.proj.", "patch_embed.")
        ours["head.fc." + name.removeprefix("head.") if name.startswith("head.") else f"base.{name}"] = p.detach().clone()
    return ours


def rates() -> list[float]:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=OPTIMISER["lr"])
    schedule = CosineLRScheduler(optimizer, t_in_epochs=False, **SCHEDULE)
    found = []
    for t in range(STEPS):
        schedule.step_update(t)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def run(method: str, start: Params, x: torch.Tensor, labels: torch.Tensor, order: torch.Tensor, lrs: list[float], dtype) -> tuple:
    """The loss of each step, the first gradients and the last values, of what is trained."""
    params = {k: p.to(dtype).clone() for k, p in start.items()}
    leaves = {k: params[k].requires_grad_() for k in trained(method, params)}
    optimizer = torch.optim.AdamW(list(leaves.values()), **OPTIMISER)
    losses, first = [], {}
    for step, pick in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = lrs[step]
        loss = F.cross_entropy(logits(method, SHAPE, params, x[pick].to(dtype)), labels[pick])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            first = {k: p.grad.clone() for k, p in leaves.items()}
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=dtype), first, leaves


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(5)
    model = pretrained()
    model.head = nn.Linear(DIM, CLASSES)
    nn.init.normal_(model.head.weight, std=0.02)
    nn.init.zeros_(model.head.bias)
    base = by_our_names(model)
    images, labels = load(MNIST, "train")
    images, labels = shrunk(images[:IMAGES]), labels[:IMAGES]
    x = pixels(images)
    assert (logits("linear", SHAPE, {k: p.double() for k, p in base.items()}, x.double()) - model.double()(x.double())).abs().max() < 1e-12
    order = torch.cat([torch.randperm(IMAGES) for _ in range(STEPS * BATCH // IMAGES)]).reshape(STEPS, BATCH)
    lrs = rates()
    tensors = {"images": images, "labels": labels.to(torch.uint8), "order": order.to(torch.int32), "rates": torch.tensor(lrs, dtype=torch.float64)}
    tensors |= {f"start/{k}": p for k, p in base.items()}
    for i, method in enumerate(METHODS):
        torch.manual_seed(100 + i)
        own = adapted(method, base)
        args = (base | own, x, labels, order, lrs)
        loss, _, final = run(method, *args, torch.float32)
        loss64, gradient, _ = run(method, *args, torch.float64)
        tensors |= {f"{method}/start/{k}": p for k, p in own.items()}
        tensors |= {f"{method}/loss": loss, f"{method}/loss64": loss64}
        tensors |= {f"{method}/gradient/{k}": g.float() for k, g in gradient.items()}
        tensors |= {f"{method}/final/{k}": p.detach() for k, p in final.items()}
        off = ((loss - loss64) / loss64).abs()
        print(f"{method}: {sum(p.numel() for p in final.values())} trained, loss {loss[0]:.4f} -> {loss[-8:].mean():.4f}, f32 off by {off[:50].max():.1e} "
              f"in 50 steps, {off.max():.1e} in 200")
    about = {
        "model": f"vit_auto(image: {SIZE}, patch: {PATCH}, channels: 1, dim: {DIM}, depth: {DEPTH}, heads: {HEADS})",
        "methods": {k: m.statements for k, m in METHODS.items()},
        "settings": {"optimiser": "adamw", **OPTIMISER, "schedule": "cosine (timm), by step", **SCHEDULE, "loss": "cross_entropy", "batch": BATCH},
    }
    out = ROOT / "test" / "fixtures" / "train" / "steps.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {k: v if isinstance(v, str) else json.dumps(v) for k, v in about.items()} | {"torch": torch.__version__, "timm": timm.__version__}
    save_file({k: t.detach().contiguous() for k, t in tensors.items()}, out, metadata=metadata)
    print(out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
