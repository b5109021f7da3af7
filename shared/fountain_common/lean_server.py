"""uvicorn, without what watches files to load a changed application anew: 1.5 MiB in every service, and none
does that.
"""

from fountain_common.lean import without

with without("watchfiles"):
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import (
        HEADER_RE,
        STATUS_LINE,
        HttpToolsProtocol,
        RequestResponseCycle,
    )

__all__ = ["HEADER_RE", "STATUS_LINE", "HttpToolsProtocol", "RequestResponseCycle", "uvicorn"]
