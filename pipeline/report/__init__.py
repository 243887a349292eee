"""The report, one self-contained HTML file, and the model cards of the students."""
