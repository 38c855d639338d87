"""Why a file of a package is refused as a whole: code, what it means and what to do, in Chinese and English."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from issuance.errors import Refused

REFUSALS: dict[str, tuple[str, str]] = {
    "FILE_UNREADABLE": ("文件无法打开，请检查路径和权限。", "The file cannot be opened: check path and permissions."),
    "FILE_EMPTY": ("文件为空，请重新导出。", "The file is empty: export it again."),
    "NO_ROWS": ("文件只有表头、没有数据行，请重新导出。", "The file has a header and no rows: export it again."),
    "NOT_TEXT": (
        "文件不是 CSV、Excel 或 Parquet，请另存为 CSV UTF-8。",
        "No CSV, Excel or Parquet: save it as CSV UTF-8.",
    ),
    "EXCEL_BROKEN": (
        "不是完整的 Excel 工作簿：可能已损坏、有密码，或是其他文件改名而来；ZIP 压缩包请先解压。",
        "No whole Excel workbook: damaged, protected by a password, or another file renamed; unpack a ZIP first.",
    ),
    "EXCEL_TOO_LARGE": (
        "Excel 表格展开后过大，请删除表格外的空白格式，或另存为 CSV UTF-8。",
        "The workbook unpacks to too much: remove formats outside the table, or save it as CSV UTF-8.",
    ),
    "ENCODING_UTF16": ("文件是 UTF-16 编码，请另存为 CSV UTF-8。", "The file is UTF-16: save it as CSV UTF-8."),
    "ENCODING_UNKNOWN": (
        "文件既不是 UTF-8 也不是 GB18030 编码，请另存为 CSV UTF-8。",
        "The file is neither UTF-8 nor GB18030: save it as CSV UTF-8.",
    ),
    "ENCODING_DAMAGED": (
        "UTF-8 文件中有损坏的字符，请从源系统重新导出。",
        "Characters of this UTF-8 file are damaged: export it again from the source.",
    ),
    "NUL_BYTES": ("文件含有空字节，请重新导出。", "The file holds NUL bytes: export it again."),
    "GZIP_BROKEN": (
        "压缩文件不完整或已损坏，请重新压缩或重新传输。",
        "The gzip file is cut or damaged: pack or send it again.",
    ),
    "GZIP_BOMB": (
        "压缩文件展开后异常庞大，请重新导出并压缩。",
        "The gzip file unpacks to a huge size: export and pack it again.",
    ),
    "PARQUET_BROKEN": (
        "Parquet 文件不完整或不是 Parquet，请重新导出。",
        "The file is no Parquet file or not a whole one: write it again.",
    ),
    "PARQUET_TYPE": (
        "Parquet 列的类型不能无损转为文本，请以字符串写出。",
        "Columns of types that do not become text without loss: write them as strings.",
    ),
    "PARQUET_TOO_LARGE": (
        "Parquet 的行组展开后过大，请以较小的行组写出。",
        "Row groups that unpack to too much: write smaller ones.",
    ),
    "LINE_TOO_LONG": (
        "有一行超过 1 MB，文件不是表格或缺少换行，请重新导出。",
        "A line longer than 1 MB: no table, or line breaks are missing; export it again.",
    ),
    "CORRECTION_COLUMNS": (
        "含有 file、line 等更正列：更正请加 --amends 提交，否则请删除这些列。",
        "Columns of a correction (file, line): submit it with --amends, or remove them.",
    ),
    "LINES_UNREADABLE": (
        "更正文件的 file 和 line 两列须照导出原样填写。",
        "The columns file and line of a correction must be as exported.",
    ),
    "COLUMNS_UNKNOWN": ("有未知列，请删除或改名。", "Unknown columns: remove or rename them."),
    "COLUMNS_REPEATED": ("有重复列，请只保留一列。", "Columns that stand twice: keep one of each."),
    "COLUMNS_MISSING": ("缺少必需列，请补齐。", "Required columns are missing: add them."),
    "FIELD_COUNT": (
        "有的行字段数与表头不同，请检查逗号和引号。",
        "Rows whose number of fields differs from the header: check commas and quotes.",
    ),
    "LAST_ROW_INCOMPLETE": (
        "最后一行不完整，文件可能在传输中被截断，请重新传输。",
        "The last row is incomplete, the file was probably cut: send it again.",
    ),
    "QUOTE_BROKEN": ("引号未闭合或位置有误，请检查该行。", "A quote is misplaced or never closed: check that row."),
}


def refuse(code: str, path: Path, named: str = "", **details: object) -> NoReturn:
    """Raise the refusal of a file; `named` is what exactly (columns, lines), never a value of a row."""
    zh, en = REFUSALS[code]
    what = f" [{named}]" if named else ""
    raise Refused(code, f"{path.name}: {zh} {en}{what}", file=path.name, **details)
