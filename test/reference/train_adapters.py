"""Trains the adapters of examples/fashion for MNIST digits, and writes what PyTorch computes with them.

    python test/reference/train_adapters.py karst|karst-sparse|alore|lora [epochs] [threads]

karst: on a base whose mlp.fc1 and mlp.fc2 lost half of their weights to `torch.nn.utils.prune.global_unstructured`, whose zeros
the adapter fills in; karst-sparse: the same, but the mask covers the sum of base and adapter, in training too, so that the zeros stay; alore: on
qkv and fc1; lora: on query and value, by the `peft` library, saved as it saves. Each trains a fresh head of ten classes as well.

Writes examples/fashion/adapters/{karst-mnist.safetensors, karst-sparse-mnist.safetensors, alore-mnist.safetensors, lora-mnist/} and, for each,
examples/fashion/reference/<method>.safetensors: `predictions` (u8 [10000], the whole test set), `logits` (f32 [64, 10], its first images) and
accuracy and settings as metadata.
"""

import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn.utils import prune

from data import DIGIT_NAMES, FASHION, MNIST, ROOT, load, pixels, predict
from vit import Alore, Karst, from_hugging_face, graft

HOME = ROOT / "examples" / "fashion"
BASE = HOME / "vit-fashion"


def train(model, forward, epochs: float, lr: float) -> None:
    images, labels = load(MNIST, "train")
    batch = 32
    steps = int(epochs * len(images) / batch)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.15)
    order = torch.empty(0, dtype=torch.long)
    start = time.time()
    for step in range(steps):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(len(images))])
        pick, order = order[:batch], order[batch:]
        loss = torch.nn.functional.cross_entropy(forward(pixels(images[pick])), labels[pick])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}/{steps} loss {loss.item():.4f} {time.time() - start:.0f} s", flush=True)


def write_reference(name: str, forward, folder: Path, about: dict) -> None:
    images, labels = load(folder, "t10k")
    logits = predict(forward, images)
    right = int((logits.argmax(1) == labels).sum())
    about = {"correct": str(right), "images": str(len(labels)), "accuracy": f"{right / len(labels):.4f}",
             "torch": torch.__version__, **about}
    (HOME / "reference").mkdir(parents=True, exist_ok=True)
    save_file({"predictions": logits.argmax(1).to(torch.uint8), "logits": logits[:64].contiguous()},
              HOME / "reference" / f"{name}.safetensors", metadata=about)
    print(name, about)


def prune_mlp(model, amount: float) -> dict[str, torch.Tensor]:
    """Zeros the smallest weights of all fc1 and fc2 together; returns each layer's mask: 1 where its weight stays."""
    layers = {f"blocks.{i}.mlp.{n}": getattr(b.mlp, n) for i, b in enumerate(model.blocks) for n in ("fc1", "fc2")}
    prune.global_unstructured([(m, "weight") for m in layers.values()], prune.L1Unstructured, amount=amount)
    masks = {}
    for name, layer in layers.items():
        masks[name] = layer.weight_mask.clone()
        prune.remove(layer, "weight")
    return masks


def zeros_of(weights: dict[str, torch.Tensor]) -> str:
    return json.dumps({name: int((w == 0).sum()) for name, w in weights.items()})


def run_native(method: str, epochs: float) -> None:
    model = from_hugging_face(BASE, classes=10)
    about = {"method": method}
    if method in ("karst", "karst-sparse"):
        masks = prune_mlp(model, 0.5)
        about["zeros"] = zeros_of(masks)
        about["settings"] = json.dumps({"kernels": 2, "rank": 4, "factor": 8, "rescale": "channel",
                                        "over": "base" if method == "karst" else "sum"})
        over = {} if method == "karst" else {model.get_submodule(name): mask for name, mask in masks.items()}
        grafted = graft(model, lambda layer, parts: Karst(layer, parts, mask=over.get(layer)),
                        ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"])
    else:
        about["settings"] = json.dumps({"experts": 4, "rank": 4, "scale": 1})
        grafted = graft(model, lambda layer, parts: Alore(layer), ["attn.qkv", "mlp.fc1"])
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    train(model, model, epochs, 3e-3)
    model.eval()
    assert all(torch.equal(frozen[n], p) for n, p in model.named_parameters() if n in frozen)
    adapter = method.split("-")[0]
    tensors = {f"{site}@{adapter}.{n}": getattr(a, n).detach().contiguous() for site, a in grafted.items() for n in a.names}
    tensors["head.fc.weight"] = model.fc.weight.detach().contiguous()
    tensors["head.fc.bias"] = model.fc.bias.detach().contiguous()
    (HOME / "adapters").mkdir(parents=True, exist_ok=True)
    save_file(tensors, HOME / "adapters" / f"{method}-mnist.safetensors",
              metadata={"format": "espalier.adapter", "version": "1", "labels": json.dumps(DIGIT_NAMES)})
    if adapter == "karst":
        about["merged_zeros"] = zeros_of({site: a.weight() for site, a in grafted.items()})
    about["parameters"] = str(sum(t.numel() for n, t in tensors.items() if "@" in n))
    write_reference(method, model, MNIST, about)


def run_lora(epochs: float) -> None:
    import peft
    from transformers import ViTForImageClassification

    model = ViTForImageClassification.from_pretrained(BASE)
    torch.nn.init.trunc_normal_(model.classifier.weight, std=0.02)
    torch.nn.init.zeros_(model.classifier.bias)
    linear = [n for n, _ in model.named_modules() if n.endswith(("query", "q_proj"))]
    targets = ["q_proj", "v_proj"] if linear[0].endswith("q_proj") else ["query", "value"]
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=targets, modules_to_save=["classifier"]))
    wrapped.print_trainable_parameters()
    train(wrapped, lambda p: wrapped(pixel_values=p).logits, epochs, 3e-3)
    wrapped.eval()
    folder = HOME / "adapters" / "lora-mnist"
    wrapped.peft_config["default"].base_model_name_or_path = "../../vit-fashion"
    wrapped.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    rank = sum(p.numel() for n, p in wrapped.named_parameters() if "lora_" in n)
    write_reference("lora", lambda p: wrapped(pixel_values=p).logits, MNIST,
                    {"method": "lora", "parameters": str(rank), "peft": peft.__version__, "settings": json.dumps({"rank": 8, "alpha": 16})})


def main() -> None:
    method = sys.argv[1]
    epochs = float(sys.argv[2]) if len(sys.argv) > 2 else 2
    torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    torch.manual_seed(42)
    if method == "base":
        write_reference("base", from_hugging_face(BASE), FASHION, {"method": "none"})
    elif method == "lora":
        run_lora(epochs)
    else:
        run_native(method, epochs)


if __name__ == "__main__":
    main()
