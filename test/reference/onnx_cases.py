"""ONNX's own cases for operators of opset 18 to 21, as folders with a model and its tensors; and which cases of a folder onnxruntime's CPU runs.

    python test/reference/onnx_cases.py write CACHE/onnx        # the cases of the package `onnx`
    python test/reference/onnx_cases.py scope CACHE test/onnx/scope.json

Needs: pip install onnx onnxruntime. `scope` looks at CACHE/*/test_*: what has neither control flow, sequences, optionals, strings, recurrence nor randomness and what the CPU
provider runs to the expected outputs is in scope; of the others it says why not.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

CONTROL = {"If", "Loop", "Scan", "SequenceMap"}
RECURRENT = {"RNN", "LSTM", "GRU"}
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
TRAINING = {"Adam", "Adagrad", "Momentum", "Gradient"}


def write(to: Path) -> None:
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        opsets = {o.domain: o.version for o in case.model.opset_import}
        if not 18 <= opsets.get("", 0) <= 21:
            continue
        folder = to / case.name
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(case.model, folder / "model.onnx")
        for i, (inputs, outputs) in enumerate(case.data_sets):
            data = folder / f"test_data_set_{i}"
            data.mkdir(exist_ok=True)
            try:
                for kind, values in (("input", inputs), ("output", outputs)):
                    for k, value in enumerate(values):
                        tensor = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value))
                        (data / f"{kind}_{k}.pb").write_bytes(tensor.SerializeToString())
            except Exception as error:  # sequences, optionals
                (data / "unread").write_text(str(error))


def kinds(model: onnx.ModelProto) -> set[str]:
    found = set()

    def walk(nodes) -> None:
        for node in nodes:
            if node.op_type in CONTROL or any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                found.add("control flow")
            if node.op_type in RECURRENT:
                found.add("recurrence")
            if node.op_type in RANDOM:
                found.add("randomness")
            if node.op_type in TRAINING:
                found.add("a training operator")
            if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
                found.add("randomness")

    walk(model.graph.node)
    for function in model.functions:
        walk(function.node)
    for value in [*model.graph.input, *model.graph.output]:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            found.add("sequences and optionals")
        elif value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
            found.add("strings")
    return found


def array(path: Path) -> np.ndarray:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    if found.shape != wanted.shape:
        return False
    if found.dtype.kind not in "fV" and wanted.dtype.kind not in "fV":
        return bool(np.array_equal(found, wanted))
    loose = found.dtype.itemsize == 2
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    # What is next to nothing beside the largest is a rest of rounding.
    largest = max(1.0, np.max(np.abs(b), initial=0, where=np.isfinite(b)))
    return bool(np.allclose(a, b, rtol=1e-2 if loose else 1e-3, atol=largest * (1e-2 if loose else 1e-5), equal_nan=True))


def reason(folder: Path) -> str | None:
    import onnxruntime as ort

    model = onnx.load(folder / "model.onnx")
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if any(o.domain not in ("", "ai.onnx") for o in model.opset_import):
        return "another domain than ONNX's own"
    if not 9 <= opset <= 21:
        return "an opset outside of 9 to 21"
    found = kinds(model)
    if found:
        return ", ".join(sorted(found))
    try:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [i.name for i in session.get_inputs()]
        for data in sorted(folder.glob("test_data_set_*")):
            given = [array(data / f"input_{i}.pb") for i in range(len(list(data.glob("input_*.pb"))))]
            wanted = [array(data / f"output_{i}.pb") for i in range(len(list(data.glob("output_*.pb"))))]
            results = session.run(None, dict(zip(names, given)))
            if len(results) != len(wanted) or not all(close(np.asarray(a), b) for a, b in zip(results, wanted)):
                return "onnxruntime gives something else"
    except Exception:
        return "onnxruntime's CPU does not run it"
    return None


def scope(cache: Path, to: Path) -> None:
    result = {}
    for root in sorted(p for p in cache.iterdir() if p.is_dir()):
        inside, outside = [], {}
        for folder in sorted(root.glob("test_*")):
            why = reason(folder)
            if why is None:
                inside.append(folder.name)
            else:
                outside.setdefault(why, []).append(folder.name)
        result[root.name] = {"in": inside, "out": outside}
        print(root.name, len(inside), {k: len(v) for k, v in outside.items()})
    to.write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]))
    else:
        scope(Path(sys.argv[2]), Path(sys.argv[3]))
