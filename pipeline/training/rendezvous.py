"""Connect the processes of a team through torch.distributed, and disconnect them."""

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
    """Wait for all processes and initialise the process group that exchanges gradients.

    Collective operations use NCCL between GPUs and Gloo between CPUs; Accelerate uses the group it finds.

    Returns:
        Rank of this process, number of processes, and the key-value store for the leader's messages.
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
    """Destroy the process group, if there is one."""
    if is_initialized():
        destroy_process_group()  # its threads, if they outlive the interpreter, end the process with an abort


def meet(store: Store, rank: int, size: int) -> str:
    """Wait for all processes and agree on a new prefix for the keys of this start.

    When torchrun starts the processes again, after one died or with another number of machines, its store still
    holds the messages and addresses of the earlier processes. So each follower registers under a random name, and the
    leader answers every name it sees.

    Args:
        store: key-value store of the launcher.
        rank: number of this process.
        size: number of processes.

    Returns:
        The prefix, the same on all processes and different from that of every earlier start.
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
