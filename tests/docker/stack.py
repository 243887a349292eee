"""What docker/compose.yaml would start as containers, started by hand as processes: same commands, same environment.

Only names and places differ: a service is found at a port of this machine, and the folders of the image lie in a
temporary one. PostgreSQL's image has no command in the file; its data folder is made as that image makes it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from compose_file import DOCKER, changed, filled, read
from prefect_server import free_port

PLACES = ("postgres", "redis", "server", "reports", "worker")
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 2.0  # each asks by starting a process, as Docker does
STOP_SECONDS = 20.0
INITDB = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[::-1]), None)
POSTGRES = INITDB.parent if INITDB else Path(shutil.which("initdb") or "/nowhere/initdb").parent
NEEDED = {"PostgreSQL": POSTGRES / "initdb", "Redis": Path(shutil.which("redis-server") or "/nowhere")}
MISSING = [name for name, program in NEEDED.items() if not program.exists()]


class Stack:
    """The services of compose.yaml as processes.

    Args:
        folder: what the containers' disks are; anybody may enter it.
        secrets: what docker/.env would hold.
    """

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        self.folder = folder
        self.home = folder / "srv"
        self.ports = {name: free_port() for name in PLACES}
        for place in ("artifacts", "cache", "data", "home", "redis"):
            (self.home / place).mkdir(parents=True)
        services: dict[str, Any] = filled(read()["services"], secrets)
        self.services = {name: changed(service, self._here) for name, service in services.items()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start a service as its command says, and wait until its health check says that it is there."""
        environment = self.environment(name)
        command = self.services[name].get("command")
        if name == "postgres":
            command = self._postgres(environment)
        self._running[name] = subprocess.Popen(
            command,
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / f"{name}.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self._user(name),
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while problem := self.unhealthy(name):
            assert self._running[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, f"{name}: {problem}\n{self.log(name)}"
            time.sleep(POLL_SECONDS)

    def unhealthy(self, name: str) -> str | None:
        """Why the service's own health check fails; None if it does not."""
        how, *test = self.services[name]["healthcheck"]["test"]
        command = ["sh", "-c", test[0]] if how == "CMD-SHELL" else test
        asked = subprocess.run(
            command, cwd=self.home, env=self.environment(name), capture_output=True, text=True, check=False
        )
        return (asked.stderr or asked.stdout or "no") if asked.returncode else None

    def exec(self, name: str, *command: str) -> str:
        """What a command says in a service's container (docker compose exec)."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environment(name), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def log(self, name: str) -> str:
        """What a service has said so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self, name: str) -> None:
        """End a service and all that it has started, gently first."""
        process = self._running.pop(name)
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        for left in family:
            with suppress(psutil.NoSuchProcess):
                left.kill()
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """End them in the opposite order of their start."""
        for name in [*self._running][::-1]:
            self.stop(name)

    def environment(self, name: str) -> dict[str, str]:
        """The container's environment."""
        home = self.home / "home" / name
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(POSTGRES), os.environ["PATH"]]),
            "HOME": str(home),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.ports["postgres"]),
            "PREFECT_WORKER_WEBSERVER_PORT": str(self.ports["worker"]),
            **{key: str(value) for key, value in self.services[name]["environment"].items()},
        }

    def _here(self, text: str) -> str:
        """A text of the file with its names and places as they are on this machine."""
        places = {
            "@postgres:5432": f"@127.0.0.1:{self.ports['postgres']}",
            "@redis:6379": f"@127.0.0.1:{self.ports['redis']}",
            "requirepass": f"port {self.ports['redis']}\nbind 127.0.0.1\ndir {self.home}/redis\nrequirepass",
            "redis-cli": f"redis-cli -p {self.ports['redis']}",
            "//server:4200": f"//127.0.0.1:{self.ports['server']}",
            "localhost:4200": f"127.0.0.1:{self.ports['server']}",
            "localhost:4201": f"127.0.0.1:{self.ports['reports']}",
            "localhost:8080": f"127.0.0.1:{self.ports['worker']}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - to be found in a text
            "/srv/tinybert": str(self.home),
            "/opt/healthy.py": str(DOCKER / "healthy.py"),
        }
        whole = {"4200": str(self.ports["server"]), "4201": str(self.ports["reports"])}
        pattern = "|".join(re.escape(place) for place in places)
        return whole.get(text) or re.sub(pattern, lambda match: places[match[0]], text)

    def _postgres(self, environment: Mapping[str, str]) -> list[str]:
        """Make the data folder and the database, as the image does at its first start; the server's command."""
        data, password = self.folder / "postgres", self.folder / "password"
        data.mkdir(mode=0o700)
        password.write_text(environment["POSTGRES_PASSWORD"], encoding="utf-8")
        if self._user("postgres"):
            for path in (data, password):
                shutil.chown(path, "postgres", "postgres")
        owner = environment["POSTGRES_USER"]
        make = ["initdb", "--pgdata", data, "--username", owner, "--pwfile", password, "--auth", "scram-sha-256"]
        single = ["postgres", "--single", "-D", data, "postgres"]
        common: dict[str, Any] = {"env": environment, "cwd": self.folder, "capture_output": True}
        subprocess.run([POSTGRES / make[0], *make[1:]], check=True, **common, **self._user("postgres"))
        create = f"CREATE DATABASE {environment['POSTGRES_DB']}\n".encode()
        subprocess.run(
            [POSTGRES / single[0], *single[1:]], check=True, input=create, **common, **self._user("postgres")
        )
        password.unlink()
        server = [POSTGRES / "postgres", "-D", data, "-p", self.ports["postgres"], "-k", data, "-c", "fsync=off"]
        return [str(word) for word in server]

    @staticmethod
    def _user(name: str) -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        return {"user": "postgres", "group": "postgres"} if name == "postgres" and os.geteuid() == 0 else {}


@contextmanager
def running(folder: Path, secrets: Mapping[str, str]) -> Iterator[Stack]:
    """The whole stack, started in the order in which its services wait for each other."""
    stack = Stack(folder, secrets)
    try:
        waiting = dict(stack.services)
        while waiting:
            started = set(stack.services) - set(waiting)
            name = next(one for one in waiting if set(waiting[one].get("depends_on", ())) <= started)
            stack.start(name)
            del waiting[name]
        yield stack
    finally:
        stack.stop_all()
