"""What routes ask for."""

from typing import Annotated

from fastapi import Depends, Request
from fountain_common import Caller, requires

from two_factor.service import Factors


def _factors(request: Request) -> Factors:
    factors: Factors = request.app.state.factors
    return factors


FactorsDep = Annotated[Factors, Depends(_factors)]
MayRead = Annotated[Caller, requires("factors:read")]
MayChange = Annotated[Caller, requires("factors:write")]
MayVerify = Annotated[Caller, requires("codes:verify")]
MayGenerate = Annotated[Caller, requires("codes:generate")]
