"""Prefect tasks: run a stage, show its progress, publish what came of it."""
