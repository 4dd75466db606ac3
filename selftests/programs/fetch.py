# SPDX-License-Identifier: MIT
"""fetch.py URL PATH...: gets each path, whole and compressed, and a part of it,
some by several threads, and prints what came."""

import gzip
import hashlib
import http.client
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

host = urlsplit(sys.argv[1]).netloc


def get(path):
    """All by one connection, which stays open."""
    connection = http.client.HTTPConnection(host, timeout=30)
    lines = []
    for headers in ({}, {"Accept-Encoding": "gzip"}, {"Range": "bytes=5-90"}):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        packed = response.getheader("Content-Encoding") == "gzip"
        if packed:
            body = gzip.decompress(body)
        lines.append(f"{path} {response.status} {len(body)} {packed} "
                     + hashlib.sha256(body).hexdigest()[:32])
    connection.close()
    return lines


with ThreadPoolExecutor(4) as pool:
    for answer in pool.map(get, sys.argv[2:] * 3):
        print(*answer, sep="\n")
