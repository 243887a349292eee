"""What one machine needs beside a run: Prefect's server, one worker, and the store's reports over HTTP."""
