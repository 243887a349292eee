"""Augmenters that can be combined with those of nlpaug."""
