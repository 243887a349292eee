"""What ``tinybert export``, ``predict`` and ``serve`` do, once the command line has been read."""
