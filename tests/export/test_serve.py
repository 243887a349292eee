"""``tinybert serve``: a real server on a free port; whatever is sent to it, it stays up."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tiny_run import Tiny, sentences

from flows.cli import main
from pipeline.export.bundle import FILES
from pipeline.export.serving.server import open_socket

TEXTS = [text for text, _ in sentences(24, 2)]
ROOT = Path(__file__).parents[2]
Start = Callable[..., "Server"]


class Server:
    """A server that a test has started."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line
        self.url = found[0]

    def ask(self, body: object = None, content: bytes | None = None, path: str = "/predict") -> httpx.Response:
        sent = {"json": body} if content is None else {"content": content}
        return httpx.post(self.url + path, **sent, trust_env=False, timeout=60)  # type: ignore[arg-type]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, timeout=60)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def start(run: Tiny) -> Iterator[Start]:
    begun: list[Server] = []

    def begin(*arguments: str, **environment: str) -> Server:
        begun.append(
            Server(
                subprocess.Popen(
                    [sys.executable, "-m", "flows.cli", "serve", *arguments, "--port", "0", "--threads", "1"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    cwd=run.folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                )
            )
        )
        return begun[-1]

    yield begin
    for server in begun:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_answers_health_and_figures(run: Tiny, start: Start) -> None:
    server = start("export/v2")
    one = server.ask({"text": TEXTS[0]}).json()
    assert one["label"] in one["probabilities"]
    found = server.ask({"rows": [{"text": text} for text in TEXTS]}).json()["predictions"]
    assert found[0]["label"] == one["label"]
    right = [topic for _, topic in sentences(24, 2)]
    score = sum(answer["label"] == topic for answer, topic in zip(found, right, strict=True)) / 24
    assert score == pytest.approx(run.artifact("teacher").metrics["dev_score"])
    assert server.ask({"rows": []}).json() == {"predictions": []}
    assert server.ask({"text": "otter " * 500}).json()["cut"] is True
    health = server.get("/healthz").json()
    assert health == {"status": "ok", "name": "model", "task": "topics", "bundle": run.store.open("export/v2").ref}
    figures = server.get("/metrics").text
    assert 'tinybert_requests_total{status="200"} 4.0' in figures
    assert "tinybert_rows_total 26.0" in figures
    assert "tinybert_cut_rows_total 1.0" in figures
    assert "tinybert_queue_rows 0.0" in figures
    assert server.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order(start: Start, number: int) -> None:
    server = start("export/v1", "--batch-rows", "1000", "--wait-ms", "60000")

    async def whole() -> list[httpx.Response]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            asked = [
                asyncio.create_task(client.post(server.url + "/predict", json={"text": text})) for text in TEXTS[:5]
            ]
            while "tinybert_queue_rows 5.0" not in (await client.get(server.url + "/metrics")).text:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)
            server.process.send_signal(number)
            return await asyncio.gather(*asked)

    assert [answer.status_code for answer in asyncio.run(whole())] == [200] * 5
    assert server.process.wait(60) == 0


def test_bad_requests_leave_it_up(start: Start) -> None:
    server = start("export/v2")
    cases: list[tuple[int, bytes, str]] = [
        (400, b"\xff\xfe", "the body is not UTF-8 (byte 0xff at 0)"),
        (400, b"", "the body is not JSON"),
        (400, b"[" * 100_000, "the body is not JSON"),
        (400, b'"text"', "the body is a JSON str"),
        (400, b'{"texts": []}', "the body is not what the model reads (the keys texts)"),
        (400, b'{"text": "a", "text_pair": "b"}', "the keys text, text_pair"),
        (400, b'{"text": 3}', "a text of the body is not in quotes"),
        (400, b'{"rows": {}}', "a list"),
        (400, b'{"rows": [{"text": "a"}, 7]}', "row 1 is not what the model reads (int)"),
        (400, rb'{"text": "\ud800"}', "half a character"),
        (413, b'{"rows": [' + b",".join([b'{"text": "a"}'] * 257) + b"]}", "there are 257 rows, at most 256"),
        (413, b" " * 50_000_000, "the body has 50000000 bytes, at most 1000000"),
    ]
    for status, content, message in cases:
        found = server.ask(content=content)
        assert (found.status_code, message in found.json()["error"]) == (status, True), found.text
        assert "\n" not in found.json()["error"]
    assert server.get("/predict").status_code == 405
    assert server.get("/../etc/passwd").status_code == 404
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")  # and goes
    assert server.ask({"text": "otter"}).status_code == 200
    assert 'tinybert_requests_total{status="413"} 2.0' in server.get("/metrics").text


def test_more_than_it_can_take_is_refused_and_nothing_is_lost(start: Start) -> None:
    server = start("export/v2", "--queue-rows", "64", "--batch-rows", "32")
    rows = {"rows": [{"text": text} for text in TEXTS[:16]]}

    async def whole() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(client.post(server.url + "/predict", json=rows) for _ in range(300)))

    answers = asyncio.run(whole())
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 503}
    wanted = server.ask(rows).json()  # it has recovered
    for answer in answers:
        if answer.status_code == 200:
            assert [one["label"] for one in answer.json()["predictions"]] == [
                one["label"] for one in wanted["predictions"]
            ]
        else:
            assert answer.headers["retry-after"] == "1"
            assert answer.json() == {"error": "the queue is full: ask again in a moment"}


def test_another_bundle_is_taken_up_when_the_alias_moves(run: Tiny, start: Start) -> None:
    run.store.tag("export/v1", "live")
    server = start("live", "--reload-seconds", "0.05")
    student, teacher = (run.store.open(f"export/v{number}") for number in (1, 2))
    assert server.get("/healthz").json()["bundle"] == student.ref
    run.store.tag("export/v2", "live")
    until(lambda: server.get("/healthz").json()["bundle"] == teacher.ref)
    assert server.ask({"text": TEXTS[0]}).status_code == 200
    model = student.path / FILES["float32"]
    model.write_bytes(model.read_bytes()[::-1])
    run.store.tag("export/v1", "live")  # a bundle that was edited: the good one goes on answering
    until(lambda: 'tinybert_reloads_total{outcome="refused"} 1.0' in server.get("/metrics").text)
    run.store.untag("live")
    assert server.get("/healthz").json()["bundle"] == teacher.ref
    assert server.ask({"text": TEXTS[0]}).status_code == 200
    assert 'tinybert_reloads_total{outcome="taken up"} 1.0' in server.get("/metrics").text


def test_a_key_is_asked_for(start: Start) -> None:
    server = start("export/v1", TINYBERT_API_KEY="a long secret")
    assert server.ask({"text": "otter"}).status_code == 401
    assert server.get("/metrics").status_code == 401
    assert server.get("/healthz").status_code == 200
    for key, status in (("a long secret", 200), ("a long secreT", 401), ("a", 401), ("\u00e9", 401)):
        headers = {"Authorization": f"Bearer {key}".encode()}
        found = httpx.post(server.url + "/predict", json={"text": "a"}, headers=headers, trust_env=False)
        assert found.status_code == status


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nosuch",), 5, "no artifact is called 'nosuch'"),
        (("export/v1", "--host", "192.0.2.1"), 2, "192.0.2.1 is reached from other machines: set TINYBERT_API_KEY"),
        (("export/v1", "--host", "no.such.host.invalid"), 2, "no.such.host.invalid is reached from other machines"),
        (("export/v1", "--variant", "int4"), 4, "has no variant 'int4'"),
    ],
)
@pytest.mark.usefixtures("run")
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["serve", *arguments, "--port", "0"])
    said = capsys.readouterr().err
    assert left.value.code == code
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("run")
def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as left:
        main(["serve", "export/v1", "--port", str(taken.getsockname()[1])])
    assert left.value.code == 2
    assert "cannot listen on 127.0.0.1:" in capsys.readouterr().err


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, flows.cli\n"
        "print(*sorted({'torch', 'transformers', 'fastapi', 'uvicorn', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_answers_are_sent_without_delay() -> None:
    """asyncio does so for sockets whose protocol is named; without it each answer waits 40 ms for the client."""

    async def accepted() -> int:
        taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            taken.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with open_socket("127.0.0.1", 0) as listening:
            server = await asyncio.start_server(look, sock=listening)
            _, writer = await asyncio.open_connection(*listening.getsockname())
            found = await taken
            writer.close()
            server.close()
            return found

    assert asyncio.run(accepted()) == 1
