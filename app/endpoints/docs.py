"""``GET /docs``: the API to read and to try, with every asset served from here, not from the internet."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

_ASSETS = "/docs/assets"


def add_docs(app: FastAPI) -> None:
    """Serve the page and what it loads; ``/`` leads to it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def get_root() -> RedirectResponse:
        return RedirectResponse("/docs")

    @router.get("/docs")
    def get_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="treeserve",
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
            # The list of schemas repeats what stands at the paths.
            swagger_ui_parameters={"defaultModelsExpandDepth": -1, "tryItOutEnabled": True},
        )

    app.include_router(router)
    # The package is there for its files alone: a Swagger UI that is kept up to date. It is never imported.
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-assets")
