"""The bytes of a GPT, one file per structure.

``header``, ``entry`` and ``mbr`` declare them with construct, in the order of the tables of UEFI 2.10 chapter 5. Importing
construct takes longer than the whole boot path, so ``compiled`` holds the same layouts as struct formats; it is generated
from the declarations (``python -m gptlib.layout.generate``), and a test compares both on arbitrary bytes.
"""
