"""Counts the charges of each customer."""

from signalbox import Event, kv, log, plugin, receiver

plugin(name="{{name}}", version="0.1.0", description="Counts the charges of each customer")


@receiver("charge.succeeded")
def count_charge(event: Event) -> None:
    charge = event.object
    payer = charge.get("customer") or "guest"
    count = kv.counter(f"charges/{payer}").add(1)
    log.info(f"charge {charge['id']} is number {count} of {payer}", customer=payer)
