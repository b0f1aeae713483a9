"""The story of a machine that updates itself from a web server."""
