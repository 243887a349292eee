"""A plain transformers pipeline behind the server of ``tinybert serve``: one request after the other, no batches.

    python benchmarks/serving/plain_pipeline.py FOLDER --queue-rows 128

Everything but the model is the same: the application, its queue, its limits.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.export.answers import Answer
from pipeline.export.bundle import OpenBundle, open_bundle
from pipeline.export.scorer import Row
from pipeline.export.serving.application import ServerSettings, build_application
from pipeline.export.serving.batcher import BatchLimits
from pipeline.export.serving.requests import RequestLimits
from pipeline.export.serving.served import Served
from pipeline.export.serving.server import Server, open_socket


class PlainPipeline(Served):
    """The weights of a bundle in ``transformers.pipeline``, as its documentation has it."""

    def __init__(self, bundle: OpenBundle) -> None:
        from transformers import pipeline

        self._found = bundle
        self._pipeline = pipeline("text-classification", model=str(bundle.folder), device="cpu", top_k=None)

    @property
    def bundle(self) -> OpenBundle:
        """Where the weights are from."""
        return self._found

    def answer(self, rows: Sequence[Row]) -> list[Answer]:
        """An answer for each row."""
        found = self._pipeline([row.text for row in rows], truncation=True)
        return [
            {"label": shares[0]["label"], "probabilities": {one["label"]: one["score"] for one in shares}}
            for shares in found
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queue-rows", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    limits = BatchLimits(batch_rows=1, wait_seconds=0.0, queue_rows=given.queue_rows)
    server = Server(
        build_application(PlainPipeline(open_bundle(given.folder)), ServerSettings(limits, RequestLimits()))
    )
    listening = open_socket("127.0.0.1", 0)
    print(f"answers on http://127.0.0.1:{listening.getsockname()[1]}/predict", flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
