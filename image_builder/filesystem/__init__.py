"""File systems of slots: how they are written, recognised, read without mounting and compared with what they were made of."""
