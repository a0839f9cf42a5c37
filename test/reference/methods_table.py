"""Methods of fine-tuning side by side: the Fashion-MNIST ViT of examples/fashion on 1,000 digits of MNIST, for three seeds.

    python test/reference/methods_table.py [--methods a,b] [--seeds 0,1,2] [--epochs 3] [--rate 0.003] [--validate] [--f64] [--threads 1] [--out FILE]

First it sees to the files that others start from too, examples/fashion/methods/seed-N.safetensors: `images` u16 [1000], of MNIST's training set (100 of
each class, the same for all seeds), `order` u16 [steps, 32]: which of these each step reads (of
more steps than are taken), the head `head.fc.weight` and `head.fc.bias`, and
`METHOD/NAME` for each adapter as it starts, by Espalier's names, as halves; parameters of adapters that are not there start as 0. Metadata:
`methods`, the statements of each in a spec.

Then it trains each method from each, and writes examples/fashion/methods/pytorch.json after each run: a table that a later call goes on from. Accuracy is
on the first 2,000 images of MNIST's test set, after the last step. What of a setting is not the default has to go to a file of its own (--out).
--f64: everything is computed in f64, from the same start: how far rounding alone takes a run of f32 (bench/README.md).
--validate: accuracy on 1,000 other training images instead; that is how the learning rates were chosen, so that the test set was not looked at.
"""

import argparse
import json
import math
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from adapters import Params
from data import MNIST, ROOT, load, pixels
from methods import METHODS, Shape, adapted, logits, trained
from vit import from_hugging_face

HOME = ROOT / "examples" / "fashion"
EPOCHS, BATCH, IMAGES, CLASSES, TESTED = 3, 32, 1000, 10, 2000
# In the files, so that longer runs start from them too.
ORDERED_EPOCHS = 10
WARM_UP, LEAST, WEIGHT_DECAY = 0.1, 1e-5, 1e-4
# Of 3e-3, 1e-2 and 3e-2, the best on the validation images after 3 epochs of seed 0. Full fine-tuning is best there at 3e-3 (of 1e-3, 3e-3 and 1e-2),
# but rounding alone decides its run: the losses of f32 and f64 part by 4.1e-2. At 1e-3 they part by 1.4e-3, so that there is something to compare.
RATES = {"linear": 3e-2, "bitfit": 3e-2, "lora": 1e-2, "ssf": 1e-2, "repadapter": 1e-2, "karst": 3e-2, "alore": 3e-2, "full": 1e-3}


def backbone() -> tuple[Params, Shape]:
    config = json.loads((HOME / "vit-fashion" / "config.json").read_text())
    model = from_hugging_face(HOME / "vit-fashion")
    base = {f"base.{name}": p.detach() for name, p in model.named_parameters() if not name.startswith("fc.")}
    return base, Shape(config["patch_size"], config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"])


def by_class(labels: torch.Tensor, skip: int = 0) -> torch.Tensor:
    """The first images of each class after `skip` of them, IMAGES in all, in the order of the file."""
    each = IMAGES // CLASSES
    return torch.cat([(labels == c).nonzero().flatten()[skip : skip + each] for c in range(CLASSES)]).sort().values


def begin(seed: int, base: Params, labels: torch.Tensor) -> Params:
    """The seed's file, made if it is not there."""
    file = HOME / "methods" / f"seed-{seed}.safetensors"
    if not file.exists():
        torch.manual_seed(1000 + seed)
        steps = ORDERED_EPOCHS * (IMAGES // BATCH)
        order = torch.cat([torch.randperm(IMAGES)[: IMAGES // BATCH * BATCH] for _ in range(ORDERED_EPOCHS)]).reshape(steps, BATCH)
        head = nn.init.normal_(torch.empty(CLASSES, base["base.norm.weight"].numel()), std=0.02)
        starts = {f"{method}/{k}": p for method in RATES for k, p in adapted(method, base).items() if p.any()}
        halves = {k: p.half() for k, p in {"head.fc.weight": head, "head.fc.bias": torch.zeros(CLASSES), **starts}.items()}
        file.parent.mkdir(exist_ok=True)
        about = {"methods": json.dumps({method: METHODS[method].statements for method in RATES}), "torch": torch.__version__}
        save_file({"images": by_class(labels).to(torch.uint16), "order": order.to(torch.uint16), **halves}, file, metadata=about)
    return load_file(file)


def rates(base: float, steps: int) -> list[float]:
    """timm's `CosineLRScheduler(t_initial=steps, warmup_t=WARM_UP * steps, warmup_lr_init=LEAST, lr_min=LEAST)`, by step."""
    warm = int(steps * WARM_UP)
    return [LEAST + (base - LEAST) * (t / warm if t < warm else 0.5 * (1 + math.cos(math.pi * t / steps))) for t in range(steps)]


def accuracy(method: str, shape: Shape, params: Params, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        found = torch.cat([logits(method, shape, params, pixels(part).to(params["head.fc.bias"].dtype)).argmax(1) for part in images.split(250)])
    return (found == labels).double().mean().item()


def peak(step: Callable[[], object]) -> int:
    """The most bytes of live tensors during a step, beyond those that there were before it (weights and moments), by torch's profiler."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    live = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            most = max(most, live)
    return most


def run(method: str, dtype: torch.dtype, start: Params, base: Params, shape: Shape, train: tuple, test: tuple, rate: float, epochs: int) -> dict:
    own = {k: start[f"{method}/{k}"] if f"{method}/{k}" in start else torch.zeros_like(p) for k, p in adapted(method, base).items()}
    params = {k: p.to(dtype, copy=True) for k, p in {**base, **own, **{k: start[k] for k in ("head.fc.weight", "head.fc.bias")}}.items()}
    leaves = {k: params[k].requires_grad_() for k in trained(method, params)}
    optimizer = torch.optim.AdamW(list(leaves.values()), lr=rate, weight_decay=WEIGHT_DECAY)
    images, labels = train[0][start["images"].long()], train[1][start["images"].long()]
    x = pixels(images).to(dtype)

    def step(pick: torch.Tensor) -> float:
        loss = F.cross_entropy(logits(method, shape, params, x[pick]), labels[pick])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    steps = epochs * (IMAGES // BATCH)
    losses = []  # before each step
    wall, cpu = time.perf_counter(), time.process_time()
    for pick, lr in zip(start["order"][:steps].long(), rates(rate, steps), strict=True):
        optimizer.param_groups[0]["lr"] = lr
        losses.append(step(pick))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tested = accuracy(method, shape, params, *test)
    count = lambda names: sum(leaves[k].numel() for k in names)
    return {"accuracy": tested, "losses": [float(f"{x:.7g}") for x in losses], "rate": rate,
            "parameters": count(leaves), "without_head": count(k for k in leaves if not k.startswith("head.")),
            "seconds_per_step": wall / steps, "cpu_seconds_per_step": cpu / steps, "threads": torch.get_num_threads(),
            "peak_bytes": peak(lambda: step(pick))}


def summary(runs: list[dict]) -> list[dict]:
    rows = []
    for method in METHODS:
        own = [r for r in runs if r["method"] == method]
        if own:
            found = [r["accuracy"] for r in own]
            rows.append({"method": method, "seeds": len(own), "accuracy": statistics.fmean(found),
                         "spread": statistics.stdev(found) if len(found) > 1 else None, "parameters": own[0]["parameters"],
                         "cpu_seconds_per_step": statistics.fmean(r["cpu_seconds_per_step"] for r in own), "peak_bytes": own[0]["peak_bytes"]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods", default=",".join(RATES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--f64", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HOME / "methods" / "pytorch.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = {"epochs": args.epochs, "batch": BATCH, "weight_decay": WEIGHT_DECAY, "warm_up": WARM_UP, "least_rate": LEAST,
                "tested": "validation" if args.validate else TESTED, **({"dtype": "f64"} if args.f64 else {})}
    table = json.loads(args.out.read_text()) if args.out.exists() else {"settings": settings, "runs": []}
    if table["settings"] != settings:
        parser.error(f"{args.out} was made with {table['settings']}; give another file with --out")
    base, shape = backbone()
    train, test = load(MNIST, "train"), load(MNIST, "t10k")
    other = by_class(train[1], skip=IMAGES // CLASSES)
    tested = (train[0][other], train[1][other]) if args.validate else (test[0][:TESTED], test[1][:TESTED])
    starts = {seed: begin(seed, base, train[1]) for seed in map(int, args.seeds.split(","))}
    for seed, start in starts.items():
        for method in args.methods.split(","):
            rate = args.rate or RATES[method]
            if any((r["method"], r["seed"], r["rate"]) == (method, seed, rate) for r in table["runs"]):
                continue
            found = run(method, torch.float64 if args.f64 else torch.float32, start, base, shape, train, tested, rate, args.epochs)
            table["runs"].append({"method": method, "seed": seed, **found})
            table |= {"table": summary(table["runs"]), "torch": torch.__version__}
            half_written = args.out.with_suffix(".part")
            half_written.write_text(re.sub(r"\[[-0-9.,e\s]+\]", lambda m: re.sub(r"\s+", "", m[0]), json.dumps(table, indent=1)) + "\n")
            half_written.replace(args.out)
            print(method, seed, {k: v for k, v in found.items() if k != "losses"}, flush=True)


if __name__ == "__main__":
    main()
