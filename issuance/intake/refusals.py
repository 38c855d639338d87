"""Why a file of a package is refused as a whole: code, what it means and what to do, in Chinese and English."""

from __future__ import annotations

from typing import NoReturn

from issuance.errors import Refused
from issuance.intake.sources import Named

REFUSALS: dict[str, tuple[str, str]] = {
    "FILE_UNREADABLE": ("文件无法打开，请检查路径和权限。", "The file cannot be opened: check path and permissions."),
    "FILE_EMPTY": ("文件为空，请重新导出。", "The file is empty: export it again."),
    "NO_ROWS": ("文件只有表头、没有数据行，请重新导出。", "The file has a header and no rows: export it again."),
    "NOT_TEXT": (
        "文件不是 CSV、Excel 或 Parquet，请另存为 CSV UTF-8。",
        "Not CSV, Excel or Parquet: save it as CSV UTF-8.",
    ),
    "EXCEL_BROKEN": (
        "不是完整的 Excel 工作簿：可能已损坏、有密码，或是其他文件改名而来；ZIP 压缩包请先解压。",
        "Not an intact Excel workbook: damaged, password-protected, or another file renamed; unpack a ZIP first.",
    ),
    "EXCEL_TOO_LARGE": (
        "Excel 表格展开后过大，请删除表格外的空白格式，或另存为 CSV UTF-8。",
        "The workbook is too large when unpacked: remove formats outside the table, or save it as CSV UTF-8.",
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
    "NUL_BYTES": ("文件含有空字节，请重新导出。", "The file contains NUL bytes: export it again."),
    "GZIP_BROKEN": (
        "压缩文件不完整或已损坏，请重新压缩或重新传输。",
        "The gzip file is truncated or damaged: compress or send it again.",
    ),
    "GZIP_BOMB": (
        "压缩文件展开后异常庞大，请重新导出并压缩。",
        "The gzip file is too large when unpacked: export and compress it again.",
    ),
    "PARQUET_BROKEN": (
        "Parquet 文件不完整或不是 Parquet，请重新导出。",
        "Not a Parquet file, or an incomplete one: write it again.",
    ),
    "PARQUET_TYPE": (
        "Parquet 列的类型不能无损转为文本，请以字符串写出。",
        "Columns of types that cannot be converted to text without loss: write them as strings.",
    ),
    "PARQUET_TOO_LARGE": (
        "Parquet 的行组展开后过大，请以较小的行组写出。",
        "Row groups are too large when unpacked: write smaller ones.",
    ),
    "LINE_TOO_LONG": (
        "有一行超过 1 MB，文件不是表格或缺少换行，请重新导出。",
        "A line longer than 1 MB: not a table, or line breaks are missing; export it again.",
    ),
    "CORRECTION_COLUMNS": (
        "含有 file、line 等更正列：更正请加 --amends 提交，否则请删除这些列。",
        "Columns of a correction (file, line): submit it with --amends, or remove them.",
    ),
    "LINES_UNREADABLE": (
        "更正文件的 file 和 line 两列须照导出原样填写。",
        "The columns file and line of a correction must be as exported.",
    ),
    "HEADER_MISSING": (
        "第一行中没有任何已知列名：请补上表头，列之间用逗号或制表符分隔。",
        "The first line has none of the columns' names: add the header; commas or tabs stand between columns.",
    ),
    "COLUMNS_UNKNOWN": ("有未知列，请删除或改名。", "Unknown columns: remove or rename them."),
    "COLUMNS_REPEATED": ("有重复列，请只保留一列。", "Repeated columns: keep one of each."),
    "COLUMNS_MISSING": ("缺少必需列，请补齐。", "Required columns are missing: add them."),
    "FIELD_COUNT": (
        "有的行字段数与表头不同，请检查逗号和引号。",
        "Rows whose number of fields differs from the header: check commas and quotes.",
    ),
    "LAST_ROW_INCOMPLETE": (
        "最后一行不完整，文件可能在传输中被截断，请重新传输。",
        "The last row is incomplete, the file was probably truncated: send it again.",
    ),
    "QUOTE_BROKEN": ("引号未闭合或位置有误，请检查该行。", "A quote is misplaced or never closed: check that row."),
}


PACKAGE_REFUSALS: dict[str, tuple[str, str]] = {
    "FIELDS_MISSING": ("缺少提交所需的字段，请补齐。", "Fields of the submission are missing: add them."),
    "FIELDS_INVALID": ("字段值无效，请按提示改正。", "Invalid field values: correct those named."),
    "MANIFEST_INVALID": ("清单文件无法使用或有未知字段。", "The manifest cannot be read or has unknown fields."),
    "FILE_MISSING": ("没有该文件或文件夹，请检查路径。", "No such file or folder: check the path."),
    "COHORT_ID_INVALID": ("批次编号格式不符。", "Invalid cohort ID: use 1 to 64 of A-Z a-z 0-9 _ . -"),
    "COHORT_ID_RESERVED": (
        "check- 开头的批次编号留作一致性检查之用，请改名。",
        "IDs that begin with check- are reserved for conformance checks: choose another.",
    ),
    "COHORT_UNKNOWN": ("没有该批次，请核对编号。", "Unknown cohort: check its ID."),
    "FILE_NAMES_REPEATED": (
        "一次提交中有同名文件，请改名。",
        "Two files of a package have the same name: rename them, since lines are named by file and number.",
    ),
    "COUNT_DIFFERS": (
        "行数与声明不符：先弄清哪个对，再提交。",
        "The number of rows differs from the declared one: find out which is right, then submit again.",
    ),
    "PHOTO_PATH": (
        "照片文件名指向照片文件夹之外，请只填写其中的文件名。",
        "photo_ref points outside the photos folder: give the name of a file in it.",
    ),
    "PHOTO_TOO_LARGE": ("照片文件超过 1 MB，请重新导出。", "A photo is larger than 1 MB: export it again."),
    "UPLOAD_BROKEN": (
        "上传中断或格式有误，没有存下任何内容：请重新提交。",
        "The upload broke off or is malformed, nothing of it was stored: submit again.",
    ),
    "UPLOAD_TOO_LARGE": (
        "上传超过 4 GiB 或 200,000 个文件：请分成几个批次。",
        "More than 4 GiB or 200,000 files: divide it into several cohorts.",
    ),
    "SUBMISSION_UNKNOWN": ("没有该次提交，请核对编号。", "There is no such submission: check its number."),
    "NOTHING_TO_DECIDE": ("该次提交不在等待决定。", "The submission waits for nobody's decision."),
    "SAME_PERSON": (
        "提交人不能自己越过警戒线：请他人决定。",
        "A submitter does not go on past the warning threshold: another person decides.",
    ),
    "SUBMISSION_LIVE": (
        "批次已有有效提交而内容不同：更正隔离行请用 --amends。",
        "The cohort has a live submission with other content: correct quarantined lines with --amends.",
    ),
    "SUBMISSION_UNDECIDED": (
        "受理尚未结束，请稍后再更正。",
        "Intake is still running: correct the lines when it has ended.",
    ),
    "NOTHING_TO_AMEND": (
        "批次没有可更正的提交。",
        "The cohort has no submission to correct: submit without --amends.",
    ),
    "FILE_NAME_USED": (
        "该批次已提交过同名文件，请换一个文件名。",
        "A file of this name was already submitted: rename the correction.",
    ),
    "LINES_NOT_CORRECTABLE": (
        "更正所指的行不是未决的隔离行：逐行列出原因和办法。",
        "The correction names lines that are not open in quarantine: each is listed with what to do instead.",
    ),
    "SUBMISSION_REFUSED": (
        "提交未被登记，原因代码在提示中。",
        "The announcement was not registered; the code says why, as if `submit` itself had refused.",
    ),
    "TOTALS_DIFFER": (
        "受理时行数与声明或封存的不符：重新提交；再次发生请查看日志。",
        "Rows declared, sealed and decided differ: submit again; if it happens again, check the logs.",
    ),
    "TOO_MANY_QUARANTINED": (
        "隔离行超过 refuse_ratio：按 quarantine list 改好整个文件后重新提交。",
        "More rows than refuse_ratio are quarantined: correct the file using `quarantine list` and submit it again.",
    ),
    "REFUSED_BY_OPERATOR": (
        "经办人员未同意继续：改好后重新提交。",
        "An operator refused to continue: correct the file and submit it again.",
    ),
    "NOTHING_TO_EXPORT": ("没有待更正的隔离行。", "There are no quarantined rows to correct."),
    "NOT_YOUR_SUBMISSION": (
        "隔离行含个人信息，只给提交人：请由其登录后导出。",
        "Rows contain personal data: only the submitter may export them.",
    ),
    "FILE_EXISTS": ("目标文件已存在，请换一个文件名。", "The target file already exists: choose another name."),
    "FILE_UNWRITABLE": (
        "目标无法写入，请检查文件夹和权限。",
        "Cannot write the target file: check folder and permissions.",
    ),
    "KEY_UNUSABLE": ("不是 RSA 或 EC 公钥（PEM）。", "Not a public RSA or EC key in PEM: ask the receiver for one."),
    "WAIVER_UNKNOWN": (
        "城市参数 waived_rules 中有不可豁免的规则：请改正参数。",
        "waived_rules of the city's policy names rules that no city may waive: correct the policy.",
    ),
}
"""Code of a refused package, correction or export: what it means and what to do; the message itself names the case."""


def refuse(code: str, file: Named, named: str = "", **details: object) -> NoReturn:
    """Raise the refusal of a file; `named` is what exactly (columns, lines), never a value of a row."""
    zh, en = REFUSALS[code]
    what = f" [{named}]" if named else ""
    raise Refused(code, f"{file.name}: {zh} {en}{what}", file=file.name, **details)
