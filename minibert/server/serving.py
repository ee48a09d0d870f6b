"""Server of a command, in one process or several, from its sockets to its end. Start at serve."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from minibert.server.listening import address_of, listening, open_to_others
from minibert.server.log import Log
from minibert.server.metrics import Metrics
from minibert.server.notes import descriptions
from minibert.server.process import Server
from minibert.server.signals import ENDING_SIGNALS, heeding

if TYPE_CHECKING:
    from minibert.server.served import ServedModels
    from minibert.server.settings import Settings

__all__ = ["serve"]


def serve(settings: Settings) -> None:
    """Serve until a signal ends it: SIGTERM, SIGINT or SIGHUP.

    Raises ListenError if nothing can listen at the address, and the errors of open_all.
    """
    log = Log(settings.log)
    if settings.log == "json":
        log.take_warnings(logging.getLogger().level)
    log.say_warnings(settings.warnings)
    with listening(settings) as sockets:
        for one in sockets:
            address = address_of(one)
            log.say("listening", f"listening on {address}", address=address)
        if not settings.api_keys:
            log.say_warnings(open_to_others(sockets))
        if settings.workers > 1:
            from minibert.server.workers import Workers

            Workers(settings, sockets, log).run()
            return

        def on_ready(models: ServedModels) -> None:
            log.say_ready(descriptions(models, settings))

        server = Server(settings, sockets, log, Metrics(), on_ready)
        with heeding(ENDING_SIGNALS, server.stop):
            server.run()
