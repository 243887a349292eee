"""A bundle behind HTTP: requests wait together for a moment, are answered in one pass, and never pile up."""
