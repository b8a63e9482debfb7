"""``GET /docs``: readable and usable on a machine that reaches no other."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from starlette.testclient import TestClient


class References(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_root_leads_to_the_docs(client: TestClient) -> None:
    """Who opens the service in a browser lands on the page that explains it."""
    response = client.get("/")
    assert response.status_code == 307
    assert response.headers["location"] == "/docs"


def test_the_docs_refer_to_no_other_host_and_everything_they_load_is_served(client: TestClient) -> None:
    """The page works on an edge box without the internet, and leaks to nobody who reads it."""
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert not re.findall("https?://|[\"']//", response.text)
    references = References()
    references.feed(response.text)
    kinds = {place.rsplit(".", 1)[-1] for place in references.found}
    assert {"js", "css", "png"} <= kinds
    for place in references.found:
        assert place.startswith("/"), place
        loaded = client.get(place)
        assert loaded.status_code == 200, place
        assert len(loaded.content) > 100
    assert "/openapi.json" in response.text
    assert "StandaloneLayout" not in response.text  # Swagger UI's other layout, which asks validator.swagger.io


def test_the_styles_load_nothing(client: TestClient) -> None:
    """A style sheet can fetch too: its images and fonts are inside it."""
    text = client.get("/docs/assets/swagger-ui.css").text
    assert not re.findall(r"url\((?!\s*[\"']?data:)", text)
    assert "@import" not in text


def test_the_other_page_of_fastapi_is_off(client: TestClient) -> None:
    """ReDoc's page loads its script from a CDN; it is not there."""
    assert client.get("/redoc").status_code == 404
