#!/usr/bin/env python3
"""
Put treeserve's lifecycles and templates into Elasticsearch and, if one is named, its dashboards into Kibana.

Everything has a name of its own and is replaced if it is there: run it again after an update. All it needs is Python
3.11. From the environment come ELASTICSEARCH_API_KEY (id:key), or ELASTICSEARCH_USERNAME and _PASSWORD, and
ELASTICSEARCH_CA_CERT, the file of the authority that signed their certificates; each is wanted only where it is needed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SAVED_OBJECTS = FOLDER.parent / "kibana" / "treeserve.ndjson"
# A folder here, and where Elasticsearch wants what is in it; each needs those before it.
KINDS = {
    "lifecycles": "_ilm/policy",
    "component_templates": "_component_template",
    "index_templates": "_index_template",
}
_TIMEOUT_S = 60


class InstallFailed(Exception):
    """What could not be put where, why, and what to do."""


@dataclass(frozen=True)
class Stack:
    """
    How Elasticsearch and Kibana are spoken to.

    Attributes
    ----------
    credentials : str or None
        The `Authorization` header.
    trust : ssl.SSLContext or None
        Whose certificates count; None for those that the system trusts.
    """

    credentials: str | None
    trust: ssl.SSLContext | None

    def send(self, method: str, url: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> Any:
        """
        Ask for something; the answer's JSON.

        Raises
        ------
        InstallFailed
        """
        sent = {"Content-Type": content_type, **headers}
        if self.credentials:
            sent["Authorization"] = self.credentials
        request = urllib.request.Request(url, body, sent, method=method)  # noqa: S310  the operator named it
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self.trust) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise InstallFailed(f"{method} {url}: {error.code} {_reason(error)}{_advice(error.code)}") from None
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error) or type(error).__name__
            raise InstallFailed(
                f"{method} {url}: {reason}. Check the address, and ELASTICSEARCH_CA_CERT if it is https"
            ) from None


def install_templates(stack: Stack, elasticsearch: str) -> list[str]:
    """Put each file of each folder; what was put."""
    put = []
    for folder, place in KINDS.items():
        for file in sorted((FOLDER / folder).glob("*.json")):
            stack.send("PUT", f"{elasticsearch}/{place}/{file.stem}", file.read_bytes(), "application/json", {})
            put.append(f"{place}/{file.stem}")
    return put


def import_dashboards(stack: Stack, kibana: str) -> int:
    """
    Import the saved objects, over those of the same ids; how many there are.

    Raises
    ------
    InstallFailed
        If Kibana refuses one.
    """
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{SAVED_OBJECTS.name}"\r\n'
    body = f"{head}Content-Type: application/ndjson\r\n\r\n".encode() + SAVED_OBJECTS.read_bytes()
    answer = stack.send(
        "POST",
        f"{kibana}/api/saved_objects/_import?overwrite=true",
        body + f"\r\n--{boundary}--\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
        {"kbn-xsrf": "treeserve"},
    )
    if not answer.get("success"):
        refused = [f"{one.get('type')} {one.get('id')}: {one.get('error')}" for one in answer.get("errors", [])]
        raise InstallFailed(f"Kibana at {kibana} has refused saved objects: " + "; ".join(refused))
    n_imported: int = answer["successCount"]
    return n_imported


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        told = json.loads(text)
        return str(told["error"]["reason"] if isinstance(told.get("error"), dict) else told.get("message", told))
    except (ValueError, KeyError, AttributeError):
        return text[:200]


def _advice(status: int) -> str:
    if status not in (401, 403):
        return ""
    return (
        ". Set ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD, of somebody who may manage"
        " ILM and index templates and, in Kibana, saved objects"
    )


def _read_credentials(environment: Mapping[str, str]) -> str | None:
    if key := environment.get("ELASTICSEARCH_API_KEY"):
        return f"ApiKey {base64.b64encode(key.encode()).decode() if ':' in key else key}"
    user, password = environment.get("ELASTICSEARCH_USERNAME"), environment.get("ELASTICSEARCH_PASSWORD")
    if bool(user) != bool(password):
        raise InstallFailed("ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD are needed both, or neither")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else None


def _trust(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    authority = environment.get("ELASTICSEARCH_CA_CERT")
    try:
        return ssl.create_default_context(cafile=authority) if authority else None
    except OSError as error:
        raise InstallFailed(f"ELASTICSEARCH_CA_CERT={authority} is no certificate that can be read: {error}") from None


def main() -> int:
    """Install what the command line names; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip(), formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--elasticsearch", metavar="URL", required=True, help="such as https://127.0.0.1:9200")
    parser.add_argument(
        "--kibana", metavar="URL", help="such as https://127.0.0.1:5601, with /s/SPACE for another space"
    )
    given = parser.parse_args()
    for url in filter(None, (given.elasticsearch, given.kibana)):
        if "@" in url:
            parser.error("no user and password in an address: set ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD")
    try:
        stack = Stack(_read_credentials(os.environ), _trust(os.environ))
        for put in install_templates(stack, given.elasticsearch.rstrip("/")):
            print(put)
        if given.kibana:
            print(f"{import_dashboards(stack, given.kibana.rstrip('/'))} saved objects in Kibana")
    except InstallFailed as error:
        print(f"install.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
