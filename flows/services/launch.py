"""Start a process detached from the terminal, wait until it answers, and stop it with its child processes."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from flows.services.state import Service, ServicesError

POLL_SECONDS = 0.2
START_SECONDS = 300.0
# Time for a worker to report the run that it ends.
STOP_SECONDS = 30.0
_ERROR = re.compile(r"[\w.]*(Error|Exception)\b.*: ")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]+(?=@)|(?<=password=)[^&\s'\"]+")


def start(name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Service:
    """Start a process that outlives this one and writes to ``folder/NAME.log``; the previous log is kept beside it.

    Raises:
        ServicesError: the log cannot be written.
    """
    log = folder / f"{name}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(folder / f"{name}.before.log")
        output = log.open("ab")
    except OSError as error:
        raise ServicesError(f"cannot write {log}: {error.strerror}; set TINYBERT_HOME to a folder that can") from error
    with output:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            command,
            cwd=folder,  # a folder named flows in the user's working directory must not be imported
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Service(name=name, pid=process.pid, command=tuple(command), log=str(log))


def wait_until(answers: Callable[[], bool], service: Service) -> None:
    """Wait for a service that was just started.

    Raises:
        ServicesError: it ended or took too long; quotes the end of its log.
    """
    end = time.monotonic() + START_SECONDS
    while not answers():
        if not service.alive():
            raise ServicesError(f"the {service.name} ended at once: {last_words(service)} (all of it: {service.log})")
        if time.monotonic() > end:
            raise ServicesError(
                f"the {service.name} does not answer after {START_SECONDS:.0f} s: look into {service.log}"
            )
        time.sleep(POLL_SECONDS)


def stop(service: Service) -> bool:
    """Stop a process and its children, by SIGTERM and then by SIGKILL; return whether it still ran."""
    if not service.alive():
        return False
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(service.pid)
        # A run first: it saves a checkpoint and tells the server, and its worker has to be there for that.
        _end(process.children(recursive=True))
        late = process.children(recursive=True)
        _end([process])
        _end(late)
    return True


def _end(processes: Sequence[psutil.Process]) -> None:
    """Terminate processes, wait, and kill those that still run."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # psutil knows them by more than their number
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def check_free(host: str, port: int, option: str) -> None:
    """Refuse a port that cannot be listened on.

    Raises:
        ServicesError: the port is in use, or this machine has no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            if os.name == "posix":  # as the servers do it: a port that was left a moment ago is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ServicesError(
            f"cannot listen on {host} port {port} ({error.strerror}): end what uses it, or choose another with {option}"
        ) from error
    except OverflowError as error:
        raise ServicesError(f"{port} is no port: choose one from 1 to 65535 with {option}") from error


def last_words(service: Service) -> str:
    """Return the last error in a service's log, else its last line, without credentials."""
    lines = [line.strip() for line in Path(service.log).read_text(encoding="utf-8", errors="replace").splitlines()]
    said = [line for line in lines if line] or ["it said nothing"]
    return _CREDENTIALS.sub("***", next((line for line in reversed(said) if _ERROR.match(line)), said[-1]))
