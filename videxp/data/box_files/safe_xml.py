"""XML of strangers: elements, attributes and text alone. A document type, in which entities are declared that grow
without end or name files, is refused before it is read.
"""

from pathlib import Path
from typing import cast
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from videxp.core.errors import BadRequest

DEEPEST = 50


class XmlElement(Element):
    line: int = 0

    def all_below(self, path: str) -> list["XmlElement"]:
        return cast("list[XmlElement]", self.findall(path))

    def read(self, path: str) -> str:
        """The text of the first element there; "" where there is none."""
        found = self.all_below(path)
        return (found[0].text or "").strip() if found else ""


def read_xml(file: Path) -> XmlElement:
    """The root, each element with its line. Raises BadRequest, with the line, for what is no XML or too deep, and for a
    document type."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def make(tag: str, attributes: dict[str, str]) -> XmlElement:
        element = XmlElement(tag, attributes)
        element.line = parser.CurrentLineNumber
        return element

    builder = TreeBuilder(element_factory=make)
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise BadRequest(f"{file}, line {parser.CurrentLineNumber}: elements within {DEEPEST} others")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise BadRequest(f"{file}, line {parser.CurrentLineNumber}: a document type, which annotations have no use for "
                         "and which may hold entities: remove <!DOCTYPE ...>")  # fmt: skip

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        with file.open("rb") as opened:
            parser.ParseFile(opened)
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror or type(error).__name__}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadRequest(f"{file}: no XML: {error}") from None
    root = builder.close()
    assert isinstance(root, XmlElement)
    return root
