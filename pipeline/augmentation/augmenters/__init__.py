"""Augmenters that stand in a flow beside those of nlpaug."""
