"""``tinybert doctor``: what this machine can do, and what a run would use on it."""

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.config.run import RunConfig
from pipeline.engine.inspection import GB, Findings, choices, examine, warnings

PACKAGES = ("torch", "transformers", "accelerate", "prefect")


def diagnose(config: RunConfig) -> dict[str, Any]:
    """Return measurements, choices and warnings for ``--json``.

    Raises:
        ConfigError: the configuration asks for something that this machine does not have.
        StoreError: the store cannot be written.
    """
    findings = examine(config)
    return {
        "machine": _machine(findings),
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}},
        "store": {"folder": config.runtime.store, **asdict(findings.disk)},
        "matmul_flops": findings.peaks,
        "will_use": {choice.name: {"choice": choice.choice, "why": choice.why} for choice in choices(config, findings)},
        "warnings": warnings(config, findings),
    }


def show_diagnosis(config: RunConfig, *, as_json: bool) -> None:
    """Measure this machine and print what a run would use on it.

    Args:
        config: configuration of the run.
        as_json: print JSON instead of tables.
    """
    diagnosis = diagnose(config)
    if as_json:
        print(json.dumps(diagnosis))  # noqa: T201 - what the script asked for
    else:
        print_diagnosis(diagnosis, Console())


def print_diagnosis(diagnosis: dict[str, Any], console: Console) -> None:
    """Print a diagnosis as tables."""
    machine, store, peaks = diagnosis["machine"], diagnosis["store"], diagnosis["matmul_flops"]
    here = Table(show_header=False, box=None, pad_edge=False)
    cores = f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['instructions'])}"
    rows = {
        "CPU": cores,
        "memory": f"{machine['memory_bytes'] / GB:.1f} GB",
        **{
            f"GPU {number}": f"{gpu['name']}, capability {gpu['capability']}, {gpu['memory_bytes'] / GB:.0f} GB"
            for number, gpu in enumerate(machine["gpus"])
        },
        "matrix products": f"float32 {_flops(peaks['float32'])}, bfloat16 {_flops(peaks['bfloat16'])} "
        f"(measured on {diagnosis['will_use']['device']['choice']}; {machine['products']} on the CPU)",
        "store": f"{store['folder']} ({store['filesystem'] or 'unknown file system'}), "
        f"{store['free_bytes'] / GB:.0f} GB free, writes {store['write_bytes_per_second'] / 1e6:.0f} MB/s, "
        f"reads {store['read_bytes_per_second'] / 1e6:.0f} MB/s",
        "C++ compiler": machine["compiler"] or "none",
        "versions": ", ".join(f"{name} {number}" for name, number in diagnosis["versions"].items()),
    }
    for name, value in rows.items():
        here.add_row(name, escape(value))
    console.print(here)
    used = Table("a run uses", "", "why", box=None, pad_edge=False)
    for name, chosen in diagnosis["will_use"].items():
        used.add_row(name.replace("_", " "), f"[bold]{escape(chosen['choice'])}[/]", escape(chosen["why"]))
    console.print()
    console.print(used)
    for warning in diagnosis["warnings"]:
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)


def _machine(findings: Findings) -> dict[str, Any]:
    return {
        **asdict(findings.host),
        "threads": findings.threads,
        "products": findings.products,
        "gpus": [asdict(gpu) for gpu in findings.gpus],
        "compiler": findings.compiler,
        "shared_memory_bytes": findings.shared_memory_bytes,
    }


def _flops(value: float) -> str:
    return f"{value / 1e12:.2f} TFLOP/s" if value >= 1e12 else f"{value / 1e9:.0f} GFLOP/s"
