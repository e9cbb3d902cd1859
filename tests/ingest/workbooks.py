"""Workbooks made by hand, part by part: what libraries would never write."""

import io
import zipfile

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def sheet(rows: str) -> str:
    """A sheet around its rows."""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def parts(rows: str = "", **more: str) -> dict[str, str]:
    """The parts of a workbook of one sheet; `more` as strings, styles or head (of the workbook)."""
    links = [("worksheet", "worksheets/sheet1.xml")]
    made = {
        "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}">{more.get("head", "")}'
        '<sheets><sheet name="One" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": sheet(rows),
    }
    if "strings" in more:
        made["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{more["strings"]}</sst>'
        links.append(("sharedStrings", "sharedStrings.xml"))
    if "styles" in more:
        made["xl/styles.xml"] = f'<styleSheet xmlns="{MAIN}">{more["styles"]}</styleSheet>'
        links.append(("styles", "styles.xml"))
    made["xl/_rels/workbook.xml.rels"] = relations(*links)
    return made


def relations(*targets: tuple[str, str]) -> str:
    """A part that says where others are."""
    return (
        f'<Relationships xmlns="{RELATIONS}">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{LINKS}/{kind}" Target="{target}"/>'
            for n, (kind, target) in enumerate(targets, 1)
        )
        + "</Relationships>"
    )


def packed(made: dict[str, str] | dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The parts as a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as target:
        for path, text in made.items():
            target.writestr(path, text)
    return out.getvalue()


def cells(*texts: str) -> str:
    """A row of texts that are written in the cells themselves."""
    return "<row>" + "".join(f'<c t="inlineStr"><is><t>{t}</t></is></c>' for t in texts) + "</row>"
