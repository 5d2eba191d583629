"""Small texts with rules of their own: uuids and labels."""

import re

from daos_control.faults import ControlError

MAX_LABEL_LENGTH = 127

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_BARE_UUID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LABEL = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_LABEL_LENGTH}}}", re.ASCII)


def canonical_uuid(text: str) -> str | None:
    """The uuid in lower case and with dashes; None where `text` is none.

    Forms that are taken: with dashes, as 32 hexadecimal digits, in braces, and with "urn:uuid:" before it.
    """
    plain = text.lower().removeprefix("urn:uuid:")
    if plain.startswith("{") and plain.endswith("}"):
        plain = plain[1:-1]
    if _UUID.fullmatch(plain):
        return plain
    if _BARE_UUID.fullmatch(plain):
        return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"
    return None


def is_label(text: str) -> bool:
    """Whether `text` may be the label of a pool or container: it must not look like a uuid."""
    return bool(_LABEL.fullmatch(text)) and not _UUID.fullmatch(text.lower())


def check_label(text: str) -> None:
    """Raises ControlError with the rules where `text` is no label."""
    if not is_label(text):
        raise ControlError(
            f"invalid label {text!r}: a label has 1 to {MAX_LABEL_LENGTH} characters out of letters, digits, "
            '".", "_", ":" and "-", and does not have the form of a uuid'
        )
