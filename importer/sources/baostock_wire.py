"""The messages of the ``baostock`` package, on connections of ours and through the gate.

The package keeps one socket for the whole process, without a time limit; it reads for ever once the server has hung
up, prints, and takes a missing page for the end of the data. So its functions run unmodified inside ``asking()``, and
each message that they send there comes here instead: in a slot of its own, with an end by the wall clock, on a
connection that no other thread uses, and with an error where it would return nothing. Outside of ``asking()`` the
package stays as it is.

A message is a header (version, two-digit type, ten-digit length), a body and a CRC-32 of both, separated by \\x01.
Answers end in ``<![CDATA[]]>`` and a line feed; those with bars are packed with zlib, which has a checksum of its own.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from baostock.common import contants as constants
from baostock.common import context as package_context
from baostock.data.messageheader import to_message_header
from baostock.util import socketutil
from django.utils.translation import gettext_noop

from importer.sources.base import BadData, SourceError, UnknownSymbol
from importer.sources.bounds import Bounds
from importer.sources.gate import StaleConnection, one_request
from importer.sources.gate_signs import banned, too_large, unavailable
from importer.sources.labels import label_of
from importer.sources.tcp import Line, Lines, connect
from marketdata.texts import word

NAME = "baostock"
USER, PASSWORD = "anonymous", "123456"
LARGEST_ANSWER = 32_000_000
# A blacklisted address stays so for hours at least: it is not asked before.
BLACKLIST_REST = 3600.0

_END = b"<![CDATA[]]>\n"
_SEPARATOR = constants.MESSAGE_SPLIT
_HEADER = constants.MESSAGE_HEADER_LENGTH
_HEAD = re.compile(rb"[0-9.]{7}\x01([0-9A-Z]{2})\x01([0-9]{10})")
_UNKNOWN_CODES = frozenset({constants.BSERR_CODE_INVALIED, constants.BSERR_NO_SUPPORT_CODES_MARKET})
_REFUSALS = frozenset({constants.BSERR_LOGIN_COUNT_LIMIT, constants.BSERR_ACCESS_INSUFFICIENCE})

_GARBAGE = gettext_noop("what it sent is no answer in its protocol")
_DAMAGED = gettext_noop("its answer does not fit its checksum")
_MIXED_UP = gettext_noop("it answered another question")
_BLACKLISTED = gettext_noop("this address is on its blacklist (%(code)s)")
_ERROR = gettext_noop("error %(code)s: %(words)s")
_UNREADABLE = gettext_noop(
    "%(source)s sent an answer for %(symbol)s that the package baostock cannot read (%(detail)s); nothing was stored."
)
_UNREADABLE_LIST = gettext_noop("%(source)s: the answer cannot be read (%(detail)s).")

_symbol: ContextVar[str | None] = ContextVar("baostock_symbol", default=None)
_lines = Lines()
_install_lock = threading.Lock()
_own_send_msg = socketutil.send_msg


@contextmanager
def asking(symbol: str = "") -> Iterator[None]:
    """Call functions of the package inside the block, and nothing else; ``symbol`` is whom they are about.

    Raises what the gate raises, UnknownSymbol, or BadData for an answer that the package cannot read.
    """
    _install()
    token = _symbol.set(symbol)
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}"[:200]
        msgid = _UNREADABLE if symbol else _UNREADABLE_LIST
        raise BadData(msgid, source=word(label_of(NAME)), symbol=symbol, detail=detail) from error
    finally:
        _symbol.reset(token)


def close_connections() -> None:
    """Close the connections that this process keeps."""
    _lines.close()


def _install() -> None:
    with _install_lock:
        if socketutil.send_msg is not _send_msg:
            socketutil.send_msg = _send_msg
            # The package's functions ask who is logged in; here each connection logs in by itself.
            package_context.user_id = USER


def _send_msg(message: str) -> str | None:
    """Send what the package has put together, and return the answer in the form that it expects.

    A kept connection that the server has closed meanwhile, or on which it has forgotten the login, is replaced: the
    message is sent again, in a new slot.
    """
    symbol = _symbol.get()
    if symbol is None:
        answer: str | None = _own_send_msg(message)
        return answer
    while True:
        try:
            with _lines.one(_logged_in) as line:
                return _exchange(line, message, symbol)
        except StaleConnection:
            continue


def _logged_in() -> Line:
    """Return a new connection that has logged in: one request."""
    body = _SEPARATOR.join(("login", USER, PASSWORD, "0"))
    head_and_body = to_message_header(constants.MESSAGE_TYPE_LOGIN_REQUEST, len(body)) + body
    message = f"{head_and_body}{_SEPARATOR}{zlib.crc32(head_and_body.encode())}"
    line = _exchange_on_new(message)
    # A server that takes the login and then hangs up refuses.
    line.answered = False
    return line


def _exchange_on_new(message: str) -> Line:
    with one_request(NAME, constants.BAOSTOCK_SERVER_IP, greeting=True) as bounds:
        line = connect(constants.BAOSTOCK_SERVER_IP, constants.BAOSTOCK_SERVER_PORT)
        try:
            _answer(line, message, "", bounds)
        except BaseException:
            line.close()
            raise
    return line


def _exchange(line: Line, message: str, symbol: str) -> str:
    with one_request(NAME, line.host) as bounds:
        return _answer(line, message, symbol, bounds)


def _answer(line: Line, message: str, symbol: str, bounds: Bounds) -> str:
    kept = line.answered
    raw = line.ask(f"{message}\n".encode(), _read_answer, bounds)
    answer = text_of_answer(raw)
    if kept and _fields(answer)[0] == constants.BSERR_NO_LOGIN:
        raise StaleConnection
    method = _fields(message)[0]
    error = error_of_answer(answer, method, symbol)
    if error is not None:
        raise error
    return answer


def _read_answer(line: Line) -> bytes:
    answer = bytearray()
    while not _is_whole(answer):
        answer += line.read_some()
        if len(answer) >= _HEADER and not _HEAD.match(answer):
            raise unavailable(NAME, _GARBAGE)
        if len(answer) > LARGEST_ANSWER:
            raise too_large(NAME, LARGEST_ANSWER)
    return bytes(answer)


def _is_whole(answer: bytearray) -> bool:
    if not answer.endswith(_END):
        return False
    # What is packed may hold the mark of the end by chance.
    length = _packed_length(bytes(answer[:_HEADER]))
    return length is None or len(answer) >= _HEADER + length + len(_END)


def _packed_length(header: bytes) -> int | None:
    """Return how many bytes of zlib follow; None for a plain answer, or for what is no header."""
    parts = _HEAD.match(header)
    if parts is None or parts[1].decode() not in constants.COMPRESSED_MESSAGE_TYPE_TUPLE:
        return None
    return int(parts[2])


def text_of_answer(raw: bytes) -> str:
    """Return a whole answer as the package expects it: unpacked where it is packed.

    Raises SourceUnavailable when it is no answer, or does not fit its checksum: a server or a line that is broken.
    """
    header = raw[:_HEADER]
    if not _HEAD.match(header):
        raise unavailable(NAME, _GARBAGE)
    length = _packed_length(header)
    try:
        if length is not None:
            return header.decode() + _unpacked(raw[_HEADER : _HEADER + length])
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise unavailable(NAME, _GARBAGE) from error
    signed, _, crc = text.removesuffix(_END.decode()).rpartition(_SEPARATOR)
    # Over what exactly an answer with Chinese names is summed is not known.
    if signed.isascii() and crc.isdigit() and zlib.crc32(signed.encode()) != int(crc):
        raise unavailable(NAME, _DAMAGED)
    return text


def _unpacked(packed: bytes) -> str:
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(packed, LARGEST_ANSWER)
    except zlib.error as error:
        raise unavailable(NAME, _DAMAGED) from error
    if not unpacking.eof:
        raise unavailable(NAME, _DAMAGED)
    return body.decode()


def error_of_answer(answer: str, method: str, symbol: str) -> SourceError | None:
    """Return what the error code of an answer means; None for one that carries data for ``method``."""
    fields = _fields(answer)
    code, words = fields[0], fields[1] if len(fields) > 1 else ""
    if code == constants.BSERR_SUCCESS:
        if len(fields) > 2 and fields[2] == method:
            return None
        return unavailable(NAME, _MIXED_UP)
    if code in _UNKNOWN_CODES:
        return UnknownSymbol(source=word(label_of(NAME)), symbol=symbol)
    if code == constants.BSERR_BLACKLIST_USER:
        return banned(NAME, _BLACKLISTED, code=code, retry_after=BLACKLIST_REST)
    if code in _REFUSALS:
        return banned(NAME, _ERROR, code=code, words=words)
    return unavailable(NAME, _ERROR, code=code, words=words)


def _fields(message: str) -> list[str]:
    return message[_HEADER:].split(_SEPARATOR)
