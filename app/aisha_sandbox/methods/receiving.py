"""How the bot receives: getUpdates, webhooks and getFile."""

from aisha_sandbox.answers import ApiError, bad_request
from aisha_sandbox.core import Core
from aisha_sandbox.methods.registry import method
from aisha_sandbox.params import Params
from aisha_sandbox.state import Json

LONGEST_POLL_SECONDS = 50
LARGEST_CERTIFICATE = 3 * 1024 * 1024


@method
async def get_updates(core: Core, params: Params) -> list[Json]:
    """Return updates, waiting for the first: https://core.telegram.org/bots/api#getupdates."""
    core.updates.allow(params.json("allowed_updates"))
    limit = params.number("limit", 100)
    seconds = min(max(params.number("timeout"), 0), LONGEST_POLL_SECONDS)
    return await core.updates.get(params.number("offset"), min(max(limit, 1), 100), seconds, params.connected)


@method
async def set_webhook(core: Core, params: Params) -> bool:
    """Set where updates are posted; plain HTTP is fine here, as everything stays on this machine."""
    url = params.text("url") or ""
    if not url:
        return bool(await delete_webhook(core, params))
    connections = min(max(params.number("max_connections", 40), 1), 100)
    core.webhook.set(
        url, params.text("secret_token"), connections, params.text("ip_address"), _certificate(params)
    )
    core.updates.allow(params.json("allowed_updates"))
    if params.flag("drop_pending_updates"):
        core.updates.drop()
    core.updates.interrupt(ApiError(409, "Conflict: terminated by setWebhook request"))
    return True


def _certificate(params: Params) -> str | None:
    upload = params.upload("certificate", params.text("certificate"))
    if upload is None:
        return None
    if upload.size > LARGEST_CERTIFICATE:
        raise bad_request(f"certificate size is too big ({upload.size} bytes)")
    return upload.path.read_text("ascii", "ignore")


@method
async def delete_webhook(core: Core, params: Params) -> bool:
    """Go back to getUpdates."""
    core.webhook.remove()
    if params.flag("drop_pending_updates"):
        core.updates.drop()
    return True


@method
async def get_webhook_info(core: Core, params: Params) -> Json:
    """Return where updates are posted, how many wait, and the last failure."""
    return core.webhook.info()


@method
async def get_file(core: Core, params: Params) -> Json:
    """Return where a file can be downloaded."""
    return core.files.get(params.text("file_id"), core.download_limit, local=core.local)
