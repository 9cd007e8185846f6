"""DNS without sockets: messages, a stub resolver's lookup, the system's configuration, and answers."""

from mungos.dns.answers import Zone, address_record, alias_record, respond
from mungos.dns.cache import Cache, CachedAnswer
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.events import (
    CloseExchange,
    Event,
    Failed,
    Found,
    NameNotFound,
    OpenStream,
    Resolved,
    SendDatagram,
    ServerFailed,
)
from mungos.dns.hosts import Hosts, parse_hosts
from mungos.dns.lookup import Family, Lookup
from mungos.dns.messages import (
    Address,
    Edns,
    Header,
    Message,
    Question,
    Rcode,
    Record,
    RecordType,
    StartOfAuthority,
    Target,
    decode,
    decode_head,
    encode,
)
from mungos.dns.names import Name, check_host, name_from_text, name_to_text
from mungos.dns.resolv_conf import parse_resolv_conf
from mungos.dns.system import SystemFiles, load, system_configuration

__all__ = [
    "Address",
    "Cache",
    "CachedAnswer",
    "CloseExchange",
    "Edns",
    "Event",
    "Failed",
    "Family",
    "Found",
    "Header",
    "Hosts",
    "Lookup",
    "Message",
    "Name",
    "NameNotFound",
    "OpenStream",
    "Question",
    "Rcode",
    "Record",
    "RecordType",
    "Resolved",
    "ResolverConfig",
    "SendDatagram",
    "ServerAddress",
    "ServerFailed",
    "StartOfAuthority",
    "SystemFiles",
    "Target",
    "Zone",
    "address_record",
    "alias_record",
    "check_host",
    "decode",
    "decode_head",
    "encode",
    "load",
    "name_from_text",
    "name_to_text",
    "parse_hosts",
    "parse_resolv_conf",
    "respond",
    "system_configuration",
]
