"""What fills a partition: one file for each kind, which owns its section of the definition, its tools, its checks and its bytes."""
