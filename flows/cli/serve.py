"""``darkroom serve`` and ``serve-token``: the champions over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.errors import UserError
from flows.workspace.project import CALLED_FROM

if TYPE_CHECKING:
    from components.serving.settings import CanarySettings, LogSettings, ModelSettings

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]

TOKENS = Path(".darkroom/tokens.json")


def add_to(app: typer.Typer) -> None:
    """Mount the commands on ``app``."""
    app.command()(serve)
    app.command("serve-token")(serve_token)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8080,
    grpc_port: Annotated[
        int | None,
        typer.Option(help="Port of gRPC, which is off without it; 0 takes a free one.", min=0, max=65535),
    ] = None,
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER: serve this bundle instead of the registry's champions; may be repeated."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    allow_cpu: Annotated[
        bool, typer.Option(help="Compute on the CPU when --device cuda finds no GPU.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes that answer requests.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads of each model.")] = 1,
    poll: Annotated[float, typer.Option(help="Seconds between looks at the registry.")] = 2.0,
    follow: Annotated[
        str,
        typer.Option(
            help="aliases, or ledger: a champion whose alias was moved by hand, past the gate, is refused."
        ),
    ] = "aliases",
    grace: Annotated[
        float, typer.Option(help="Seconds after SIGTERM in which open requests are answered.")
    ] = 20.0,
    request_timeout: Annotated[
        float, typer.Option(help="Seconds in which a request has to arrive whole; then it gets 408.")
    ] = 30.0,
    tokens: Annotated[str, typer.Option(help="File of bearer tokens, made by darkroom serve-token.")] = "",
    webhook_secret: Annotated[
        str,
        typer.Option(
            help="File with the secret of MLflow's webhooks; each makes the server look at the registry at once."
        ),
    ] = "",
    shadow: Annotated[
        float, typer.Option(help="Share of requests that the challenger answers too, unseen by the client.")
    ] = 0.0,
    access_log: Annotated[bool, typer.Option(help="Log every request.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the champions, and follow the registry. Logs go to standard error, as JSON unless that is a terminal."""
    from components.serving import supervisor
    from components.serving.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        grpc_port=grpc_port,
        bundles=_bundles(bundle or []),
        device=device,
        allow_cpu=allow_cpu,
        workers=workers,
        threads=threads,
        poll_s=poll,
        follow=follow,
        grace_s=grace,
        request_s=request_timeout,
        tokens=str(CALLED_FROM / tokens) if tokens else "",
        webhook_secret=str(CALLED_FROM / webhook_secret) if webhook_secret else "",
        shadow=shadow,
        prediction_log=_prediction_log(),
        alerts=_alerts(),
        access_log=access_log,
        canaries=_canaries(),
        models=_bounds(),
    )

    def announce(told: Mapping[str, Any]) -> None:
        if as_json:
            print(json.dumps(told), flush=True)
        else:
            many = "1 model" if told["models"] == 1 else f"{told['models']} models"
            beside = f", and gRPC on port {told['grpc_port']}" if "grpc_port" in told else ""
            host = f"[{told['host']}]" if ":" in told["host"] else told["host"]
            print(f"{many}{beside}; Ctrl+C ends it\nhttp://{host}:{told['port']}", flush=True)

    raise typer.Exit(supervisor.run(settings, announce))


def serve_token(
    name: Annotated[str, typer.Argument(help="Who it is for.")],
    admin: Annotated[bool, typer.Option(help="Also allow loading and unloading models.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="File of hashed tokens; .darkroom/tokens.json of the project by default."),
    ] = None,
) -> None:
    """Make a bearer token for darkroom serve --tokens and print it once. Only its hash is kept."""
    from components.serving.http import tokens

    typer.echo(tokens.make(CALLED_FROM / file if file else TOKENS, name, "admin" if admin else "read"))


def _bounds() -> dict[str, ModelSettings]:
    """Return the bounds of ``serve:`` in ``params.yaml``."""
    from components.project import params
    from components.serving.settings import ModelSettings

    return {
        name: ModelSettings(**bounds.model_dump(exclude_none=True))
        for name, bounds in params.load_serve().items()
    }


def _prediction_log() -> dict[str, LogSettings]:
    """Return ``prediction_log:`` of ``params.yaml``."""
    from components.project import params
    from components.serving.settings import LogSettings

    return {name: LogSettings(**policy.model_dump()) for name, policy in params.load_prediction_log().items()}


def _alerts() -> bool:
    """Say whether ``params.yaml`` has receivers of alerts.

    Raises:
        UserError: one of them cannot be sent to: a variable of the environment is missing.
    """
    from components.project import params

    policy = params.load_alerts()
    if not policy.to:
        return False
    from components.alerts import addresses

    if found := list(addresses.mistakes(policy)):
        raise UserError("\n".join(found))
    return True


def _canaries() -> dict[str, CanarySettings]:
    """Return the canaries of ``gate:`` in ``params.yaml``."""
    from components.project import params
    from components.serving.settings import CanarySettings

    return {name: CanarySettings(**asked.model_dump()) for name, asked in params.load_canaries().items()}


def _bundles(given: list[str]) -> dict[str, str]:
    bundles = {}
    for text in given:
        name, _, folder = text.partition("=")
        if not name or not folder:
            raise UserError(f"--bundle {text}: give NAME=FOLDER.")
        bundles[name] = str(CALLED_FROM / folder)
    return bundles
