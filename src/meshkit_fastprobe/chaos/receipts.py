"""The receipt of a run: what was confirmed, by whom, what it did, that it was undone. Signed, so that it verifies elsewhere.

The key is that of the audit's checkpoints: who trusts one trusts the other. The content names the plan by its own bytes, so
the plan id, and with it what was confirmed, can be computed again from the receipt alone.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from meshkit_fastprobe.chaos.run import Run

DOMAIN: Final = b"meshkit-fastprobe chaos receipt\0"
"""Before what is signed: a signature of the audit is never one of a receipt."""


class Receipt(msgspec.Struct, frozen=True):
    content: bytes
    signature: bytes
    public_key: bytes


def sign(run: Run, key: Ed25519PrivateKey) -> Receipt:
    content = msgspec.json.encode({"planId": run.plan.id, "run": run}, order="sorted")
    return Receipt(content, key.sign(DOMAIN + content), key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def verify(receipt: Receipt, public_key: bytes) -> str | None:
    """Why it does not hold; None when it does. public_key: known from elsewhere, not from the receipt."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(receipt.signature, DOMAIN + receipt.content)
        content: dict[str, Any] = msgspec.json.decode(receipt.content)
        run = msgspec.convert(content["run"], Run)
    except (InvalidSignature, ValueError):
        return "the signature is not of this content and this key"
    except (KeyError, TypeError, msgspec.MsgspecError):
        return "it is signed, but no receipt of this version"
    return None if run.plan.id == content.get("planId") else "the plan is not the one that was confirmed"
