"""The fixed parts of a workbook that we write, and the notes at its cells."""

import re
from html import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

# The numbers of the styles below.
HEADER, DATE, MOMENT, QUOTED, BAD, BAD_QUOTED = 1, 2, 3, 4, 5, 6

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


def xml_text(text: str) -> str:
    """A text as XML holds it; what XML cannot hold is written as _x000D_, as Excel has it."""
    if _NOT_IN_XML.search(text):
        text = _NOT_IN_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def sheet_name(name: str) -> str:
    """A name that a sheet may have."""
    return _NOT_IN_NAMES.sub("_", name)[:31].strip("'") or "Sheet1"


def fixed_parts(name: str, *, has_notes: bool) -> dict[str, str]:
    """All parts but the sheet and its notes, by path."""
    types = {
        "xl/workbook.xml": f"{_TYPE}.sheet.main+xml",
        "xl/worksheets/sheet1.xml": f"{_TYPE}.worksheet+xml",
        "xl/styles.xml": f"{_TYPE}.styles+xml",
    }
    if has_notes:
        types["xl/comments1.xml"] = f"{_TYPE}.comments+xml"
    overrides = "".join(
        f'<Override PartName="/{path}" ContentType="{kind}"/>' for path, kind in types.items()
    )
    parts = {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="vml" '
        'ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>',
        "_rels/.rels": _relations(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>'
        f'<sheet name="{escape(xml_text(sheet_name(name)), quote=True)}" sheetId="1" r:id="rId1"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            ("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml")
        ),
        "xl/styles.xml": _styles(),
    }
    if has_notes:
        parts["xl/worksheets/_rels/sheet1.xml.rels"] = _relations(
            ("vmlDrawing", "../drawings/notes1.vml"), ("comments", "../comments1.xml")
        )
    return parts


def _relations(*targets: tuple[str, str]) -> str:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_LINKS}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>'


def _styles() -> str:
    plain = 'fontId="0" fillId="0" borderId="0" xfId="0"'
    return (
        f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="2">'
        '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
        '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
        '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="3"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill><fill><patternFill patternType="solid">'
        '<fgColor rgb="FFFFC7CE"/><bgColor indexed="64"/></patternFill></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        f'<cellStyleXfs count="1"><xf numFmtId="0" {plain[:-9]}/></cellStyleXfs>'
        f'<cellXfs count="7"><xf numFmtId="0" {plain}/>'
        '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        f'<xf numFmtId="164" {plain} applyNumberFormat="1"/>'
        f'<xf numFmtId="165" {plain} applyNumberFormat="1"/>'
        f'<xf numFmtId="0" {plain} quotePrefix="1"/>'
        '<xf numFmtId="0" fontId="0" fillId="2" borderId="0" xfId="0" applyFill="1"/>'
        '<xf numFmtId="0" fontId="0" fillId="2" borderId="0" xfId="0" quotePrefix="1" '
        'applyFill="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        "</styleSheet>"
    )


SHEET_START = f'{_HEAD}<worksheet xmlns="{_MAIN}" xmlns:r="{_LINKS}">'


class Notes:
    """The notes at cells, up to so many that a spreadsheet still opens."""

    most = 10_000

    def __init__(self) -> None:
        self._notes: list[tuple[str, int, int, str]] = []

    def add(self, place: str, row: int, column: int, text: str) -> None:
        """A note at a cell, given by its name and, from 0, its row and column."""
        if len(self._notes) < self.most:
            self._notes.append((place, row, column, text[:2000]))

    def parts(self) -> dict[str, str]:
        """The two parts that hold them, by path."""
        comments = "".join(
            f'<comment ref="{place}" authorId="0"><text><t xml:space="preserve">{xml_text(text)}'
            "</t></text></comment>"
            for place, _, _, text in self._notes
        )
        shapes = "".join(
            f'<v:shape id="_x0000_s{1025 + n}" type="#_x0000_t202" style="position:absolute;'
            'width:240pt;height:60pt;visibility:hidden" fillcolor="#ffffe1" o:insetmode="auto">'
            '<v:fill color2="#ffffe1"/><v:textbox/><x:ClientData ObjectType="Note">'
            "<x:MoveWithCells/><x:SizeWithCells/><x:AutoFill>False</x:AutoFill>"
            f"<x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"
            for n, (_, row, column, _) in enumerate(self._notes)
        )
        return {
            "xl/comments1.xml": f'{_HEAD}<comments xmlns="{_MAIN}"><authors><author/></authors>'
            f"<commentList>{comments}</commentList></comments>",
            "xl/drawings/notes1.vml": '<xml xmlns:v="urn:schemas-microsoft-com:vml" '
            'xmlns:o="urn:schemas-microsoft-com:office:office" '
            'xmlns:x="urn:schemas-microsoft-com:office:excel">'
            '<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" '
            'path="m,l,21600r21600,l21600,xe"><v:stroke joinstyle="miter"/>'
            f'<v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>{shapes}</xml>',
        }
