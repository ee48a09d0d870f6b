"""Models over HTTP: one port, the dialects that clients of other servers already speak.

Needs the extra "serve". A request goes down this list, and its answer comes back:

- `settings`, `state`: the options of a server, and all that its requests share
- `app`: what every request goes through, on its way to a route
- `call`, `facts`, `route`, `dialect`, `refusals`: a request, the rows and errors of a dialect
- `reading`, `fields`: the body of a request, and its keys
- `openai`, `tei`, `tei_tokens`, `ollama`, `rerank`, `own`: the handlers of each dialect
- `page`, `documentation`: pages for people, and openapi.json
- `opening`, `served`: the models, by their names, and the corpus
- `core`, `long_texts`: texts -> tokens, counted and admitted, and what becomes of them
- `queue`, `worker`, `computing`: tokens -> results, by one thread that computes
- `answers`: results -> JSON

And for its operation:

- `serving`, `process`, `workers`: a server of one process, or of several that share its sockets
- `listening`, `connection`, `signals`: its sockets, connections with deadlines, and its end
- `environment`, `hosted`: options from the environment, and an application for other hosts
- `log`, `metrics`, `notes`, `health`: what it tells, and the routes for it
"""
