"""The work of stage ``export_latency``: torch and the ONNX files of a bundle take turns, as the models of a run do."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from pipeline.engine.machine import Machine
from pipeline.engine.run_training import write_json
from pipeline.evaluation.latency import longest_input, measure_latency
from pipeline.export.bundle import OpenBundle, open_bundle
from pipeline.export.onnx_scorer import OnnxScorer
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.store.stage import StageRun

RESULT = "latency.json"
TORCH = "torch"


class OnnxModule(nn.Module):
    """An ONNX file that is called like the model it was made from, so that both are timed in the same way.

    Args:
        scorer: the file.
        vocab_size: of the model.
        positions: word pieces that it takes.
    """

    def __init__(self, scorer: OnnxScorer, vocab_size: int, positions: float) -> None:
        super().__init__()
        self.scorer = scorer
        self.config = SimpleNamespace(vocab_size=vocab_size, max_position_embeddings=positions)
        self.device_marker = nn.Parameter(torch.zeros(()), requires_grad=False)  # says that it is on the CPU

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, (rows, outputs)."""
        inputs = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()}
        if "token_type_ids" in self.scorer.bundle.inputs:
            inputs["token_type_ids"] = torch.zeros_like(input_ids).numpy()
        return torch.from_numpy(self.scorer.run(inputs))


def run(
    run: StageRun,
    *,
    lengths: tuple[int, ...],
    batches: tuple[int, ...],
    rounds: tuple[int, int],
    machine: Machine,
    onnxruntime: str,
    seed: int,
) -> None:
    """Time a bundle's files; the arguments are those of ``ExportLatencyStage``."""
    bundle = open_bundle(run.artifact("bundle"))
    models = _models(bundle, machine.num_threads)
    longest = bundle.facts.max_length
    taken = tuple(length for length in lengths if length <= longest) or (longest,)
    with _threads(machine.num_threads):
        rows = measure_latency(
            models,
            taken,
            batches,
            vocab_size=models[TORCH].config.vocab_size,  # type: ignore[union-attr,arg-type]
            seed=seed,
            against=TORCH,
            rounds=rounds,
            progress=run.progress,
        )
    place = machine.model_dump(mode="json") | {"onnxruntime": onnxruntime}
    write_json(run.output / RESULT, {"name": bundle.facts.name, "machine": place, "latency": rows})
    run.record(
        name=bundle.facts.name,
        machine=place,
        speed={
            f"{row['model']} {row['batch']}x{row['length']}": row["speed"][0]
            for row in rows
            if row["speed"] is not None
        },
        reliable=all(row["reliable"] for row in rows),
    )
    if not all(row["reliable"] for row in rows):
        run.progress.note(
            f"warning: times of {bundle.facts.name} are scattered, as on a busy machine: measure again when it is quiet"
        )


def _models(bundle: OpenBundle, num_threads: int) -> dict[str, nn.Module]:
    """The model in torch, and each ONNX file, by name."""
    for name in ("config.json", "model.safetensors"):
        bundle.file(name)
    model = load_finetuned(ModelSource(str(bundle.folder)))
    positions, size = longest_input(model), int(model.config.vocab_size)
    files = {
        name: OnnxModule(OnnxScorer(bundle, bundle.variant(name), num_threads), size, positions)
        for name in bundle.facts.parity
    }
    return {TORCH: model, **{f"ONNX {name}": module for name, module in files.items()}}


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """Let torch compute with this many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
