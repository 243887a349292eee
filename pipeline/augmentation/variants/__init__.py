"""Variants of rows: drawn, written in shards, and their quality."""
