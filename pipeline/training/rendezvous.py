"""How the processes of a team find each other and part: torch's share of it."""

import time
from datetime import timedelta
from secrets import token_hex

import torch
from torch.distributed.distributed_c10d import (
    PrefixStore,
    Store,
    destroy_process_group,
    init_process_group,
    is_initialized,
)
from torch.distributed.rendezvous import rendezvous

POLL_SECONDS = 0.05
# For a gradient that does not come: the launcher sees a process that died, a machine that vanished only this.
COLLECTIVE_TIMEOUT = timedelta(minutes=30)


def join_processes() -> tuple[int, int, Store]:
    """Meet the other processes and set up what gradients are exchanged through; waits until all are there.

    Collectives go through NCCL between GPUs and through Gloo between CPUs; Accelerate finds them set up.

    Returns:
        Rank of this process, number of processes, and the store for the words of their leader.
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, size = next(rendezvous("env://"))
    own = PrefixStore(meet(store, rank, size), store)
    init_process_group(
        backend,
        store=PrefixStore("collectives", own),
        rank=rank,
        world_size=size,
        timeout=COLLECTIVE_TIMEOUT,
    )
    return rank, size, PrefixStore("words", own)


def leave_processes() -> None:
    """Take down what gradients were exchanged through."""
    if is_initialized():
        destroy_process_group()  # its threads, if they outlive the interpreter, end the process with an abort


def meet(store: Store, rank: int, size: int) -> str:
    """Wait for all processes; a name for this meeting that no earlier one had.

    When torchrun starts everybody again, after a death or with another number of machines, its store still
    holds what the earlier processes left there: their words, and the addresses they could be reached at.
    So each follower asks under a name nobody used before, and the leader answers whoever asks.
    """
    name = token_hex(8)
    if rank > 0:
        store.set(f"hello-{rank}", name)
        while not store.check([f"welcome-{name}"]):
            time.sleep(POLL_SECONDS)
        meeting = store.get(f"welcome-{name}").decode()
        store.set(f"{meeting}-{rank}", "here")
        return meeting
    missing = set(range(1, size))
    while missing:
        for other in missing.copy():
            if store.check([f"hello-{other}"]):
                store.set(f"welcome-{store.get(f'hello-{other}').decode()}", name)
            if store.check([f"{name}-{other}"]):
                missing.discard(other)
        time.sleep(POLL_SECONDS)
    return name
