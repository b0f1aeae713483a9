"""What is written by one program and read by another: each format, and each place in a slot, is declared here and nowhere else.

| module | what | who writes it | who reads it |
| --- | --- | --- | --- |
| ``filesystem`` | what file system a slot holds, and where it ends | mkfs | the builder, the selector |
| ``seal`` | the seal behind a slot's file system | the builder | the selector |
| ``decision`` | which slot was booted, and why | the selector | the running system: ``bootselect``, its units, scripts |
| ``update`` | ``update.json``, the description of an update | the builder | ``updatectl`` |
| ``slot_files`` | where a slot keeps its kernel, its os-release, its init | the builder | the selector |
"""
