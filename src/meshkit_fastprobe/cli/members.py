"""The fleet as one host knows it: itself and its `[server] peers`, to be asked as if they had been named.

What a host tells decides where a token goes. So it is sent over TLS, or within this machine when that is where it went before;
and one that a host made for itself goes to no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from meshkit_fastprobe.cli.contexts import urls
from meshkit_fastprobe.cli.exits import CliError, Exit
from meshkit_fastprobe.config.addresses import is_loopback

if TYPE_CHECKING:
    from meshkit_fastprobe.cli.client import Answer, Client

PATH: Final = "/fleet/hosts"
MAX_TRIED: Final = 8
"""Hosts asked one after the other until one answers: each that is silent costs its timeout."""
HOW_TO_NAME: Final = '[server] peers = ["https://HOST:PORT"] in its configuration'


def all_known(client: Client, token: str | None) -> list[str]:
    """URLs of all hosts that the first to answer knows, itself first. CliError when it is alone, or may not be followed."""
    answer = first_told(client, ask=False)  # whoever halts does not wait for those that are silent
    members = members_of(answer)
    if len(members) == 1:
        raise CliError(f"{answer.host} knows no other hosts", f"name them with {HOW_TO_NAME}; or leave --fleet out")
    if token is not None and is_local(token):
        what = f"{answer.host} knows {len(members) - 1} other hosts, and a local token is good on its own host alone"
        raise CliError(what, "come with a token of your issuer: --token-file or FASTPROBE_TOKEN", Exit.REFUSED)
    for member in members:
        if not may_follow(member["url"], answer.url):
            what = f"{answer.host} tells of {member['url']!r}: nobody was asked, for a token would travel there in the clear"
            raise CliError(what, f"name https://HOST:PORT in [server] peers of {answer.host}", Exit.REFUSED)
    return urls([member["url"] for member in members], f"what {answer.host} tells of")


def first_told(client: Client, *, ask: bool) -> Answer:
    """What the first host that answers tells of; ask: and has asked them. CliError when it refuses, or none does."""
    params = [] if ask else [("ask", "false")]
    tried: list[Answer] = []
    for url in client.hosts[:MAX_TRIED]:
        tried.append(client.one(url, "GET", PATH, params))
        if tried[-1].code is not Exit.UNREACHABLE:
            break
    last = tried[-1]
    if last.envelope is None:
        before = f"none of {len(tried)} hosts answers; {last.url}: " if len(tried) > 1 else ""
        raise CliError(f"{before}{last.problem}", last.next_step, last.code)
    return last


def members_of(answer: Answer) -> list[dict[str, Any]]:
    """The hosts that are told of, each with its URL: the one that tells is where it was asked."""
    assert answer.envelope is not None, "whoever did not answer has ended the command"
    items: list[dict[str, Any]] = answer.envelope["items"]
    return [{**item, "url": answer.url if item.get("here") else str(item.get("url", ""))} for item in items]


def is_local(token: str) -> bool:
    """What issuers sign has dots between its parts; what a host makes for itself has none."""
    return "." not in token


def may_follow(url: str, teller: str) -> bool:
    """Whether to ask a host that another tells of: loopback is another machine's own when the teller is elsewhere."""
    try:
        told, asked = urlsplit(url), urlsplit(teller)
    except ValueError:
        return False
    within = is_loopback(told.hostname or "") and is_loopback(asked.hostname or "")
    return told.scheme == "https" or (told.scheme == "http" and (within or url == teller))
