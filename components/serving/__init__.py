"""The server: champions over the Open Inference Protocol (KServe V2), followed live.

Three kinds of process, each with one job:

``supervisor``  listens, starts the others, starts them again when they die, hands on SIGTERM
``follower``    polls the registry (the only importer of MLflow), brings bundles here and verifies them, and writes
                what is to be served to a state file (``state``); it stands beside the hot path, never on it
``worker``      follows that file and answers requests; one or several on the same socket

With a port for it a worker listens for gRPC, too: the package ``grpc``, which goes the same way from the repository on.
Both share admission, counters and log (``data_plane``), and the reasons why a request is not answered
(``request_error``); what a reason is called on the wire stands in ``http/errors.py`` and ``grpc/errors.py``.

Inside a worker a request goes ``connection`` (HTTP) -> ``application`` -> ``routing`` -> a module of routes ->
``repository`` (which version of the model is served) -> ``batching`` (one queue per version) -> ONNX Runtime, in the
event loop if that is quick and in a thread of the ``pool`` if not.

Adding routes. A module of routes has a function ``routes(service: Service) -> list[Route]``; add it to ``ROUTES`` in
``components/serving/application.py``. A handler is ``async def handler(request: Request) -> Response``
(``messages.py``), told of path parameters in ``request.parameters``; it raises ``RequestError(reason, message)`` for
what is the client's mistake. ``service`` (``service.py``) holds all that routes need:
``service.repository.get(name)`` gives the ``ServedVersion`` whose ``await served.infer({"image": array})``
answers batched, within limits and deadlines, and whose ``served.bundle`` knows task, classes and how to bring
a picture to the input. What blocks (decoding an image) goes through ``await service.aside(function,
*arguments)``, which runs it off the event loop.
"""
