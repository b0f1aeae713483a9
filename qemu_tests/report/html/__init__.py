"""The report as one HTML file: ``page`` puts together what ``timeline``, ``machines`` and ``heatmap`` draw.

Everything goes through ``markup``, which makes text harmless; style and script stand in ``assets`` and are inlined. The page asks
for nothing from anywhere, and a content security policy that knows style and script by their hashes forbids it to.
"""
