"""Image definitions: a TOML file, read strictly into values."""
