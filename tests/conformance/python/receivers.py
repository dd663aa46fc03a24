"""What every language's SDK has to do right, one receiver a case.

Not an example: `example-plugins` has those. The cases are the same in every language.
"""

from datetime import timedelta

from componentize_py_types import Err
from wit_world.imports import types

from signalbox import (
    Delivery,
    Event,
    NotGranted,
    Reject,
    Retry,
    config,
    kv,
    log,
    objects,
    outbox,
    plugin,
    receiver,
)

NAME = "conformance-python"

plugin(
    name=NAME,
    version="0.1.0",
    description="Does what every language's SDK has to do right",
    emit=["echo.*"],
    objects=["stripe customer"],
)


@receiver("conformance.subscribed", "conformance.other", "conformance.family.*")
def subscribed(event: Event) -> None:
    kv.set_text(f"subscribed/{event.kind}", event.id)


@receiver("conformance.filtered", filter="event.data.object.amount > 100")
def filtered(event: Event) -> None:
    kv.set_text(f"filtered/{event.id}", "seen")


@receiver("conformance.kv")
def store(event: Event) -> None:
    for key, value in [("a", "1"), ("b", "2"), ("c", "3")]:
        kv.set_text(f"kv/{key}", value)
    kv.delete("kv/b")
    if kv.get_text("kv/b") is not None:
        raise Reject("a deleted key is not absent")
    kv.set_text("kv-list", ",".join(kv.keys("kv/")))
    kv.counter("kv-count").add(1)


@receiver("conformance.retry")
def retry(event: Event, delivery: Delivery) -> None:
    if delivery.attempt == 1:
        raise Retry("not yet", after=timedelta(milliseconds=50))
    kv.set_text("retry", str(delivery.attempt))


@receiver("conformance.reject")
def reject(event: Event) -> None:
    raise Reject("no such thing 雪")


@receiver("conformance.uncaught")
def uncaught(event: Event) -> None:
    kv.set_text("uncaught", "1")
    raise RuntimeError("boom 雪")


@receiver("conformance.silent")
def silent(event: Event) -> None:
    return Err(types.Failure_Reject("componentize-py takes this for success"))  # type: ignore[return-value]


@receiver("conformance.large")
def large(event: Event) -> None:
    padding: str = event.object["padding"]
    kv.set_text("large", f"{len(event.body)}:{len(padding)}")


@receiver("conformance.unicode")
def unicode(event: Event) -> None:
    kv.set_text("unicode", event.object["text"])


@receiver("conformance.bigint")
def bigint(event: Event) -> None:
    kv.set_text("bigint", str(event.object["amount"] + 1))


@receiver("conformance.emit")
def emit(event: Event) -> None:
    outbox.emit("echo.empty", body=b"", content_type="text/plain")


@receiver("echo.empty", provider=NAME)
def empty(event: Event) -> None:
    kv.set_text("empty", str(len(event.body)))


@receiver("conformance.outbox")
def effect(event: Event) -> None:
    headers = {"content-type": "text/plain"}
    kv.set_text("effect", outbox.post(config.require("sink"), headers=headers, body=event.id))
    try:
        outbox.emit("forbidden.kind", body=b"", content_type="text/plain")
    except NotGranted:
        kv.set_text("refused", "not-granted")


@receiver("conformance.reply")
def ask(event: Event) -> None:
    outbox.post(config.require("sink"), body="ping", reply_as="echo.reply")


@receiver("echo.reply", provider=NAME)
def answered(event: Event) -> None:
    reply = event.reply
    if reply is None:
        raise Reject("it is no answer")
    kv.set_text("reply", f"{reply.status}:{reply.body.decode()}")


@receiver("conformance.objects")
def mirror(event: Event) -> None:
    customer = objects.get("customer", event.object["customer"])
    if customer is None:
        raise Retry("no event showed the customer")
    kv.set_text("object", f"{customer.id}:{customer.data['name']}")
    try:
        objects.get("charge", "ch_1")
    except NotGranted:
        kv.set_text("object-refused", "not-granted")
    if objects.get("customer", "cus_absent") is None:
        kv.set_text("object-absent", "none")


@receiver("conformance.config")
def setting(event: Event) -> None:
    kv.set_text("config", config.require("greeting"))


@receiver("conformance.log")
def record(event: Event) -> None:
    log.info("hello 雪", kind="log")


@receiver("conformance.noop")
def noop(event: Event) -> None:
    pass
