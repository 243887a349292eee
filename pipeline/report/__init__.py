"""The report: one self-contained HTML file, and the card beside the student."""
