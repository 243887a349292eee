"""Prefect flows that read like the paper, and the command line in front of them."""
