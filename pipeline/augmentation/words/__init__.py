"""Words of a text: where they begin and end, how they are written, which are protected."""
