"""``tinybert artifacts``: list, show, verify, lineage, diff, tag, untag, prune."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.tree import Tree

from flows.arguments import JsonOption
from pipeline.config.runtime import Retention, Runtime
from pipeline.errors import StoreError
from pipeline.report.formats import size
from pipeline.store.catalog import Lineage
from pipeline.store.store import Store

artifacts = typer.Typer(help="Look at what the store keeps.", no_args_is_help=True)
StoreOption = Annotated[str, typer.Option("--store", help="Folder of the store.")]
Ref = Annotated[str, typer.Argument(help="teacher, teacher/v3, a tag, or the start of a fingerprint.")]
STORE = Runtime().store


@artifacts.command("list")
def list_(
    stage: Annotated[str | None, typer.Argument()] = None, store: StoreOption = STORE, as_json: JsonOption = False
) -> None:
    """List artifacts, oldest first."""
    entries = Store(store).list(stage)
    tags: dict[str, list[str]] = {}
    for tag, ref in Store(store).tags().items():
        tags.setdefault(ref, []).append(tag)
    if as_json:
        rows = [{"ref": entry.ref, "path": str(entry.path), "tags": tags.get(entry.ref, [])} for entry in entries]
        typer.echo(json.dumps(rows))
        return
    name = Column("artifact", no_wrap=True)  # to be copied
    table = Table(name, "finished (UTC)", "seconds", "tags", box=None, pad_edge=False)
    for entry in entries:
        timings, names = entry.manifest.timings, " ".join(tags.get(entry.ref, []))
        table.add_row(entry.ref, timings.finished[:19].replace("T", " "), f"{timings.seconds:.1f}", names)
    Console().print(table)


@artifacts.command()
def show(ref: Ref, store: StoreOption = STORE, as_json: JsonOption = False) -> None:
    """Show what an artifact is, how it came about and what it measured."""
    artifact = Store(store).open(ref)
    whole = {"ref": artifact.ref, "path": str(artifact.path), **artifact.manifest.model_dump(mode="json")}
    if as_json:
        typer.echo(json.dumps(whole))
        return
    Console().print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), markup=False, highlight=False)


@artifacts.command()
def verify(
    ref: Annotated[str | None, typer.Argument()] = None, store: StoreOption = STORE, as_json: JsonOption = False
) -> None:
    """Read every byte of an artifact, or of all, and compare it with its manifest; leaves with 5 if one is damaged."""
    keeper = _existing(store)
    checked = [keeper.open(ref)] if ref else keeper.list()
    problems: dict[str, list[str]] = {}
    for line in keeper.verify(*checked):
        problems.setdefault(line.partition(": ")[0], []).append(line)
    if not ref:
        problems |= {str(damage.path): [f"{damage.path}: {damage.reason}"] for damage in keeper.damaged()}
    if as_json:
        typer.echo(json.dumps({"verified": len(checked), "problems": problems}))
    for lines in problems.values():
        for line in lines:
            Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise StoreError(
            f"{len(problems)} damaged: run the configuration again; what is damaged is set aside and rebuilt"
        )
    if not as_json:
        typer.echo(f"{len(checked)} artifacts are as they were sealed")


@artifacts.command()
def lineage(ref: Ref, store: StoreOption = STORE, as_json: JsonOption = False) -> None:
    """Show what an artifact was made from."""
    keeper = Store(store)
    tree = keeper.lineage(keeper.open(ref))
    if as_json:
        typer.echo(json.dumps(_lineage_json(tree)))
    else:
        Console().print(_lineage_tree(tree, Tree(tree.name)))


@artifacts.command()
def diff(a: Ref, b: Ref, store: StoreOption = STORE, as_json: JsonOption = False) -> None:
    """Show what differs between two artifacts."""
    keeper = Store(store)
    differences = vars(keeper.diff(keeper.open(a), keeper.open(b)))
    if as_json:
        typer.echo(json.dumps(differences))
        return
    table = Table("", Column("key", no_wrap=True), a, b, box=None, pad_edge=False)
    for kind, pairs in differences.items():
        for key, (left, right) in pairs.items():
            table.add_row(kind, escape(key), escape(str(left)), escape(str(right)))
    Console().print(table)


@artifacts.command()
def tag(ref: Ref, name: str, store: StoreOption = STORE) -> None:
    """Give an artifact a name; while it has one it is never pruned."""
    typer.echo(f"{name} is {Store(store).tag(ref, name).ref}")


@artifacts.command()
def untag(name: str, store: StoreOption = STORE) -> None:
    """Forget a name."""
    Store(store).untag(name)


@artifacts.command()
def prune(
    keep: Annotated[int, typer.Option(help="Versions of each stage that stay.")] = Retention().keep,
    days: Annotated[
        float, typer.Option(min=0, help="Days that abandoned work, teacher features and damaged artifacts stay.")
    ] = Retention().days,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only listed.")] = False,
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Remove old artifacts that no tag, no living run and no kept artifact needs, and what was left behind."""
    gone = _existing(store).prune(keep, days=days, dry_run=not yes)
    total = sum(entry.size for entry in gone)
    if as_json:
        typer.echo(json.dumps({"removed" if yes else "would_remove": [entry.ref for entry in gone], "bytes": total}))
        return
    for entry in gone:
        typer.echo(f"{'removed' if yes else 'would remove'} {entry.ref} ({size(entry.size, space=' ')})")
    if not gone:
        typer.echo("nothing to remove")
    else:
        written = size(total, space=" ")
        typer.echo(f"{written} freed" if yes else f"{written} would be free; add --yes to remove them")


def _existing(store: str) -> Store:
    """A store that is there: nothing is found in one whose name was mistyped."""
    if not Path(store).is_dir():
        raise StoreError(f"there is no store {store}: name its folder with --store")
    return Store(store)


def _lineage_json(node: Lineage) -> dict[str, Any]:
    return {
        "role": node.role,
        "name": node.name,
        "digest": node.digest,
        "inputs": [_lineage_json(below) for below in node.inputs],
    }


def _lineage_tree(node: Lineage, tree: Tree) -> Tree:
    for below in node.inputs:
        _lineage_tree(below, tree.add(f"{below.role}: {below.name}"))
    return tree
