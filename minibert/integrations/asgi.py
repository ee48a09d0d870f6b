"""An ASGI application (https://asgi.readthedocs.io) whose options are in the environment.

MINIBERT_MODEL=sentence-transformers/all-MiniLM-L6-v2 uvicorn minibert.integrations.asgi:app

The variables are those of `minibert serve`. What the host decides by itself is without effect: the
address, the deadlines of its connections, the time to end. Start at app.
"""

from __future__ import annotations

import os
from dataclasses import replace

from minibert import __version__
from minibert.common.advice import needing

with needing("starlette", "minibert.integrations.asgi", "serve"):
    from minibert.server.hosted import Hosted

from minibert.server.environment import settings_from_environment

__all__ = ["app"]

app = Hosted(replace(settings_from_environment(os.environ), version=__version__))
