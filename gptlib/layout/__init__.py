"""The bytes of a GPT, one file per structure.

``header``, ``entry`` and ``mbr`` declare them with construct, in the order of the tables of UEFI 2.10 chapter 5. Importing
construct takes longer than the whole boot path, so ``compiled`` holds what the code that runs needs of them: struct formats, sizes, records with UEFI's field
names, and the bytes of each field. It is generated from the declarations (``python -m gptlib.layout.generate``), and a test
compares both on arbitrary bytes. No other module has a name, a format or an offset of its own; a test looks for them.
"""
