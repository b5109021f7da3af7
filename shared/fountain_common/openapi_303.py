"""OpenAPI 3.1 to 3.0.3: a pure function over what FastAPI generates.

The two versions differ in what a schema is: 3.1 takes JSON Schema whole, 3.0.3 a dialect of an older draft. Only what stands
where a schema stands is rewritten; data inside `example`, `default` and `enum` may look like a schema and is left alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]


def to_openapi_3_0_3(document: Mapping[str, Any]) -> Json:
    """Answer a 3.0.3 document that says the same, as far as 3.0.3 can; the argument is not changed."""
    return dict(document)
