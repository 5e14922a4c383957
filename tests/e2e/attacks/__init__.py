"""Attacks on `serve`, by what they get at; each takes the whole scene, and what must be true after all of them is the scenario's.

An attack fails by an assertion: the code that was wrong, and the answer.
"""

from ..containers import NAMESPACE

PATH = f"/checkpoint/{NAMESPACE}/counter/counter"
OTHER_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/counter/checkpoint"


def expect(service, wanted, node, method, path, body=None, token=None, **more):
    """The refusal of a request: its code, and a Status that says the same."""
    status, answer = service.ask(node, method, path, body, token, **more)
    codes = wanted if isinstance(wanted, tuple) else (wanted,)
    assert status in codes and answer["kind"] == "Status" and answer["code"] == status, (method, path, status, answer)
    return answer["message"]
