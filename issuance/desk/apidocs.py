"""The page /docs: the desk's OpenAPI document shown by Swagger UI, all of it from the desk itself.

FastAPI's own page loads Swagger UI from a network of somebody else; here its files come from a package, and the
page's Content-Security-Policy lets nothing else in.
"""

from __future__ import annotations

from html import escape

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

ASSETS = "/docs/assets"
POLICY = "; ".join(
    [
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI writes style attributes
        "img-src 'self' data:",  # and has its icons in its style sheet
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)

# All addresses are relative, so that the page works below any path of a proxy. Scripts stand in files alone: the policy
# has no 'unsafe-inline' for them.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-document="{document}"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# validatorUrl: Swagger UI would send the document's address to a validator elsewhere
_START = """SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: document.getElementById("swagger-ui").dataset.document,
  validatorUrl: null,
  deepLinking: true,
});
"""


def add_docs(app: FastAPI) -> None:
    """Serve the page at /docs, and what it loads below it.

    `app` is made with `docs_url=None, redoc_url=None` and has an `openapi_url` at its root. None of the routes is in
    the OpenAPI document.
    """
    page = _PAGE.format(title=escape(app.title), document=escape((app.openapi_url or "").lstrip("/")))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    @app.get("/docs/start.js", include_in_schema=False)
    def start() -> Response:
        return Response(_START, media_type="text/javascript")

    app.mount(ASSETS, StaticFiles(packages=[("fastapi_swagger", "resources")]), name="docs-assets")
