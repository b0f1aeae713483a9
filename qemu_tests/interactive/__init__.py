"""``bootlab run``: a machine under one's hands, with its console and keys for what may happen to it.

``terminal`` is the person's side, ``controls`` the machine's, ``session`` what keys do in between.
"""
