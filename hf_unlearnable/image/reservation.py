"""What the XMP of an image forbids of data mining: the property `DataMining` of the PLUS standard, and nothing else.

Pictures carry it for tools that look for it: IPTC's Photo Metadata Standard has it since 2023.1. A value is one of a
fixed list, so nothing else of a file's XMP is carried on.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

OPT_OUT = "DMI-PROHIBITED-AIMLTRAINING"
# Whatever forbids some mining, the widest first. The last three point to another property, which is not kept.
PROHIBITIONS = (
    "DMI-PROHIBITED",
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
    OPT_OUT,
    "DMI-PROHIBITED-GENAIMLTRAINING",
    "DMI-PROHIBITED-SEECONSTRAINT",
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR",
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR",
)
_PLUS, _VOCABULARY = "http://ns.useplus.org/ldf/xmp/1.0/", "http://ns.useplus.org/ldf/vocab/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DESCRIPTION, _PROPERTY = f"{{{_RDF}}}Description", f"{{{_PLUS}}}DataMining"
_RESOURCE, _ABOUT, _PROGRAM = f"{{{_RDF}}}resource", f"{{{_RDF}}}about", "{adobe:ns:meta/}xmptk"
# The elements of a packet that says nothing else, with the attributes that they may have.
_KNOWN = {
    "{adobe:ns:meta/}xmpmeta": {_PROGRAM}, f"{{{_RDF}}}RDF": set[str](), _DESCRIPTION: {_ABOUT, _PROPERTY},
    _PROPERTY: {_RESOURCE},
}  # fmt: skip


def packet(code: str) -> bytes:
    """An XMP packet that says what is forbidden.

    Args:
        code: One of `PROHIBITIONS`.
    """
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" xmlns:plus="{_PLUS}">'
        f"<plus:DataMining>{_VOCABULARY}{code}</plus:DataMining>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def reservation(xmp: str | bytes) -> str | None:
    """What a packet forbids, one of `PROHIBITIONS`; None where it forbids nothing, or cannot be read.

    XMP has three ways to write a simple property: as an attribute, as text, and as a resource.

    Args:
        xmp: The packet, in UTF-8 where it is bytes.
    """
    found = []
    for element in _elements(xmp):
        if element.tag == _DESCRIPTION and _PROPERTY in element.attrib:
            found.append(element.attrib[_PROPERTY])
        if element.tag == _PROPERTY:
            found.append(element.get(_RESOURCE) or element.text or "")
    code = found[0].strip().removeprefix(_VOCABULARY) if len(found) == 1 else ""
    return code if code in PROHIBITIONS else None


def reserves_only(xmp: str | bytes) -> bool:
    """Whether a packet says what is forbidden and, but for the program that wrote it, nothing else.

    Args:
        xmp: The packet.
    """
    for element in _elements(xmp):
        said = element.tag == _PROPERTY and _RESOURCE not in element.attrib
        texts = [element.tail, None if said else element.text, element.get(_ABOUT)]
        known = element.tag in _KNOWN and element.attrib.keys() <= _KNOWN[element.tag]
        if not known or any(text and text.strip() for text in texts):
            return False
    return reservation(xmp) is not None


def _elements(xmp: str | bytes) -> list[ElementTree.Element]:
    """The elements of a packet; none where it is no XML, or holds comments or entities of its own."""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    text = re.sub(r"<\?xpacket.*?\?>", "", text, flags=re.DOTALL).strip("\0\ufeff \t\r\n")
    if "<!" in text or "<?" in text:  # a comment may say anything, and entities grow without bound
        return []
    try:
        return list(ElementTree.fromstring(text).iter())
    except ElementTree.ParseError:
        return []
