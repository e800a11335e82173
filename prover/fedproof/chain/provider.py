"""HTTP connection to a chain that retries when the chain does not answer, and only then."""

from __future__ import annotations

import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from fedproof.chain.networks import public_name
from fedproof.errors import RetryableError, TerminalError

_BUSY = {429, 502, 503, 504}


class PatientProvider(HTTPProvider):
    """HTTPProvider that retries connection faults and busy answers, then raises RetryableError.

    Messages name only scheme, host and port: a provider's URL may hold an access token.
    """

    def __init__(self, url: str, *, timeout_s: float = 60, attempts: int = 4) -> None:
        super().__init__(url, request_kwargs={"timeout": timeout_s}, exception_retry_configuration=None)
        self._public = public_name(url)
        self._attempts = attempts

    def make_request(self, method: RPCEndpoint, params: object) -> RPCResponse:
        """Answer to one JSON-RPC request.

        Raises RetryableError when the chain does not answer after all attempts, TerminalError when it
        answers with something that is not JSON-RPC.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential_jitter(multiplier=0.2, max=3, jitter=0.2),
            retry=retry_if_exception(_passing),
            reraise=True,
        )
        try:
            return retrying(super().make_request, method, params)
        except requests.exceptions.JSONDecodeError as error:
            raise TerminalError(f"{self._public} does not speak JSON-RPC") from error
        except requests.RequestException as error:
            if not _passing(error):
                status = getattr(error.response, "status_code", None)
                raise TerminalError(
                    f"chain at {self._public} refused the request (HTTP {status})", hint="check the RPC URL"
                ) from None
            raise RetryableError(
                f"chain at {self._public} does not answer ({type(error).__name__})",
                hint="check that it runs and can be reached, then run the same command again",
            ) from None
        except ValueError as error:
            raise TerminalError(f"{self._public} does not speak JSON-RPC: {error}") from error


def _passing(error: BaseException) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in _BUSY
    return isinstance(error, (requests.ConnectionError, requests.Timeout))
