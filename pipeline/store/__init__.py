"""Versioned, sealed folders on disk, and the fingerprints that say which of them must be built."""
