"""What Prometheus is told of a server: requests by status, their time, rows, batches, the queue, and the bundle."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class ServerMetrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tinybert_requests", "Requests to /predict, by HTTP status.", ["status"], registry=self.registry
        )
        self.seconds = Histogram(
            "tinybert_request_seconds", "Time of answered requests.", buckets=SECONDS, registry=self.registry
        )
        self.rows = Counter("tinybert_rows", "Rows answered.", registry=self.registry)
        self.cut = Counter("tinybert_cut_rows", "Rows longer than the model takes.", registry=self.registry)
        self.batches = Histogram("tinybert_batch_rows", "Rows of a forward pass.", buckets=ROWS, registry=self.registry)
        self.reloads = Counter(
            "tinybert_reloads", "Bundles taken up after the start, by outcome.", ["outcome"], registry=self.registry
        )
        self.bundle = Info("tinybert_bundle", "The bundle that answers.", registry=self.registry)
        self._queue = Gauge("tinybert_queue_rows", "Rows that wait.", registry=self.registry)

    def watch_queue(self, waiting_rows: Callable[[], int]) -> None:
        """Read the length of the queue whenever the figures are asked for."""
        self._queue.set_function(waiting_rows)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)
