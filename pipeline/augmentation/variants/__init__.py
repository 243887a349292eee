"""Variants of rows: drawn, written in shards, and judged."""
