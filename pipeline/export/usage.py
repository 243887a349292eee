"""What stands in a bundle's README: how to ask it here, and how other servers take it."""

from pipeline.export.bundle import FILES, FLOAT32, INT8, Bundle

TRITON_TYPES = {"int64": "TYPE_INT64", "float32": "TYPE_FP32"}


def usage(bundle: Bundle) -> str:
    """Markdown for the bundle's folder.

    Args:
        bundle: with its measured parity.
    """
    texts = '{"text": "...", "text_pair": "..."}' if bundle.pair else '{"text": "..."}'
    answer = "one score" if bundle.kind == "regression" else f"one of {len(bundle.labels)} labels"
    parts = [
        (
            f"# {bundle.name}\n\nAnswers a row of *{bundle.task}* with {answer}; "
            f"a row of more than {bundle.max_length} word pieces loses its end."
        ),
        f"## Files\n\n{_files(bundle)}",
        (
            "## Ask it\n\n```\n"
            "tinybert predict FOLDER rows.jsonl\n"
            "tinybert serve FOLDER --port 8080\n"
            f"curl localhost:8080/predict -d '{texts}'\n```"
        ),
        (
            "## Text Embeddings Inference\n\n```\n"
            "docker run -p 8080:80 -v FOLDER:/model ghcr.io/huggingface/text-embeddings-inference:cpu-1.8 "
            "--model-id /model\n```"
        ),
        (
            f"## Triton\n\n`models/{_identifier(bundle.name)}/1/model.onnx` is a copy of `{FILES[FLOAT32]}`, and "
            f"`models/{_identifier(bundle.name)}/config.pbtxt`:\n\n```\n{_triton(bundle)}```\n\n"
            f"Triton reads word pieces: encode texts with `tokenizer.json`, cut at {bundle.max_length}, pad with "
            f"{bundle.pad_id}."
        ),
    ]
    if bundle.relu_logits:
        parts.append(
            "## Weights\n\nThe model computes logits as classifier(relu(pooled)). The ONNX files do; "
            "`model.safetensors` does not show it, so `from_pretrained` gives other logits."
        )
    return "\n\n".join(parts) + "\n"


def _files(bundle: Bundle) -> str:
    lines = ["| file | same label as the model | logits within |", "| --- | ---: | ---: |"]
    for variant, parity in bundle.parity.items():
        near = f"{parity.equal_labels:.2%}" if parity.equal_labels is not None else f"r = {parity.correlation:.4f}"
        lines.append(f"| `{FILES[variant]}` | {near} | {parity.largest_logit_difference:.2g} |")
    rows = next(iter(bundle.parity.values())).rows
    notes = [f"On {rows:,} development rows."]
    if INT8 in bundle.parity:
        notes.append(
            "The rows of one int8 pass share the scale of their activations, so that an answer depends a little on the "
            "rows beside it; a float32 answer does not."
        )
    notes += [f"There is no {variant} file: {reason}." for variant, reason in bundle.refused.items()]
    return "\n".join(lines) + "\n\n" + " ".join(notes)


def _triton(bundle: Bundle) -> str:
    """A model configuration for Triton's ONNX Runtime backend; rows are the batch dimension."""
    inputs = ",\n".join(
        f'  {{ name: "{name}", data_type: {TRITON_TYPES["int64"]}, dims: [ -1 ] }}' for name in bundle.inputs
    )
    return (
        f'name: "{_identifier(bundle.name)}"\nbackend: "onnxruntime"\nmax_batch_size: 64\n'
        f"input [\n{inputs}\n]\n"
        f'output [\n  {{ name: "logits", data_type: {TRITON_TYPES["float32"]}, dims: [ {len(bundle.labels)} ] }}\n]\n'
        "dynamic_batching { max_queue_delay_microseconds: 5000 }\n"
    )


def _identifier(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
