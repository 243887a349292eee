"""The machine: its processor, memory and disk, its GPUs, and how fast its matrix products are."""
