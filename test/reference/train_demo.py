"""The training of `npm run demo:train` (examples/fashion/train.peft) in PyTorch: the same start, the same batches, the same steps.

    npx tsx examples/fashion/train-start.ts out/train-start.safetensors
    python test/reference/train_demo.py out/train-start.safetensors

Writes examples/fashion/reference/train.json: for 5 epochs, and for 2 (what the demo does on SwiftShader), the accuracy on the first 1,000 test images before
and after, the loss of each step, and after each epoch the accuracy on the validation images; the result is of the epoch that was best there (of equal ones
the one with the least loss), its accuracy on the run's own 1,000 test images is `test`. `start` is the SHA-256 of the file that it began with.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from data import MNIST, ROOT, load, pixels
from methods import logits
from methods_table import backbone

METHOD, LR, WEIGHT_DECAY, SHOWN = "karst", 1e-2, 1e-4, 1000


def run(start: dict, epochs: int) -> dict:
    base, shape = backbone()
    params = base | {k.removeprefix("start/"): p.clone() for k, p in start.items() if k.startswith("start/")}
    leaves = [p.requires_grad_() for k, p in params.items() if k not in base]
    (images, labels), (test_images, test_labels) = load(MNIST, "train"), load(MNIST, "t10k")
    per_epoch = len(start["order"]) // 5
    optimizer = torch.optim.AdamW(leaves, lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=per_epoch * epochs, cycle_momentum=False)

    def scored(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        with torch.no_grad():
            found = torch.cat([logits(METHOD, shape, params, pixels(part)) for part in x.split(250)])
        return (found.argmax(1) == y).double().mean().item(), -F.cross_entropy(found, y).item()

    first = (test_images[:SHOWN], test_labels[:SHOWN])
    before = scored(*first)[0]
    held = start["val"].long()
    losses, trained_loss, validation, best, kept = [], [], [], None, {}
    for epoch in range(epochs):
        seen = []
        for places in start["order"][epoch * per_epoch : (epoch + 1) * per_epoch].long():
            places = places[places >= 0]
            loss = F.cross_entropy(logits(METHOD, shape, params, pixels(images[places])), labels[places])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            seen.append((len(places), loss.item()))
        losses += [x for _, x in seen]
        trained_loss.append(sum(n * x for n, x in seen) / sum(n for n, _ in seen))
        found = scored(images[held], labels[held])
        validation.append(found[0])
        if best is None or found > best:
            best, kept = found, {k: p.detach().clone() for k, p in params.items()}
    params = kept
    own = start["test"].long()
    return {"before": before, "loss": trained_loss, "validation": validation, "test": scored(test_images[own], test_labels[own])[0],
            "after": scored(*first)[0], "losses": losses}


def main() -> None:
    torch.set_num_threads(1)
    file = Path(sys.argv[1])
    start = load_file(file)
    found = {"start": hashlib.sha256(file.read_bytes()).hexdigest(), "torch": torch.__version__}
    for epochs in (5, 2):
        result = run(start, epochs)
        found[f"epochs {epochs}"] = {k: [float(f"{x:.7g}") for x in v] if isinstance(v, list) else v for k, v in result.items()}
        print(epochs, {k: v for k, v in result.items() if k != "losses"}, flush=True)
    text = re.sub(r"\[[-0-9.,e\s]+\]", lambda m: re.sub(r"\s+", "", m[0]), json.dumps(found, indent=1))
    (ROOT / "examples" / "fashion" / "reference" / "train.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
