"""Text in: files and data sets, cleaned, deduplicated, packed into sequences."""
