"""What an operator sets: files of CoreOS, our own, cloud-config and environment, read strictly into one value with provenance."""
