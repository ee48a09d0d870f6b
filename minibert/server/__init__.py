"""Models over HTTP: one port, the dialects that clients of other servers already speak.

A request goes from `connection.py` (uvicorn) to `app.py`, to the handler of a dialect, to `core.py`
and its queue, to the one worker, and back as the dialect's JSON. Needs the extra "serve".
"""
